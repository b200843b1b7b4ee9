// What was changed in the vocabulary, newest first, each with its undo.

import { api } from "./api.js";
import { h, moment } from "./dom.js";

const STEP = 30;

/** The section; `changed(answer)` is called when something was undone. `refresh()` reads it again if it is open. */
export function history(changed) {
  const list = h("ol", { class: "pt-changes" });
  const more = h("button", { type: "button", class: "pt-button pt-second pt-compact", hidden: true, onclick: () => read() }, "Show older changes");
  const trouble = h("p", { class: "pt-notice pt-bad", role: "alert", hidden: true });
  const element = h("details", { class: "pt-card pt-label-history" }, h("summary", {}, h("h2", {}, "History")), trouble, list, more);
  let before = null;

  const tell = (text) => { trouble.textContent = text; trouble.hidden = !text; };

  async function undo(id) {
    try {
      changed(await api(`/api/labels/changes/${id}/undo`, { method: "POST" }));
    } catch (error) {
      tell(error.message);
    }
  }

  function row({ id, what, by, at, undone_by, undoable }) {
    const words = h("div", {}, h("span", {}, what), h("span", { class: "pt-soft" }, ` ${by ?? "command line"}, ${moment(at)}${undone_by ? ", undone" : ""}`));
    const button = undoable ? h("button", { type: "button", class: "pt-quiet", "aria-label": `Undo: ${what}`, onclick: () => undo(id) }, "Undo") : null;
    return h("li", { class: undone_by ? "pt-undone" : null }, words, button);
  }

  async function read() {
    tell("");
    try {
      const { changes } = await api(`/api/labels/changes?${new URLSearchParams({ limit: STEP, ...(before ? { before } : {}) })}`);
      list.append(...changes.map(row));
      before = changes.at(-1)?.id ?? before;
      more.hidden = changes.length < STEP;
      if (!list.childElementCount) list.append(h("li", { class: "pt-soft" }, "Nothing has been changed yet."));
    } catch (error) {
      tell(error.message);
    }
  }

  function refresh() {
    before = null;
    list.replaceChildren();
    if (element.open) read();
  }

  element.addEventListener("toggle", () => { if (element.open && !list.childElementCount) read(); });
  return { element, refresh };
}
