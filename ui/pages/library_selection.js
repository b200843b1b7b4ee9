// Which photos are selected, and the bar at the bottom with what can be done with them.

import { api } from "./api.js";
import { askToDelete } from "./ask.js";
import { count, h, plural, say } from "./dom.js";
import { bodyOf, queryOf } from "./library_address.js";
import { askForLabel } from "./review_label.js";
import { mayReview } from "./review_words.js";

// What an address and a request may carry; more than that goes by the view.
const MAX_IDS = 2000;

/** Adds to `ids` what a click on a photo picks, or takes it out of them: the photo, or all from `anchor`'s up to it. */
export function pickPhotos(ids, photos, photo, anchor = null) {
  const from = photos.findIndex(({ id }) => id === anchor);
  const to = photos.findIndex(({ id }) => id === photo.id);
  const range = from >= 0 && to >= 0 ? photos.slice(Math.min(from, to), Math.max(from, to) + 1) : [photo];
  const adding = !ids.has(photo.id);
  for (const { id } of range) {
    if (adding) ids.add(id); else ids.delete(id);
  }
}

export class Selection {
  /** `on`: `photos()` in order, `view()`, `total()`, `painted()`, `deleted()`, `trouble(text)` */
  constructor(on) {
    this.on = on;
    this.ids = new Set();
    this.wholeView = false;
    this.anchor = null;
    this.element = h("div", { class: "pt-selection", role: "region", "aria-label": "Selected photos", hidden: true });
  }

  has(id) {
    return this.wholeView || this.ids.has(id);
  }

  get size() {
    return this.wholeView ? this.on.total() : this.ids.size;
  }

  /** A click on a photo's box: Shift selects up to the last one that was clicked. */
  pick(photo, event) {
    if (this.wholeView) {
      this.wholeView = false;
      this.ids = new Set(this.on.photos().map(({ id }) => id));
    }
    pickPhotos(this.ids, this.on.photos(), photo, event.shiftKey ? this.anchor : null);
    this.anchor = photo.id;
    this.paint();
  }

  all() {
    for (const { id } of this.on.photos()) this.ids.add(id);
    this.paint();
  }

  clear() {
    this.ids.clear();
    this.wholeView = false;
    this.anchor = null;
    this.paint();
  }

  paint() {
    const { size } = this;
    this.element.hidden = size === 0;
    document.body.classList.toggle("pt-selecting", size > 0);
    if (size) this.paintBar(size);
    this.on.painted();
    if (size) say(`${plural(size, "photo")} selected`);
  }

  paintBar(size) {
    const total = this.on.total();
    const focused = this.element.contains(document.activeElement) ? document.activeElement.textContent : null;
    const button = (text, act, kind = "") => h("button", { type: "button", class: `pt-button pt-second pt-compact ${kind}`, onclick: act }, text);
    const link = (text, path) => h("a", { class: "pt-button pt-second pt-compact", href: `${path}?${this.query()}`, download: "" }, text);
    this.element.replaceChildren(...[
      h("strong", {}, `${count(size)} selected`),
      !this.wholeView && total > size ? button(`Select all ${count(total)}`, () => { this.wholeView = true; this.paint(); }) : null,
      h("span", { class: "pt-selection-actions" },
        link("Download", "/api/library/photos.zip"), link("Export CSV", "/api/library/export.csv"),
        mayReview() ? button("Label…", () => this.label()) : null,
        button("Tag again", () => this.again()), button("Delete…", () => this.remove(), "pt-danger"), button("Clear", () => this.clear())),
    ].filter(Boolean));
    if (focused) [...this.element.querySelectorAll("button, a")].find((each) => each.textContent === focused)?.focus();
  }

  query() {
    return this.wholeView ? queryOf(this.on.view()) : new URLSearchParams({ ids: [...this.ids].slice(0, MAX_IDS).join() });
  }

  body(ids) {
    if (ids) return { ids };
    return this.wholeView ? { view: bodyOf(this.on.view()) } : { ids: [...this.ids] };
  }

  async again(ids) {
    try {
      const { id } = await api("/api/library/tag", { method: "POST", json: this.body(ids) });
      window.location.assign(`/app/batches?batch=${id}`);
    } catch (error) {
      this.on.trouble(error.message);
    }
  }

  /** One label for all, in one stroke; the button that takes it back stands until the next step. */
  async label() {
    const label = await askForLabel(`Label of ${plural(this.size, "photo")}`);
    if (!label) return;
    const send = (path, json) => api(`/api/review/${path}`, { method: "POST", json: { token: window.crypto.randomUUID(), ...json } });
    try {
      const { photos } = await send("selection", { selection: this.body(), verdict: "label", label: label.id });
      this.clear();
      await this.on.labelled(`${plural(photos, "photo is", "photos are")} “${label.name}” now.`, async () => {
        await send("undo", {});
        await this.on.labelled("Undone.");
      });
    } catch (error) {
      this.on.trouble(error.message);
    }
  }

  /** Asks, then deletes. `ids`: these instead of the selected ones. */
  async remove(ids) {
    return await askToDelete(ids?.length ?? this.size) ? this.removed(ids) : false;
  }

  async removed(ids) {
    try {
      const { photos } = await api("/api/library/delete", { method: "POST", json: this.body(ids) });
      this.clear();
      say(`${plural(photos, "photo")} deleted`);
      await this.on.deleted();
      return true;
    } catch (error) {
      this.on.trouble(error.message);
      return false;
    }
  }
}
