// A page of photos to which the model gives the same label, most certain first: what is selected is decided in one stroke.

import { api } from "./api.js";
import { count, h, icon, percent, plural, say } from "./dom.js";
import { bodyOf } from "./library_address.js";
import { pickPhotos } from "./library_selection.js";
import { Lightbox } from "./lightbox.js";
import { askForLabel } from "./review_label.js";
import { keyButton, keyOf } from "./review_words.js";

const SIZES = [60, 120, 240];
const KEYED = 5;

export class GridReview {
  /** `on`: `seat`, `label()`, `choose(label)`, `view()`, `outbox`, `trouble(text)`, `empty()` */
  constructor(on) {
    this.on = on;
    this.photos = [];
    this.ids = new Set();
    this.size = SIZES[0];
    this.labels = h("select", { class: "pt-input", "aria-label": "Label", onchange: () => this.on.choose(this.labels.value) });
    this.sizes = h("select", { class: "pt-input pt-rev-size", "aria-label": "Photos on a page", onchange: () => { this.size = Number(this.sizes.value); this.show(); } },
      ...SIZES.map((size) => h("option", { value: size }, `${size} photos`)));
    this.tiles = h("ul", { class: "pt-grid pt-lib-page pt-rev-tiles", role: "listbox", "aria-multiselectable": "true", "aria-label": "Photos with this label" });
    this.end = h("div");
    this.bar = h("div", { class: "pt-selection pt-rev-bar", role: "region", "aria-label": "What to do with the selected photos" });
    this.element = h("div", {}, h("div", { class: "pt-rev-grid-head" }, h("label", { class: "pt-rev-label" }, h("span", { class: "pt-hidden" }, "Label"), this.labels), this.sizes,
      h("button", { type: "button", class: "pt-button pt-second pt-compact", "aria-keyshortcuts": "Control+a", onclick: () => this.all() }, "Select all ", h("kbd", { "aria-hidden": "true" }, "Ctrl A"))), this.tiles, this.end, this.bar);
    this.lightbox = new Lightbox(() => this.photos.map(enlarged));
    this.tiles.addEventListener("click", (event) => this.clicked(event));
    this.tiles.addEventListener("dblclick", (event) => { const photo = this.photoOf(event); if (photo) this.lightbox.open(enlarged(photo)); });
  }

  async show() {
    await this.showLabels();
    await this.read(null);
  }

  async showLabels() {
    try {
      const { labels } = await api("/api/review/labels", { method: "POST", json: { view: bodyOf(this.on.view()) } });
      this.labels.replaceChildren(...labels.map(({ id, name, photos }) => h("option", { value: id }, `${name} (${count(photos)})`)));
      if (!labels.some(({ id }) => String(id) === this.on.label())) this.on.choose(labels[0] ? String(labels[0].id) : "", true);
      this.labels.value = this.on.label();
    } catch (error) {
      this.on.trouble(error.message);
    }
  }

  /** Reads a page: the first one, or the one behind a photo. */
  async read(after) {
    this.photos = [];
    this.ids.clear();
    this.paint();
    if (!this.on.label()) return void this.end.replaceChildren(this.on.empty());
    try {
      const photos = await this.claim(this.size, after);
      if (!photos.length && after) return void await this.read(null);
      this.photos = photos;
      this.last = photos.at(-1);
      this.anchor = null;
      this.paint();
      this.focus(0);
      this.end.replaceChildren(...(photos.length ? [] : [this.on.empty()]));
    } catch (error) {
      this.on.trouble(error.message);
    }
  }

  get current() {
    return this.photos[0];
  }

  /** Asks for `count` photos behind a photo; those on the screen stay this tab's. */
  async claim(count, after = null) {
    const keep = [...this.photos.map(({ id }) => id), ...this.on.outbox.photos].slice(0, 500);
    const wanted = { seat: this.on.seat, label: Number(this.on.label()), view: bodyOf(this.on.view()), keep, after, count };
    const { photos } = await api("/api/review/grid", { method: "POST", json: wanted });
    this.claimedAt = Date.now();
    return photos;
  }

  paint() {
    this.tiles.replaceChildren(...this.photos.map((photo) => this.tile(photo)));
    this.paintPicked();
  }

  tile(photo) {
    return h("li", { class: "pt-tile pt-lib-tile pt-rev-tile", role: "option", tabindex: "-1", "data-id": photo.id },
      h("span", { class: "pt-tile-photo" }, photo.has_previews ? h("img", { src: `/media/${photo.id}/320.webp`, alt: "", loading: "lazy", decoding: "async", width: 320, height: 320 }) : h("span", { class: "pt-tile-none" }, icon("photos", 30))),
      h("span", { class: "pt-rev-tick", "aria-hidden": "true" }),
      h("p", { class: "pt-tile-words" }, h("span", { class: "pt-tile-name" }, photo.name), " ", h("span", { class: "pt-soft" }, percent(photo.score ?? 0))));
  }

  photoOf(event) {
    const tile = event.target.closest?.(".pt-rev-tile");
    return tile ? this.photos.find(({ id }) => id === Number(tile.dataset.id)) : undefined;
  }

  clicked(event) {
    const photo = this.photoOf(event);
    if (!photo) return;
    this.pick(photo, event.shiftKey);
    this.focus(this.photos.indexOf(photo));
  }

  pick(photo, isRange) {
    pickPhotos(this.ids, this.photos, photo, isRange ? this.anchor : null);
    this.anchor = photo.id;
    this.paintPicked();
    say(`${plural(this.ids.size, "photo")} selected`);
  }

  paintPicked() {
    for (const tile of this.tiles.children) {
      const picked = this.ids.has(Number(tile.dataset.id));
      tile.classList.toggle("pt-picked", picked);
      tile.setAttribute("aria-selected", String(picked));
    }
    this.paintBar();
  }

  /** The labels that the model gives these photos, the likeliest first: what the keys 1 to 5 mean here. */
  get keyed() {
    const sums = new Map();
    for (const { labels } of this.photos) for (const [id, name, score] of labels) sums.set(id, { id, name, sum: (sums.get(id)?.sum ?? 0) + score });
    return [...sums.values()].sort((a, b) => b.sum - a.sum).slice(0, KEYED);
  }

  paintBar() {
    const { size } = this.ids;
    this.bar.hidden = !this.photos.length;
    const name = this.labels.selectedOptions[0]?.textContent.replace(/ \([^(]*\)$/, "") ?? "";
    this.bar.replaceChildren(
      h("strong", {}, size ? `${count(size)} selected` : "The photo with the frame"),
      h("span", { class: "pt-selection-actions" },
        keyButton(`Accept “${name}”`, "Enter a", () => this.accept(), "pt-button pt-compact"),
        ...this.keyed.filter((label) => String(label.id) !== this.on.label()).map((label) => keyButton(label.name, `${this.keyed.findIndex(({ id }) => id === label.id) + 1}`, () => this.give(label))),
        keyButton("Another", "/", () => this.another()), keyButton("None", "x", () => this.decide("none")), keyButton("Cannot tell", "u", () => this.decide("unsure")),
        keyButton("Skip", "s", () => this.decide("skip")), keyButton("Next page", "n", () => this.next())));
  }

  get chosen() {
    if (this.ids.size) return this.photos.filter(({ id }) => this.ids.has(id));
    const focused = this.photos.find(({ id }) => id === this.focused);
    return focused ? [focused] : [];
  }

  accept() {
    this.give({ id: Number(this.on.label()), name: "" });
  }

  give(label) {
    if (label) this.decide("label", label);
  }

  async another() {
    if (!this.chosen.length) return;
    const label = await askForLabel(`Label of ${plural(this.chosen.length, "photo")}`);
    if (label) this.give(label);
  }

  decide(verdict, label = null) {
    const { chosen } = this;
    if (!chosen.length) return;
    this.on.outbox.decide("grid", chosen, verdict, { label });
    const at = this.photos.indexOf(chosen[0]);
    const gone = new Set(chosen.map(({ id }) => id));
    this.photos = this.photos.filter(({ id }) => !gone.has(id));
    for (const id of gone) {
      this.ids.delete(id);
      this.tiles.querySelector(`[data-id="${id}"]`)?.remove();
    }
    this.paintPicked();
    this.focus(Math.min(at, this.photos.length - 1));
    say(`${plural(gone.size, "photo")} decided, ${count(this.photos.length)} left on this page`);
    if (!this.photos.length) this.next();
  }

  /** Leaves the rest of this page undecided. */
  async next() {
    await this.on.outbox.settled();
    await this.read(this.photos.length ? [this.last.score ?? 0, this.last.id] : null);
    await this.showLabels();
  }

  all() {
    for (const { id } of this.photos) this.ids.add(id);
    this.paintPicked();
    say(`${plural(this.ids.size, "photo")} selected`);
  }

  none() {
    this.ids.clear();
    this.paintPicked();
  }

  undone() {
    return this.show();
  }

  focus(at) {
    const tile = this.tiles.children[at];
    this.focused = tile ? Number(tile.dataset.id) : null;
    for (const each of this.tiles.children) each.tabIndex = each === tile ? 0 : -1;
    tile?.focus({ preventScroll: false });
  }

  key(event) {
    const key = keyOf(event);
    const at = this.photos.findIndex(({ id }) => id === this.focused);
    const columns = getComputedStyle(this.tiles).gridTemplateColumns.split(" ").length;
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[key];
    const act = {
      Enter: () => this.accept(), a: () => this.accept(), "/": () => this.another(), x: () => this.decide("none"), u: () => this.decide("unsure"), s: () => this.decide("skip"),
      z: () => this.on.outbox.undo(), n: () => this.next(), Escape: () => this.none(), " ": () => this.photos[at] && this.pick(this.photos[at], event.shiftKey),
      o: () => this.photos[at] && this.lightbox.open(enlarged(this.photos[at])),
    }[key] ?? (by ? () => this.photos[at + by] && this.focus(at + by) : null) ?? (/^[1-5]$/.test(key) ? () => this.give(this.keyed[key - 1]) : null);
    if (!act || ((key === "Enter" || key === " ") && event.target.matches?.("button, a, summary"))) return false;
    act();
    return true;
  }
}

/** As the lightbox takes it. */
function enlarged({ id, name, labels, shown, width, height }) {
  return { id, photo_id: id, path: name, shown, labels: labels.map(([, label, score]) => [label, score]), width, height };
}
