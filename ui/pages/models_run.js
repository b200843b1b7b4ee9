// One training: how far it is and how it goes while it is open; then the candidate, and what became of it.

import { api, poll } from "./api.js";
import { ask, nothingYet } from "./ask.js";
import { h, icon, moment, plural, say, setTitle } from "./dom.js";
import { comparison } from "./models_compare.js";
import { curveCharts, lastEpoch } from "./models_curves.js";
import { progressWords, runChip, STATES, stageBar } from "./models_words.js";
import { withCode } from "./status.js";

const LIVE_MS = 1500;
const TRIES_MS = 3000;

/** Shows the training `id`, live while it is open. */
export async function showRun(main, id) {
  const page = new RunPage(main, id);
  await poll(() => page.look(), () => page.pause);
}

class RunPage {
  constructor(main, id) {
    this.id = id;
    this.pause = LIVE_MS;
    this.state = null;
    this.head = h("div", { class: "pt-head" }, h("h1", {}, `Training ${id}`));
    this.trouble = h("p", { class: "pt-notice pt-bad", role: "alert", hidden: true });
    this.box = h("div", { class: "pt-run-parts" }, h("p", { class: "pt-soft" }, "Loading the training…"));
    main.append(h("p", { class: "pt-crumb" }, h("a", { href: "/admin/models" }, "All models")), this.head, this.trouble, this.box);
    setTitle(`Training ${id}`);
  }

  async look() {
    try {
      const run = await api(`/api/models/runs/${encodeURIComponent(this.id)}`);
      this.tell("");
      this.pause = LIVE_MS;
      this.paint(run);
      return run.open;
    } catch (error) {
      if (error.status === 404 || error.status === 422) return this.missing();
      this.tell(error.message);
      this.pause = TRIES_MS;
      return true;
    }
  }

  missing() {
    this.head.replaceChildren(h("h1", {}, "There is no such training"));
    this.box.replaceChildren(nothingYet("Its address may be cut off.", "All trainings are listed on the page Models."));
    return false;
  }

  paint(run) {
    const ended = this.state !== null && this.state !== run.state && !run.open;
    const same = this.state === run.state;
    this.state = run.state;
    this.run = run;
    this.head.replaceChildren(h("h1", {}, run.version ? `Training ${run.id}: “${run.version}”` : `Training ${run.id}`), runChip(run));
    if (run.open && same) this.move(run);
    else this.box.replaceChildren(...(run.open ? this.live(run) : this.over(run)));
    if (ended) say(`The training is ${STATES[run.state]}.`);
  }

  /** While it waits or works. What moves is replaced; the button keeps the focus. */
  live(run) {
    this.bar = h("div", {});
    this.words = h("p", { class: "pt-numbers" });
    this.charts = h("div", {});
    const cancel = h("button", { type: "button", class: "pt-button pt-second pt-danger", onclick: () => this.cancel() }, "Cancel training");
    const card = h("section", { class: "pt-card pt-progress", "aria-label": "Progress" }, this.bar, this.words, h("p", { class: "pt-soft" }, madeFrom(run)), h("div", { class: "pt-row" }, cancel), this.charts);
    this.move(run);
    return [card];
  }

  move(run) {
    this.bar.replaceChildren(run.state === "running" ? stageBar(run) : "");
    this.words.replaceChildren(h("strong", {}, progressWords(run)), run.curves.length ? h("span", {}, lastEpoch(run.curves)) : "");
    const now = JSON.stringify(run.curves);
    if (now === this.curvesShown) return;
    this.curvesShown = now;
    const open = [...this.charts.querySelectorAll("details")].map((each) => each.open);
    this.charts.replaceChildren(run.curves.length ? curveCharts(run.curves) : "");
    this.charts.querySelectorAll("details").forEach((each, n) => { each.open = open[n] ?? false; });
  }

  over(run) {
    const parts = [];
    if (run.state === "failed") parts.push(notice("bad", "warning", h("p", {}, ...withCode(run.reason || "It failed, and left no reason.")), h("p", {}, h("a", { href: "/admin/models" }, "Train again"))));
    if (run.state === "cancelled") parts.push(notice("info", "info", h("p", {}, "It was cancelled. Nothing of it was kept."), h("p", {}, h("a", { href: "/admin/models" }, "Train again"))));
    if (run.state === "done") parts.push(...comparison(run, { refresh: () => this.look(), tell: (text) => this.tell(text) }));
    if (run.curves.length) parts.push(h("details", { class: "pt-card pt-fold" }, h("summary", {}, h("h2", {}, "How the fit went")), curveCharts(run.curves)));
    parts.push(recipe(run));
    return parts;
  }

  async cancel() {
    const sure = await ask({ title: "Cancel this training?", about: "Nothing of it is kept. Photos and labels stay as they are.", yes: "Cancel training", no: "Keep going", danger: true,
      act: () => api(`/api/models/runs/${this.id}/cancel`, { method: "POST" }) });
    if (sure) await this.look();
  }

  tell(text) {
    this.trouble.textContent = text;
    this.trouble.hidden = !text;
  }
}

function notice(kind, name, ...children) {
  return h("div", { class: `pt-notice pt-${kind}`, role: kind === "bad" ? "alert" : null }, icon(name, 20), h("div", { class: "pt-missing" }, ...children));
}

function madeFrom(run) {
  const asked = `Recipe ${run.recipe}, asked for by ${run.by ?? "the command line"}, ${moment(run.created_at)}`;
  const from = run.photos ? ` · from ${plural(run.photos, "labelled photo")}` : "";
  return `${asked}${from}${run.activate === "auto" ? " · activates itself if it is better" : ""}`;
}

/** Everything that is needed to do it again. */
function recipe(run) {
  const rows = Object.entries(run.values).map(([name, value]) => [name, Array.isArray(value) ? value.join(", ") : String(value)]);
  if (run.snapshot) rows.push(["snapshot of photos and labels", run.snapshot]);
  return h("details", { class: "pt-card pt-fold" }, h("summary", {}, h("h2", {}, "Recipe and snapshot")), h("p", { class: "pt-soft" }, madeFrom(run)),
    h("dl", { class: "pt-facts" }, ...rows.flatMap(([term, value]) => [h("dt", {}, term), h("dd", {}, value)])));
}
