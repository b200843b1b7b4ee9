// Photos that look alike, side by side: what differs, which one to keep, and what a person wants done with them.

import { api } from "./api.js";
import { askToDelete } from "./ask.js";
import { bytes, count, h, icon, plural, say } from "./dom.js";
import { Lightbox } from "./lightbox.js";

const NAMED = 6;

/** What is compared: a text for each photo; those that differ stand out. */
const FACTS = [
  ({ width, height }) => (width ? `${width} × ${height} px` : null),
  ({ size_bytes }) => bytes(size_bytes),
  ({ format }) => format,
  ({ taken_at }) => (taken_at ? `taken ${taken_at.slice(0, 16)}` : "no date in it"),
  ({ camera }) => camera,
  ({ shown, not_sure }) => (not_sure ? "not sure" : shown),
  ({ places }) => (places > 1 ? plural(places, "file") : null),
];

export class DuplicateGroup {
  constructor(group) {
    this.id = group.id;
    this.size = group.size;
    this.reason = group.reason;
    this.photos = group.photos;
    this.keep = group.photos[0].id;
    this.picked = new Set();
    this.element = h("article", { class: "pt-card pt-dup", "aria-labelledby": `pt-dup-${group.id}` });
    this.lightbox = new Lightbox(() => this.photos.filter(({ has_previews }) => has_previews).map(forLightbox));
    this.paint();
  }

  paint() {
    const more = this.size - this.photos.length;
    this.trouble = h("p", { class: "pt-notice pt-bad", role: "alert", hidden: true });
    this.others = h("button", { type: "button", class: "pt-button pt-second pt-compact", onclick: () => this.pickOthers() }, "Select the others");
    this.remove = h("button", { type: "button", class: "pt-button pt-second pt-compact pt-danger", onclick: () => this.confirm() }, "Delete selected…");
    this.element.replaceChildren(
      h("div", { class: "pt-dup-head" },
        h("h2", { id: `pt-dup-${this.id}` }, `${plural(this.size, "photo")} that look alike`),
        h("p", { class: "pt-soft" }, `Suggested to keep: ${nameOf(this.photos[0])}, because ${this.reason}.`)),
      h("ul", { class: `pt-dup-photos pt-dup-of-${Math.min(this.photos.length, 4)}` }, ...this.photos.map((photo) => this.tile(photo))),
      ...(more > 0 ? [h("p", { class: "pt-soft" }, `and ${count(more)} more, shown when some of these are gone`)] : []),
      this.trouble,
      h("div", { class: "pt-row" }, this.others, this.remove,
        h("button", { type: "button", class: "pt-button pt-second pt-compact", onclick: () => this.apart() }, "These are different")));
    this.paintPicked();
  }

  tile(photo) {
    const name = nameOf(photo);
    const picture = photo.has_previews
      ? h("img", { src: `/media/${photo.id}/320.webp`, alt: "", width: 320, height: 320, loading: "lazy", decoding: "async" })
      : h("span", { class: "pt-tile-none" }, icon("photos", 32));
    const texts = FACTS.map((fact) => [fact(photo), new Set(this.photos.map(fact)).size > 1]).filter(([text]) => text);
    const box = h("input", { type: "checkbox", "aria-label": `Select ${name}`, onchange: (event) => this.pick(photo.id, event.target.checked) });
    return h("li", { class: "pt-dup-photo", "data-id": photo.id },
      h("button", { type: "button", class: "pt-tile-photo", "aria-label": `${name}: show larger`, onclick: () => this.lightbox.open(forLightbox(photo)) }, picture),
      photo.id === this.keep ? h("span", { class: "pt-chip pt-dup-keep" }, "Suggested to keep") : null,
      h("label", { class: "pt-dup-name" }, box, h("span", {}, name)),
      h("ul", { class: "pt-dup-facts" }, ...texts.map(([text, differs]) => h("li", { class: differs ? "pt-dup-differs" : null }, text))));
  }

  pick(id, chosen) {
    if (chosen) this.picked.add(id); else this.picked.delete(id);
    this.paintPicked();
  }

  pickOthers() {
    this.picked = new Set(this.photos.filter(({ id }) => id !== this.keep).map(({ id }) => id));
    this.paintPicked();
    say(`${plural(this.picked.size, "photo")} selected`);
  }

  paintPicked() {
    for (const tile of this.element.querySelectorAll(".pt-dup-photo")) {
      const chosen = this.picked.has(Number(tile.dataset.id));
      tile.classList.toggle("pt-picked", chosen);
      tile.querySelector("input").checked = chosen;
    }
    this.remove.disabled = this.picked.size === 0;
    this.remove.textContent = this.picked.size ? `Delete ${count(this.picked.size)} selected…` : "Delete selected…";
  }

  async confirm() {
    const going = this.photos.filter(({ id }) => this.picked.has(id));
    const all = going.length === this.size;
    const more = going.length - NAMED;
    const sure = await askToDelete(going.length, [
      all ? h("p", { class: "pt-notice pt-warn" }, icon("warning", 20), h("span", {}, "These are all of the group: none of them would stay.")) : null,
      h("ul", { class: "pt-dup-going" }, ...going.slice(0, NAMED).map((photo) => h("li", {}, `${nameOf(photo)}, ${bytes(photo.size_bytes)}`)), more > 0 ? h("li", {}, `and ${count(more)} more`) : null),
    ]);
    if (sure) this.act(() => this.removed(going));
  }

  async removed(going) {
    const ids = going.map(({ id }) => id);
    await api("/api/library/delete", { method: "POST", json: { ids } });
    this.photos = this.photos.filter(({ id }) => !ids.includes(id));
    this.size -= ids.length;
    this.picked.clear();
    if (this.photos.length > 1) {
      if (!this.photos.some(({ id }) => id === this.keep)) { this.keep = this.photos[0].id; this.reason = "it is the best of those that are left"; }
      this.paint();
      this.others.focus();
    } else this.done(`${plural(ids.length, "photo")} deleted${this.photos.length ? `; ${nameOf(this.photos[0])} stays` : ""}.`);
    say(`${plural(ids.length, "photo")} deleted`);
  }

  apart() {
    const ids = this.photos.map(({ id }) => id);
    this.act(async () => {
      await api("/api/duplicates/apart", { method: "POST", json: { ids } });
      const undo = h("button", { type: "button", class: "pt-button pt-second pt-compact", onclick: () => this.act(async () => {
        await api("/api/duplicates/apart", { method: "POST", json: { ids, apart: false } });
        this.element.classList.remove("pt-dup-done");
        this.paint();
        this.others.focus();
      }) }, "Undo");
      this.done("Different photos: shown again only when another one like them comes.", undo);
      undo.focus();
    });
  }

  /** The group is dealt with: one line stays, so that nothing jumps and everything can be followed. */
  done(text, ...more) {
    this.element.classList.add("pt-dup-done");
    this.trouble = h("p", { class: "pt-notice pt-bad", role: "alert", hidden: true });
    this.element.replaceChildren(h("p", { id: `pt-dup-${this.id}`, role: "status" }, text), ...more, this.trouble);
  }

  async act(what) {
    try {
      await what();
    } catch (error) {
      this.trouble.textContent = error.message;
      this.trouble.hidden = false;
    }
  }
}

function nameOf(photo) {
  return photo.name || `photo ${photo.id}`;
}

function forLightbox(photo) {
  const { id, width, height, taken_at, shown, not_sure } = photo;
  return { id, photo_id: id, width, height, taken_at, shown: not_sure ? "not sure" : shown ?? nameOf(photo), labels: [], path: nameOf(photo) };
}
