// Choosing one label of all by typing: what was given last is offered first, merged names find the label they stand for.

import { h, say } from "./dom.js";
import { LabelBox } from "./label_box.js";

export class LabelPicker extends LabelBox {
  /** `choose(label)` is called with the label that was chosen, or null once it is no longer. */
  constructor(text, choose) {
    super({ list: { class: "pt-picker-list", "aria-label": text, hidden: true }, input: { "aria-expanded": "false" } });
    this.choose = choose;
    this.chosen = null;
    this.input.addEventListener("input", () => { if (this.chosen) { this.chosen = null; this.choose(null); } this.offer(); });
    this.input.addEventListener("focus", () => this.offer());
    this.input.addEventListener("blur", () => setTimeout(() => this.close(), 150));
    this.input.addEventListener("keydown", (event) => this.onKey(event));
    this.element = h("div", { class: "pt-picker" }, h("label", { class: "pt-soft", for: this.input.id }, text), this.input, this.list);
  }

  clear() {
    this.chosen = null;
    this.input.value = "";
    this.close();
  }

  /** What was offered for less letters is gone at once: Enter must not take it. */
  async offer() {
    this.close();
    this.isAsking = true;
    this.takesFirst = false;
    const labels = await this.find().catch(() => []);
    if (!labels || document.activeElement !== this.input || this.chosen) return;
    this.isAsking = false;
    this.fill(labels, -1);
    if (this.takesFirst && labels.length) {
      this.take(0);
      return;
    }
    this.list.hidden = !labels.length;
    this.input.setAttribute("aria-expanded", String(labels.length > 0));
  }

  option(label, at) {
    const above = label.path.slice(0, -1).join(" › ");
    const more = [above, label.matched ? `was “${label.matched}”` : ""].filter(Boolean).join(" · ");
    return [{ onmousedown: (event) => { event.preventDefault(); this.take(at); } }, label.name, more ? h("span", { class: "pt-soft" }, more) : null];
  }

  onKey(event) {
    if (this.isAsking && event.key === "Enter") this.takesFirst = true;
    if (this.list.hidden) {
      if (this.takesFirst) event.preventDefault();
      return;
    }
    if (event.key === "Enter") this.take(Math.max(this.at, 0));
    else if (event.key === "Escape") this.close();
    else if (!this.move(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  take(at) {
    const label = this.labels[at];
    this.takesFirst = false;
    this.chosen = label;
    this.input.value = label.name;
    this.close();
    say(`${label.name} chosen`);
    this.choose(label);
  }

  close() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }
}
