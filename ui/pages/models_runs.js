// The list of trainings: those that wait or work in their order, then the others, newest first.

import { api } from "./api.js";
import { h, moment } from "./dom.js";
import { progressWords, runChip, stageBar } from "./models_words.js";
import { withCode } from "./status.js";

/** The section; `paint(listed)` shows what GET /api/models/runs answers. */
export function runList() {
  const list = h("ul", { class: "pt-runs" });
  const more = h("button", { type: "button", class: "pt-button pt-second pt-compact", hidden: true, onclick: () => older() }, "Show older trainings");
  const element = h("section", { "aria-labelledby": "pt-runs-title", hidden: true }, h("h2", { id: "pt-runs-title" }, "Trainings"), list, h("div", { class: "pt-row pt-center" }, more));
  const known = new Map();
  let shown = "";

  function paint({ runs, more: left }) {
    const first = !known.size;
    for (const run of runs) known.set(run.id, run);
    if (first) more.hidden = !left;
    draw();
  }

  function draw() {
    const now = JSON.stringify([...known.values()]);
    if (now === shown) return;
    shown = now;
    element.hidden = !known.size;
    const focused = list.contains(document.activeElement) ? document.activeElement.dataset.run : null;
    list.replaceChildren(...inOrder([...known.values()]).map(row));
    if (focused) list.querySelector(`[data-run="${focused}"]`)?.focus();
  }

  async function older() {
    const found = await api(`/api/models/runs?before=${Math.min(...known.keys())}`);
    for (const run of found.runs) known.set(run.id, run);
    more.hidden = !found.more;
    draw();
  }

  return { element, paint };
}

function inOrder(runs) {
  const open = runs.filter((run) => run.open).sort((a, b) => a.id - b.id);
  return [...open, ...runs.filter((run) => !run.open).sort((a, b) => b.id - a.id)];
}

function row(run) {
  const words = run.open ? progressWords(run) : run.state === "failed" ? run.reason : run.version ? `Made “${run.version}”${run.base ? `, compared with “${run.base}”` : ""}` : "";
  return h("li", {}, h("a", { class: "pt-card pt-run", href: `/admin/models?run=${run.id}`, "data-run": String(run.id) },
    h("span", { class: "pt-run-words" }, h("span", { class: "pt-run-name" }, `Training ${run.id}`), h("span", { class: "pt-soft" }, `Recipe ${run.recipe}`), words ? h("span", { class: "pt-soft pt-run-about" }, ...withCode(words)) : null,
      run.state === "running" ? stageBar(run) : null),
    h("span", { class: "pt-run-side" }, runChip(run), h("span", { class: "pt-soft" }, `${run.by ?? "command line"}, `, h("time", { datetime: run.created_at }, moment(run.created_at))))));
}
