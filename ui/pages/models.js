// The Models page: what can be trained, trainings, re-tagging, versions; or one training when the address names it (?run=ID).

import { api, poll } from "./api.js";
import { h, setTitle } from "./dom.js";
import { trainCard } from "./models_train.js";
import { runList } from "./models_runs.js";
import { showRun } from "./models_run.js";
import { versionList } from "./models_versions.js";
import { noticeBox } from "./status.js";

const LIVE_MS = 1500;
const IDLE_MS = 10000;

/** Fills the page's main element. */
export function show(main) {
  const id = new URLSearchParams(window.location.search).get("run");
  main.classList.add("pt-models");
  main.append(noticeBox());
  if (id) showRun(main, id);
  else showAll(main);
}

async function showAll(main) {
  setTitle("Models");
  const summary = h("span", { class: "pt-soft" });
  const trouble = h("p", { class: "pt-notice pt-bad", role: "alert", hidden: true });
  const tell = (text) => { trouble.textContent = text; trouble.hidden = !text; };
  const train = trainCard();
  const runs = runList();
  const versions = versionList({ tell, changed: () => look() });
  main.append(h("div", { class: "pt-lib-head" }, h("h1", {}, "Models"), summary), trouble, train.element, runs.element, versions.element);
  let open = false;
  const look = async () => {
    try {
      const [found, listed, known] = await Promise.all([api("/api/models"), api("/api/models/runs"), api("/api/models/versions")]);
      summary.textContent = found.active ? `“${found.active}” tags now` : "Nothing tags yet";
      train.paint(found);
      runs.paint(listed);
      versions.paint(known, found.active);
      open = listed.runs.some((run) => run.open);
      tell("");
    } catch (error) {
      tell(error.message);
    }
  };
  await poll(look, () => (open ? LIVE_MS : IDLE_MS));
}
