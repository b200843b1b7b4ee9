// Choosing one label of all by typing: what was given last is offered first, merged names find the label they stand for.

import { api } from "./api.js";
import { h, say } from "./dom.js";

let made = 0;

export class LabelPicker {
  /** `choose(label)` is called with the label that was chosen, or null once it is no longer. */
  constructor(text, choose) {
    made += 1;
    const id = `pt-picker-${made}`;
    this.choose = choose;
    this.chosen = null;
    this.at = -1;
    this.list = h("ul", { class: "pt-picker-list", id: `${id}-list`, role: "listbox", "aria-label": text, hidden: true });
    this.input = h("input", { id, class: "pt-input", role: "combobox", "aria-expanded": "false", "aria-controls": `${id}-list`, "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false" });
    this.input.addEventListener("input", () => { if (this.chosen) { this.chosen = null; this.choose(null); } this.offer(); });
    this.input.addEventListener("focus", () => this.offer());
    this.input.addEventListener("blur", () => setTimeout(() => this.close(), 150));
    this.input.addEventListener("keydown", (event) => this.onKey(event));
    this.element = h("div", { class: "pt-picker" }, h("label", { class: "pt-soft", for: id }, text), this.input, this.list);
  }

  clear() {
    this.chosen = null;
    this.input.value = "";
    this.close();
  }

  /** What was offered for less letters is gone at once: Enter must not take it. */
  async offer() {
    const mine = (this.asked = {});
    this.close();
    this.isAsking = true;
    this.takesFirst = false;
    const { labels } = await api(`/api/labels/suggest?${new URLSearchParams({ q: this.input.value.trim() })}`).catch(() => ({ labels: [] }));
    if (this.asked !== mine || document.activeElement !== this.input || this.chosen) return;
    this.isAsking = false;
    this.labels = labels;
    this.mark(-1);
    if (this.takesFirst && labels.length) {
      this.take(0);
      return;
    }
    this.list.replaceChildren(...labels.map((label, at) => {
      const above = label.path.slice(0, -1).join(" › ");
      const more = [above, label.matched ? `was “${label.matched}”` : ""].filter(Boolean).join(" · ");
      const option = h("li", { id: `${this.input.id}-${at}`, role: "option", "aria-selected": "false" }, label.name, more ? h("span", { class: "pt-soft" }, more) : null);
      option.addEventListener("mousedown", (event) => { event.preventDefault(); this.take(at); });
      return option;
    }));
    this.list.hidden = !labels.length;
    this.input.setAttribute("aria-expanded", String(labels.length > 0));
  }

  onKey(event) {
    if (this.isAsking && event.key === "Enter") this.takesFirst = true;
    if (this.list.hidden) {
      if (this.takesFirst) event.preventDefault();
      return;
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) this.mark((this.at + step + this.labels.length) % this.labels.length);
    else if (event.key === "Enter") this.take(Math.max(this.at, 0));
    else if (event.key === "Escape") this.close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  mark(at) {
    this.at = at;
    [...this.list.children].forEach((option, place) => option.setAttribute("aria-selected", String(place === at)));
    this.list.children[at]?.scrollIntoView({ block: "nearest" });
    if (at < 0) this.input.removeAttribute("aria-activedescendant"); else this.input.setAttribute("aria-activedescendant", `${this.input.id}-${at}`);
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
