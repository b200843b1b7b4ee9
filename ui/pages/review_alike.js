// The photos that look most like the one on the screen: those that are chosen get its label, in the same stroke.

import { api } from "./api.js";
import { h, icon, plural, say } from "./dom.js";

// Who only passes by does not ask.
const DWELL_MS = 200;

export class LookAlikes {
  constructor() {
    this.photos = [];
    this.ids = new Set();
    this.heading = h("h2", {}, "Look-alikes");
    this.all = h("button", { type: "button", class: "pt-quiet", "aria-keyshortcuts": "l", onclick: () => this.toggleAll() });
    this.list = h("ul", { class: "pt-alike" });
    this.hint = h("p", { class: "pt-soft" });
    this.element = h("section", { class: "pt-rev-alike", "aria-label": "Look-alikes", hidden: true }, h("div", { class: "pt-rev-alike-head" }, this.heading, this.all), this.list, this.hint);
  }

  get picked() {
    return this.photos.filter(({ id }) => this.ids.has(id));
  }

  show(photo) {
    clearTimeout(this.dwelling);
    this.asking?.abort();
    this.photos = [];
    this.ids.clear();
    this.element.hidden = true;
    if (photo) this.dwelling = setTimeout(() => this.look(photo), DWELL_MS);
  }

  async look(photo) {
    this.asking = new AbortController();
    try {
      const { photos } = await api(`/api/review/photos/${photo.id}/alike`, { signal: this.asking.signal });
      this.photos = photos;
      this.element.hidden = !photos.length;
      this.paint();
    } catch (error) {
      if (error.name !== "AbortError") this.element.hidden = true; // the photo can be reviewed without
    }
  }

  paint() {
    this.list.replaceChildren(...this.photos.map((photo) => this.tile(photo)));
    this.paintPicked();
  }

  tile(photo) {
    const label = photo.shown ?? (photo.by_person ? "none" : "");
    return h("li", {}, h("button", { type: "button", class: "pt-alike-photo", "data-id": photo.id, title: photo.name, onclick: () => this.toggle([photo.id]) },
      h("img", { src: `/media/${photo.id}/320.webp`, alt: photo.name, width: 96, height: 96, loading: "lazy", decoding: "async" }),
      h("span", { class: "pt-alike-label" }, photo.by_person ? h("span", { class: "pt-by-person", title: "named by a person" }, icon("person", 13)) : null, label)));
  }

  toggle(ids) {
    const adding = ids.some((id) => !this.ids.has(id));
    for (const id of ids) if (adding) this.ids.add(id); else this.ids.delete(id);
    this.paintPicked();
    say(this.ids.size ? `${plural(this.ids.size, "look-alike")} chosen: they get the same label` : "No look-alike chosen");
  }

  /** All that no person has named, or none. */
  toggleAll() {
    if (this.photos.length) this.toggle(this.photos.filter(({ by_person }) => !by_person).map(({ id }) => id));
  }

  paintPicked() {
    for (const button of this.list.querySelectorAll("button")) button.setAttribute("aria-pressed", String(this.ids.has(Number(button.dataset.id))));
    this.all.replaceChildren(this.ids.size ? "Choose none" : "Choose all", " ", h("kbd", { "aria-hidden": "true" }, "L"));
    this.hint.textContent = this.ids.size ? `${plural(this.ids.size, "of them gets", "of them get")} the label that you choose, in one stroke.` : "Choose those that are the same: your label goes to them too.";
  }
}
