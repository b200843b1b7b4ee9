// One photo of a batch, large, with its labels. Arrow keys go to its neighbours, Escape closes.

import { bars, h, icon } from "./dom.js";

export class Lightbox {
  /** `items` gives the photos that can be shown, in order, at the time of asking. */
  constructor(items) {
    this.items = items;
    this.picture = h("img", { class: "pt-light-photo", alt: "" });
    this.words = h("div", { class: "pt-light-words" });
    const button = (name, label, act, kind) => h("button", { type: "button", class: `pt-round ${kind}`, "aria-label": label, onclick: act }, icon(name, 24));
    this.dialog = h("dialog", { class: "pt-light", "aria-label": "Photo" },
      h("div", { class: "pt-light-stage" }, this.picture, button("left", "Photo before", () => this.step(-1), "pt-before"), button("right", "Next photo", () => this.step(1), "pt-next")),
      this.words, button("close", "Close", () => this.dialog.close(), "pt-close"));
    this.dialog.addEventListener("keydown", (event) => {
      if (event.key === "ArrowLeft") this.step(-1);
      if (event.key === "ArrowRight") this.step(1);
    });
    this.dialog.addEventListener("click", (event) => { if (event.target === this.dialog) this.dialog.close(); });
    this.dialog.addEventListener("close", () => this.dialog.remove());
  }

  open(item) {
    document.body.append(this.dialog);
    this.paint(item);
    this.dialog.showModal();
  }

  step(by) {
    const items = this.items();
    const next = items[items.findIndex(({ id }) => id === this.item.id) + by];
    if (next) this.paint(next);
  }

  paint(item) {
    this.item = item;
    this.picture.src = `/media/${item.photo_id}/1024.webp`;
    this.picture.alt = item.shown ?? item.path;
    const facts = [item.width && item.height ? `${item.width} × ${item.height} px` : null, item.taken_at ? `taken ${item.taken_at}` : null, item.model_version ? `model ${item.model_version}` : null];
    this.words.replaceChildren(h("h2", {}, item.shown ?? ""), bars(item.labels), h("p", { class: "pt-soft pt-path" }, item.path), h("p", { class: "pt-soft" }, facts.filter(Boolean).join(" · ")));
    const items = this.items();
    const at = items.findIndex(({ id }) => id === item.id);
    this.dialog.querySelector(".pt-before").disabled = at <= 0;
    this.dialog.querySelector(".pt-next").disabled = at >= items.length - 1;
    for (const near of [items[at + 1], items[at - 1]]) if (near) new Image().src = `/media/${near.photo_id}/1024.webp`;
  }
}
