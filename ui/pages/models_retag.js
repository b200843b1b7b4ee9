// Re-tagging after an activation: the batch that reads features, what would flip, showing it; and after a roll back, the way home.

import { api } from "./api.js";
import { ask } from "./ask.js";
import { fillBar, progressBar } from "./batches.js";
import { count, h, icon, plural, say } from "./dom.js";
import { small } from "./models_photos.js";

const OPEN = ["receiving", "unpacking", "running"];
const FEW = 10;
// What is being applied: it goes on after a reload.
const KEPT = "pt-retag";
const RESTORE = { path: "restore", json: undefined, words: "Photos show again what they showed before" };

/** The section. `on`: `tell(text)`, `changed()`. `paint(state, known)` shows what GET /api/models/retag answers. */
export function retagCard(on) {
  return new RetagCard(on);
}

class RetagCard {
  constructor(on) {
    this.on = on;
    this.shown = "";
    this.all = false;
    this.working = false;
    this.message = "";
    this.body = h("div", { class: "pt-retag-body" });
    this.element = h("section", { class: "pt-card pt-retag", id: "pt-retag", "aria-labelledby": "pt-retag-title", hidden: true }, h("h2", { id: "pt-retag-title" }, "Re-tag the library"), this.body);
  }

  get isOpen() {
    return this.working || Boolean(this.state?.batch && OPEN.includes(this.state.batch.state));
  }

  async paint(state, known) {
    const first = !this.state;
    if (this.state?.version !== state.version && !state.restoring) this.message = "";
    this.state = state;
    // as long as one version alone has tagged there is nothing that it says otherwise
    const isFirst = known.versions.filter((version) => version.activated_at).length < 2;
    this.element.hidden = !state.version || (isFirst && !state.batch);
    if (this.element.hidden || this.working) return;
    const kept = readKept();
    if (state.restoring) return void this.work(RESTORE);
    if (kept && kept.version === state.version) return void this.work(applying(kept));
    if (kept) localStorage.removeItem(KEPT);
    const now = JSON.stringify([state, this.message]);
    if (now === this.shown) return;
    this.shown = now;
    if (this.isOpen) this.batch(state.batch);
    else await this.preview(state);
    if (first && window.location.hash === "#pt-retag") this.element.scrollIntoView();
  }

  /** A batch under way; only its numbers move. */
  batch(batch) {
    if (!this.bar?.isConnected) {
      this.bar = progressBar(batch.counts, "Photos re-tagged");
      this.numbers = h("p", { class: "pt-numbers" });
      this.body.replaceChildren(this.bar, this.numbers, h("p", { class: "pt-soft" }, "Pages go on showing what they show: when it is done you see what would change, and decide."),
        h("div", { class: "pt-row" }, button("Cancel", () => this.cancel(), "pt-second pt-danger"), h("a", { class: "pt-button pt-second pt-compact", href: `/app/batches?batch=${batch.id}` }, "See the batch")));
    }
    fillBar(this.bar, batch.counts);
    this.numbers.replaceChildren(h("strong", {}, `${count(batch.counts.tagged)} of ${plural(batch.counts.total, "photo")} looked at again`));
  }

  async preview(state) {
    let found;
    try {
      found = await api("/api/models/retag/preview");
    } catch (error) {
      this.shown = "";
      return this.on.tell(error.message);
    }
    const photos = found.flips.reduce((sum, flip) => sum + flip.photos, 0);
    const parts = [];
    if (this.message) parts.push(h("p", { class: "pt-notice pt-info" }, icon("info", 20), h("span", {}, this.message)));
    if (photos || found.same) parts.push(...this.flips(found, photos));
    else if (state.batch?.state === "finished") parts.push(h("p", {}, `Done: photos show what “${state.version}” says. What people said stayed as it was.`));
    if (state.batch?.state === "cancelled") parts.push(h("p", { class: "pt-soft" }, `The last re-tag was cancelled when ${count(state.batch.counts.tagged)} of ${plural(state.batch.counts.total, "photo")} had been looked at; that is kept.`));
    const again = Boolean(state.batch) && state.batch.state !== "cancelled";
    parts.push(this.starter(state, again, Boolean(photos || found.same)));
    this.body.replaceChildren(...parts);
  }

  starter({ version, batch }, again, second) {
    const about = again ? "Photos that came since are looked at too." : `“${version}” looks again at every photo that it has not tagged, from what is kept of them: seconds, not hours. Nothing that is shown changes before you have seen it.`;
    return h("div", { class: "pt-retag-start" }, h("p", { class: "pt-soft pt-models-text" }, about), h("div", { class: "pt-row" },
      button(again ? "Re-tag again" : batch ? "Go on with the re-tag" : "Re-tag", () => this.start(), again || second ? "pt-second" : "")));
  }

  flips({ flips, same, version }, photos) {
    const list = h("ul", { class: "pt-flips" }, ...flips.slice(0, this.all ? flips.length : FEW).map((flip) => this.flip(flip, version)));
    const more = flips.length > FEW && !this.all ? h("button", { type: "button", class: "pt-quiet pt-linked", onclick: () => { this.all = true; this.shown = ""; this.preview(this.state); } }, `Show all ${count(flips.length)} pairs`) : null;
    const total = photos + same;
    const head = photos ? `${plural(photos, "photo")} would show another label` : "No photo would show another label";
    return [h("h3", {}, head), same ? h("p", { class: "pt-soft" }, `${plural(same, "photo")} would keep the label, with another score.`) : null, flips.length ? list : null, more,
      h("div", { class: "pt-row" }, button(`Apply all (${plural(total, "photo")})`, () => this.apply(version, null, total), ""))].filter(Boolean);
  }

  flip(flip, version) {
    const apply = button("Apply", () => this.apply(version, flip.pair, flip.photos), "pt-second");
    apply.setAttribute("aria-label", `Apply ${flip.from} → ${flip.to}`);
    return h("li", { class: "pt-flip" }, h("span", { class: "pt-flip-words" }, h("strong", {}, count(flip.photos)), ` ${flip.from} → ${flip.to}`),
      h("span", { class: "pt-flip-samples" }, ...flip.samples.map((photo) => h("a", { href: `/app/library?photo=${photo.id}`, "aria-label": `A photo: ${flip.from} → ${flip.to}` }, small(photo)))), apply);
  }

  apply(version, pair, total) {
    const kept = { version, pair, total };
    localStorage.setItem(KEPT, JSON.stringify(kept));
    return this.work(applying(kept));
  }

  /** Calls a route again and again until nothing is left; it works for some seconds each time. */
  async work({ path, json, words }) {
    if (this.working) return;
    this.working = true;
    this.bar = null;
    const fill = h("span", { class: "pt-part pt-part-tagged" });
    const bar = h("div", { class: "pt-bar pt-bar-big", role: "progressbar", "aria-label": words, "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": 0 }, fill);
    const numbers = h("p", { class: "pt-numbers" }, h("strong", {}, `${words}…`));
    this.body.replaceChildren(bar, numbers, h("p", { class: "pt-soft" }, "You may leave the page: it goes on when you come back."));
    let done = 0;
    try {
      for (;;) {
        const answer = await api(`/api/models/retag/${path}`, { method: "POST", json });
        done += answer.done;
        const share = done + answer.left ? done / (done + answer.left) : 1;
        fill.style.width = `${share * 100}%`;
        bar.setAttribute("aria-valuenow", Math.round(share * 100));
        numbers.replaceChildren(h("strong", {}, `${words}: ${count(done)} of ${plural(done + answer.left, "photo")}`));
        if (!answer.left) break;
      }
      this.message = `${words}: ${plural(done, "photo")}.`;
      say(this.message);
    } catch (error) {
      this.message = "";
      this.on.tell(error.message);
    }
    if (path === "apply") localStorage.removeItem(KEPT);
    this.working = false;
    this.shown = "";
    await this.on.changed();
  }

  async start() {
    try {
      this.message = "";
      await api("/api/models/retag", { method: "POST" });
    } catch (error) {
      if (error.status !== 409) return this.on.tell(error.message);
      this.message = error.message;
      say(error.message);
    }
    await this.on.changed();
  }

  async cancel() {
    const sure = await ask({ title: "Cancel the re-tag?", about: "What it has looked at is kept; it can go on later.", yes: "Cancel it", no: "Keep going", danger: true, act: () => api(`/api/batches/${this.state.batch.id}/cancel`, { method: "POST" }) });
    if (sure) await this.on.changed();
  }
}

function applying({ version, pair }) {
  return { path: "apply", json: { version, pair }, words: `Photos show what “${version}” says` };
}

function readKept() {
  try {
    return JSON.parse(localStorage.getItem(KEPT));
  } catch {
    return null;
  }
}

function button(text, act, kind) {
  return h("button", { type: "button", class: `pt-button pt-compact ${kind}`, onclick: act }, text);
}
