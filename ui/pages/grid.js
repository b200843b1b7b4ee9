// The photos of a batch as tiles: read page by page while scrolling, filled in while they are being tagged.

import { api } from "./api.js";
import { h, icon, percent } from "./dom.js";
import { Lightbox } from "./lightbox.js";

const PAGE = 60;
const OPEN = ["ready", "leased"];
// A tick asks again for at most this many pages of tiles that are on the screen and not finished.
const REFRESHED = 3;
const AHEAD_PX = 800;

export class PhotoGrid {
  constructor(batch) {
    this.batch = batch;
    this.states = [];
    this.tiles = h("ul", { class: "pt-grid" });
    this.end = h("div", { class: "pt-grid-end" });
    this.empty = h("p", { class: "pt-soft pt-grid-empty" });
    this.element = h("div", {}, this.tiles, this.empty, this.end);
    this.lightbox = new Lightbox(() => [...this.shown.values()].filter(({ item }) => item.has_previews).map(({ item }) => item));
    new IntersectionObserver((seen) => { if (seen.some(({ isIntersecting }) => isIntersecting)) this.more(); }, { rootMargin: `${AHEAD_PX}px` }).observe(this.end);
    this.clear();
  }

  clear() {
    this.pages = [];
    this.shown = new Map();
    this.complete = false;
    this.reading = null;
    this.tiles.replaceChildren();
    this.empty.textContent = "";
  }

  /** Shows only items in these states; none: all. */
  show(states) {
    this.states = states;
    this.clear();
    this.more();
  }

  /** Reads the next page, and the ones after it while there is room on the screen. */
  more() {
    this.reading ??= this.readOn().finally(() => { this.reading = null; });
    return this.reading;
  }

  async readOn() {
    const { pages } = this;
    while (!this.complete && this.end.getBoundingClientRect().top < window.innerHeight + AHEAD_PX) {
      const page = { after: pages.at(-1)?.last ?? "", last: "", ids: [] };
      const found = await this.read(page.after);
      if (pages !== this.pages) return; // the filter was changed meanwhile
      this.complete = !found.more;
      if (!found.items.length) break;
      pages.push(page);
      this.put(page, found.items);
    }
    if (pages === this.pages) this.empty.textContent = this.shown.size ? "" : "No photos here yet.";
  }

  read(after) {
    const query = new URLSearchParams({ limit: PAGE, after });
    this.states.forEach((state) => query.append("state", state));
    return api(`/api/batches/${this.batch}/items?${query}`);
  }

  put(page, items) {
    for (const item of items) {
      if (item.is_junk && !this.states.length) continue; // of nobody's interest among the photos; listed under "Refused"
      const known = this.shown.get(item.id);
      if (known && known.item.state === item.state && known.item.has_previews === item.has_previews) continue;
      const tile = h("li", { class: `pt-tile pt-is-${item.state}`, "data-id": item.id }, ...this.inside(item));
      if (known) known.tile.replaceChildren(...tile.childNodes), known.tile.className = tile.className, known.item = item;
      else {
        this.shown.set(item.id, { item, tile });
        page.ids.push(item.id);
        this.tiles.append(tile);
      }
    }
    if (items.length) page.last = items.at(-1).cursor;
  }

  inside(item) {
    const name = item.path.split("/").at(-1);
    if (item.state === "tagged") {
      const score = item.not_sure ? null : item.labels.find(([label]) => label === item.shown)?.[1];
      const picture = item.has_previews
        ? h("img", { src: `/media/${item.photo_id}/320.webp`, alt: "", loading: "lazy", decoding: "async", width: 320, height: 320 })
        : h("span", { class: "pt-tile-none" }, icon("photos", 32));
      return [h("button", { type: "button", class: "pt-tile-photo", title: item.path, "aria-label": `${item.shown}, ${name}: show larger`, onclick: () => this.lightbox.open(item) }, picture),
        h("p", { class: "pt-tile-words" }, h("span", { class: item.not_sure ? "pt-unsure" : "pt-tile-label" }, item.shown), score === undefined || score === null ? null : h("span", { class: "pt-soft" }, percent(score)))];
    }
    const waits = OPEN.includes(item.state);
    return [h("span", { class: `pt-tile-none ${waits ? "pt-waits" : ""}` }, waits ? null : icon(item.state === "cancelled" ? "close" : "warning", 28), h("span", { class: "pt-tile-why" }, waits ? "" : item.reason || item.state)),
      h("p", { class: "pt-tile-words", title: item.path }, h("span", { class: "pt-tile-name" }, name), waits ? h("span", { class: "pt-soft" }, "waiting") : null)];
  }

  /** Looks again at what is on the screen and not finished, and at the end of a list that may have grown. */
  async refresh(open) {
    if (this.reading) return;
    const unfinished = this.pages.filter((page) => page.ids.length && page.ids.some((id) => OPEN.includes(this.shown.get(id).item.state)) && this.isSeen(page));
    const { pages } = this;
    for (const page of unfinished.slice(0, REFRESHED)) {
      const found = await this.read(page.after);
      if (pages !== this.pages) return;
      this.put(page, found.items.filter(({ id }) => this.shown.has(id)));
    }
    if (this.states.length && unfinished.length === 0 && !open && !this.shown.size) this.complete = false;
    if (open || !this.pages.length) this.complete = false;
    await this.more();
  }

  isSeen(page) {
    const first = this.shown.get(page.ids[0]).tile.getBoundingClientRect();
    const last = this.shown.get(page.ids.at(-1)).tile.getBoundingClientRect();
    return first.top < window.innerHeight + AHEAD_PX && last.bottom > -AHEAD_PX;
  }
}
