// What is wrong with the service, if anything: asked every few seconds, shown on top of every page.

import { api, poll } from "./api.js";
import { h, icon } from "./dom.js";

const EVERY_MS = 5000;
let first = null;

/** The service's state as it was when the page opened: limits, model version, who is logged in. */
export function status() {
  first ??= api("/api/status");
  return first;
}

function notice(text, kind) {
  return h("p", { class: `pt-notice pt-${kind}` }, icon("warning", 20), h("span", {}, ...withCode(text)));
}

/** `text` with what stands between backticks as code. */
export function withCode(text) {
  return text.split("`").map((part, at) => (at % 2 ? h("code", {}, part) : part));
}

/** A box that always shows what a person should know. */
export function noticeBox() {
  const box = h("div", { class: "pt-notices", role: "status" });
  let shown = "";
  const show = (notices) => {
    const now = JSON.stringify(notices);
    if (now !== shown) box.replaceChildren(...notices.map((text) => notice(text, "warn")));
    shown = now;
  };
  const look = async () => {
    try {
      show((await (first && !shown ? first : api("/api/status"))).notices);
    } catch (error) {
      show([error.message]);
    }
    if (!shown) shown = "[]";
  };
  status().catch(() => {});
  poll(look, () => EVERY_MS);
  return box;
}
