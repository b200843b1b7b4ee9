// The library's photos as tiles, a section for each page. Sections far from the screen are emptied and keep their
// height: a hundred thousand photos weigh no more than a few screens.

import { api } from "./api.js";
import { h, icon, percent, shownOf } from "./dom.js";
import { queryOf } from "./library_address.js";

export const PAGE = 60;
const AHEAD_PX = 1200;
const WAITING = { untagged: "waits to be tagged", refused: "was refused", failed: "failed" };

export class LibraryGrid {
  /**
   * @param {object} on - `open(photo)`, `pick(photo, event)`, `place(cursor)` when scrolled, `trouble(text)`
   * @param {(id: number) => boolean} isPicked
   */
  constructor(on, isPicked) {
    this.on = on;
    this.isPicked = isPicked;
    this.sections = h("div", { class: "pt-lib-sections" });
    this.earlier = h("button", { type: "button", class: "pt-button pt-second pt-lib-earlier", hidden: true, onclick: () => this.before() }, "Show the photos before these");
    this.empty = h("div");
    this.end = h("div", { class: "pt-grid-end" });
    this.element = h("div", { class: "pt-lib-grid" }, this.earlier, this.sections, this.empty, this.end);
    this.seen = new IntersectionObserver((entries) => entries.forEach((entry) => this.paintSection(entry)), { rootMargin: `${AHEAD_PX}px 0px` });
    new IntersectionObserver((seen) => { if (seen.some(({ isIntersecting }) => isIntersecting)) this.more(); }, { rootMargin: `${AHEAD_PX}px` }).observe(this.end);
    window.addEventListener("scroll", () => this.tellPlace(), { passive: true });
    this.element.addEventListener("keydown", (event) => this.move(event));
    this.pages = [];
  }

  /** Shows the photos of a view, from the place it names. */
  async show(view) {
    this.view = view;
    this.pages = [];
    this.complete = false;
    this.reading = null;
    this.seen.disconnect();
    this.sections.replaceChildren();
    this.empty.replaceChildren();
    this.earlier.hidden = true;
    await this.more(view.at ? { after: view.at } : {});
    this.earlier.hidden = !view.at || this.lacksBefore;
  }

  get photos() {
    return this.pages.flatMap(({ photos }) => photos);
  }

  more(from) {
    this.reading ??= this.readOn(from).catch((error) => this.on.trouble(error.message)).finally(() => { this.reading = null; });
    return this.reading;
  }

  async readOn(from) {
    const { pages } = this;
    while (!this.complete && this.end.getBoundingClientRect().top < window.innerHeight + AHEAD_PX) {
      const last = pages.at(-1)?.photos.at(-1);
      const found = await this.read(last ? { after: last.cursor } : from ?? {});
      if (pages !== this.pages) return; // another view by now
      if (!pages.length) this.lacksBefore = !found.more_before;
      this.complete = !found.more_after;
      if (!found.photos.length) break;
      this.add(found.photos, false);
    }
    if (pages === this.pages && !pages.length) this.on.empty(this.empty);
  }

  async before() {
    const first = this.pages[0]?.photos[0];
    if (!first) return this.show({ ...this.view, at: "" });
    const { pages } = this;
    const found = await this.read({ before: first.cursor });
    if (pages !== this.pages) return;
    const height = document.documentElement.scrollHeight;
    if (found.photos.length) this.add(found.photos, true);
    window.scrollBy(0, document.documentElement.scrollHeight - height);
    this.earlier.hidden = !found.more_before;
  }

  read(place) {
    return api(`/api/library?${queryOf(this.view, { limit: PAGE, ...place })}`);
  }

  add(photos, first) {
    const page = { photos, list: h("ul", { class: "pt-grid pt-lib-page" }) };
    if (first) this.pages.unshift(page); else this.pages.push(page);
    if (first) this.sections.prepend(page.list); else this.sections.append(page.list);
    this.fill(page);
    this.seen.observe(page.list);
  }

  fill(page) {
    page.list.replaceChildren(...page.photos.map((photo) => this.tile(photo)));
    page.list.style.minHeight = "";
    page.filled = true;
  }

  paintSection({ target, isIntersecting, boundingClientRect }) {
    const page = this.pages.find(({ list }) => list === target);
    if (!page) return;
    if (isIntersecting && !page.filled) this.fill(page);
    if (!isIntersecting && page.filled && boundingClientRect.height && !target.contains(document.activeElement)) {
      target.style.minHeight = `${boundingClientRect.height}px`;
      target.replaceChildren();
      page.filled = false;
    }
  }

  tile(photo) {
    const picked = this.isPicked(photo.id);
    const label = photo.not_sure && !photo.by_person ? h("span", { class: "pt-unsure" }, "not sure") : h("span", { class: "pt-tile-label" }, shownOf(photo) ?? WAITING[photo.state] ?? "");
    const score = photo.score === null || (photo.not_sure && !photo.by_person) ? null : h("span", { class: "pt-soft" }, percent(photo.score));
    const picture = photo.has_previews
      ? h("img", { src: `/media/${photo.id}/320.webp`, alt: "", loading: "lazy", decoding: "async", width: 320, height: 320 })
      : h("span", { class: "pt-tile-none" }, icon(photo.state === "untagged" ? "photos" : "warning", 30));
    const box = h("input", { type: "checkbox", class: "pt-pick", "aria-label": `Select ${photo.name}` });
    box.checked = picked;
    box.addEventListener("click", (event) => this.on.pick(photo, event));
    const address = new URL(window.location.href);
    address.searchParams.set("photo", photo.id);
    const link = h("a", { class: "pt-tile-photo", href: address.pathname + address.search, title: photo.name, onclick: (event) => this.opened(photo, event) },
      picture, h("span", { class: "pt-hidden" }, `${photo.not_sure && !photo.by_person ? "not sure" : shownOf(photo) ?? WAITING[photo.state] ?? ""}, ${photo.name}`));
    return h("li", { class: `pt-tile pt-lib-tile ${picked ? "pt-picked" : ""}`, "data-id": photo.id }, link, box, h("p", { class: "pt-tile-words", "aria-hidden": "true" }, label, score));
  }

  opened(photo, event) {
    if (event.metaKey || (event.ctrlKey && !event.shiftKey) || event.button) return; // another tab, as anywhere
    event.preventDefault();
    if (event.shiftKey) this.on.pick(photo, event);
    else this.on.open(photo);
  }

  /** Paints which photos are selected, without touching the pictures. */
  paintPicked() {
    for (const tile of this.sections.querySelectorAll(".pt-lib-tile")) {
      const picked = this.isPicked(Number(tile.dataset.id));
      tile.classList.toggle("pt-picked", picked);
      tile.querySelector(".pt-pick").checked = picked;
    }
  }

  /** Arrow keys walk over the tiles; Space selects. */
  move(event) {
    const tile = event.target.closest?.(".pt-lib-tile");
    if (!tile || event.ctrlKey || event.metaKey) return;
    if (event.key === " " && event.target.matches("a")) {
      event.preventDefault();
      const photo = this.photos.find(({ id }) => id === Number(tile.dataset.id));
      return void this.on.pick(photo, event);
    }
    const tiles = [...this.sections.querySelectorAll(".pt-lib-tile")];
    const columns = getComputedStyle(tile.parentElement).gridTemplateColumns.split(" ").length;
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
    if (!by) return;
    event.preventDefault();
    tiles[tiles.indexOf(tile) + by]?.querySelector("a").focus();
  }

  focus(id) {
    this.sections.querySelector(`[data-id="${id}"] a`)?.focus();
  }

  /** The cursor ahead of the first section on the screen: where a reload begins. */
  tellPlace() {
    clearTimeout(this.telling);
    this.telling = setTimeout(() => {
      const at = this.pages.findIndex(({ list }) => list.getBoundingClientRect().bottom > 120);
      if (at < 0) return;
      const ahead = this.pages[at - 1]?.photos.at(-1)?.cursor;
      this.on.place(ahead ?? (this.earlier.hidden ? "" : this.view.at));
    }, 250);
  }
}
