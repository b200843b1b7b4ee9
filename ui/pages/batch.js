// One batch: counts and a bar that move by themselves, what was refused and why, and the photos with their labels.

import { api, poll } from "./api.js";
import { ask } from "./ask.js";
import { count, duration, h, icon, moment, plural, say, setTitle } from "./dom.js";
import { PhotoGrid } from "./grid.js";
import { chip, fillBar, kindChip, progressBar, STATES } from "./batches.js";

const OPEN = ["receiving", "unpacking", "running"];
const LIVE_MS = 1000;
const TRIES_MS = 3000;
const RECENT = 8;
const FILTERS = [["all", "All", []], ["tagged", "Tagged", ["tagged"]], ["refused", "Refused", ["refused"]], ["failed", "Failed", ["failed"]]];

/** Shows the batch `id`, live while it is open. */
export async function showBatch(main, id) {
  const page = new BatchPage(main, id);
  await poll(() => page.look(), () => page.pause);
}

class BatchPage {
  constructor(main, id) {
    this.id = id;
    this.main = main;
    this.pause = LIVE_MS;
    this.state = null;
    this.grid = null;
    this.box = h("div", {}, h("p", { class: "pt-soft" }, "Loading the batch…"));
    main.append(this.box);
  }

  async look() {
    let batch;
    try {
      batch = await api(`/api/batches/${encodeURIComponent(this.id)}`);
    } catch (error) {
      if (error.status === 404 || error.status === 422) return this.missing();
      this.trouble(error.message);
      this.pause = TRIES_MS;
      return true;
    }
    this.pause = LIVE_MS;
    this.trouble("");
    if (!this.grid) this.build(batch);
    const ended = this.state !== null && this.state !== batch.state && !OPEN.includes(batch.state);
    this.state = batch.state;
    this.paint(batch);
    if (ended) say(`The batch is ${STATES[batch.state]}.`);
    const open = OPEN.includes(batch.state);
    await Promise.all([this.grid.refresh(open), open ? this.paintRecent() : this.recent.replaceChildren()]).catch((error) => this.trouble(error.message));
    return open;
  }

  missing() {
    setTitle("No such batch");
    this.box.replaceChildren(h("div", { class: "pt-empty pt-card" }, icon("info", 44), h("h1", {}, "There is no such batch"),
      h("p", { class: "pt-soft" }, "Its address may be cut off, or it belongs to somebody else."), h("a", { class: "pt-button", href: "/app/batches" }, "See all batches")));
    return false;
  }

  build(batch) {
    setTitle(batch.name);
    this.chip = h("span");
    this.bar = progressBar(batch.counts, "Photos done");
    this.numbers = h("p", { class: "pt-numbers" });
    this.actions = h("div", { class: "pt-row" });
    this.problem = h("p", { class: "pt-soft pt-trouble", role: "status" });
    this.archives = h("div");
    this.reasons = h("ul", { class: "pt-reasons", "aria-label": "Why photos were not tagged" });
    this.recent = h("div");
    this.filters = h("div", { class: "pt-filters", role: "group", "aria-label": "Which photos" });
    this.grid = new PhotoGrid(this.id);
    this.box.replaceChildren(
      h("p", { class: "pt-crumb" }, h("a", { href: "/app/batches" }, "All batches")),
      h("div", { class: "pt-head" }, h("h1", {}, batch.name), this.chip, kindChip(batch.kind)),
      h("section", { class: "pt-card pt-progress", "aria-label": "Progress" }, this.bar, this.numbers, this.reasons, this.actions, this.problem),
      this.archives, this.recent,
      h("div", { class: "pt-grid-head" }, h("h2", {}, "Photos"), h("a", { class: "pt-soft", href: `/app/library?batch=${this.id}` }, "Filter and sort them in the Library"), this.filters), this.grid.element);
  }

  paint(batch) {
    const { counts } = batch;
    this.chip.replaceChildren(chip(batch.state));
    fillBar(this.bar, counts);
    const open = OPEN.includes(batch.state);
    const photos = counts.total - counts.skipped;
    const numbers = [
      [`${count(counts.tagged)} of ${plural(photos, "photo")} tagged`, "strong"],
      counts.refused ? [`${count(counts.refused)} refused`] : null,
      counts.failed ? [`${count(counts.failed)} failed`] : null,
      counts.cancelled ? [`${count(counts.cancelled)} cancelled`] : null,
      counts.skipped ? [`${plural(counts.skipped, "other file")} skipped`] : null,
      batch.rate_per_s ? [`${batch.rate_per_s >= 10 ? Math.round(batch.rate_per_s) : batch.rate_per_s.toFixed(1)} photos/s`] : null,
      open && batch.seconds_left !== null ? [`about ${duration(batch.seconds_left)} left`] : null,
      batch.finished_at ? [`ended ${moment(batch.finished_at)}`] : [`begun ${moment(batch.created_at)}`],
    ].filter(Boolean);
    this.numbers.replaceChildren(...numbers.map(([text, kind]) => h(kind ?? "span", {}, text)));
    this.paintActions(batch);
    this.paintWords(batch);
    this.paintFilters(counts);
  }

  paintActions(batch) {
    const wanted = `${batch.can_cancel}${batch.can_retry}${batch.counts.total > 0}`;
    if (this.actions.dataset.wanted === wanted) return; // keeps the focus
    this.actions.dataset.wanted = wanted;
    const button = (text, act, kind = "") => h("button", { type: "button", class: `pt-button pt-second ${kind}`, onclick: act }, text);
    const download = (text, form) => h("a", { class: "pt-button pt-second", href: `/api/batches/${this.id}/results.${form}`, download: "" }, text);
    this.actions.replaceChildren(...[
      batch.counts.total ? download("Download CSV", "csv") : null,
      batch.counts.total ? download("Download JSON Lines", "jsonl") : null,
      batch.can_retry ? button("Retry failed photos", () => this.act("retry")) : null,
      batch.can_cancel ? button("Cancel batch", () => this.confirmCancel(), "pt-danger") : null,
      button("Delete batch", () => this.confirmDelete(), "pt-danger"),
    ].filter(Boolean));
  }

  async confirmCancel() {
    const sure = await ask({ title: "Cancel this batch?", about: "Photos that are tagged keep their labels. The others will not be tagged.", yes: "Cancel batch", no: "Keep going", danger: true });
    if (sure) this.act("cancel");
  }

  async confirmDelete() {
    const about = [
      "Its photos go, with their labels, their previews and phototag's own copies. What is still being tagged is cancelled. This cannot be undone.",
      "Photos that another batch has too stay there. Files that phototag reads where they lie are yours: they are never touched.",
    ];
    if (await ask({ title: "Delete this batch?", about, yes: "Delete batch", no: "Keep it", danger: true })) this.remove();
  }

  async remove() {
    try {
      await api(`/api/batches/${this.id}`, { method: "DELETE" });
      window.location.assign("/app/batches");
    } catch (error) {
      this.trouble(error.message);
    }
  }

  async act(verb) {
    try {
      const answer = await api(`/api/batches/${this.id}/${verb}`, { method: "POST" });
      if (verb === "retry") window.location.assign(`/app/batches?batch=${answer.id}`);
      else this.paint(answer);
    } catch (error) {
      this.trouble(error.message);
    }
  }

  /** Why archives and photos were not taken, and what a waiting batch waits for. */
  paintWords(batch) {
    const words = [];
    if (batch.state === "receiving") words.push("Its upload is not finished. If nobody is sending it, drop the same files on the Tag page to continue.");
    if (batch.state === "refused") words.push(`Nothing of this batch could be tagged: ${batch.reason}.`);
    const archives = batch.archives.filter(({ state }) => state !== "unpacked");
    this.archives.replaceChildren(...words.map((text) => h("p", { class: "pt-notice pt-info" }, icon("info", 20), h("span", {}, text))),
      ...archives.map(({ path, state, reason }) => h("p", { class: `pt-notice ${state === "refused" ? "pt-bad" : "pt-info"}` }, icon(state === "refused" ? "warning" : "info", 20),
        h("span", {}, h("strong", {}, path), state === "refused" ? ` was refused: ${reason}.` : state === "cancelled" ? " was cancelled." : " is being unpacked."))));
    this.reasons.replaceChildren(...batch.reasons.map(({ text, count: n }) => h("li", {}, h("strong", {}, count(n)), ` ${text}`)));
  }

  paintFilters(counts) {
    const numbers = { all: counts.total - counts.skipped, tagged: counts.tagged, refused: counts.refused + counts.skipped, failed: counts.failed };
    const wanted = FILTERS.filter(([key]) => key === "all" || numbers[key] > 0);
    if (!wanted.some(([key]) => key === this.filter)) this.filter = "all";
    const now = JSON.stringify([wanted.map(([key]) => [key, numbers[key]]), this.filter]);
    if (now === this.filtersShown) return;
    this.filtersShown = now;
    const focused = document.activeElement?.dataset?.filter;
    this.filters.replaceChildren(...wanted.map(([key, text, states]) => h("button", {
      type: "button", "data-filter": key, "aria-pressed": String(key === this.filter),
      onclick: () => { this.filter = key; this.paintFilters(counts); this.grid.show(states); },
    }, `${text} ${count(numbers[key])}`)));
    if (focused) this.filters.querySelector(`[data-filter="${focused}"]`)?.focus();
  }

  async paintRecent() {
    const { items } = await api(`/api/batches/${this.id}/recent?limit=${RECENT}`);
    const now = items.map(({ id }) => id).join();
    if (now === this.recentShown) return;
    this.recentShown = now;
    this.recent.replaceChildren(...(items.length ? [h("section", { "aria-label": "Just tagged" }, h("h2", {}, "Just tagged"),
      h("div", { class: "pt-recent" }, ...items.map((item) => h("figure", {},
        item.has_previews ? h("img", { src: `/media/${item.photo_id}/320.webp`, alt: "", width: 160, height: 160, decoding: "async" }) : h("span", { class: "pt-tile-none" }),
        h("figcaption", {}, item.shown ?? "")))))] : []));
  }

  trouble(text) {
    if (this.problem) this.problem.textContent = text;
    else if (text) this.box.replaceChildren(h("p", { class: "pt-notice pt-bad", role: "alert" }, icon("warning", 20), h("span", {}, text)));
  }
}
