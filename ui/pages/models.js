// The Models page: what can be trained, trainings, re-tagging, versions; or one training when the address names it (?run=ID).

import { api, poll } from "./api.js";
import { h, setTitle } from "./dom.js";
import { retagCard } from "./models_retag.js";
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
  let lost = false; // what an action said stays; what a look said goes with the next one
  const train = trainCard();
  const runs = runList();
  const on = { tell, changed: () => { whole.of = ""; return look(); } };
  const versions = versionList(on);
  const retag = retagCard(on);
  main.append(h("div", { class: "pt-lib-head" }, h("h1", {}, "Models"), summary), trouble, train.element, retag.element, runs.element, versions.element);
  let open = false;
  // Labels and versions are counted over the whole library: asked for when something has ended, not while a bar moves.
  const whole = { of: "", at: 0, found: null };
  const look = async () => {
    try {
      const [listed, state] = await all("/runs", "/retag");
      const ended = JSON.stringify([state.version, listed.runs.map((run) => [run.id, run.state, run.outcome])]);
      if (whole.of !== ended || performance.now() - whole.at >= IDLE_MS) Object.assign(whole, { found: await all("", "/versions"), of: ended, at: performance.now() });
      const [found, known] = whole.found;
      summary.textContent = found.active ? `“${found.active}” tags now` : "Nothing tags yet";
      train.paint(found);
      runs.paint(listed);
      versions.paint(known, found.active);
      if (lost) tell("");
      lost = false;
      await retag.paint(state, known);
      open = retag.isOpen || listed.runs.some((run) => run.open);
    } catch (error) {
      lost = true;
      tell(error.message);
    }
  };
  await poll(look, () => (open ? LIVE_MS : IDLE_MS));
}

/** What the routes of these paths answer, asked side by side. */
const all = (...paths) => Promise.all(paths.map((path) => api(`/api/models${path}`)));
