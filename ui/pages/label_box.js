// A field in which labels are found by typing, and the list of what was found: what all such fields have in common.

import { api } from "./api.js";
import { h } from "./dom.js";

let made = 0;

/** Who extends it has `option(label, at)`: the attributes, listeners and words of one option, as `h` takes them. */
export class LabelBox {
  constructor({ list, input }) {
    made += 1;
    const id = `pt-label-box-${made}`;
    this.labels = [];
    this.at = -1;
    this.list = h("ul", { id: `${id}-list`, role: "listbox", ...list });
    this.input = h("input", { id, class: "pt-input", role: "combobox", "aria-controls": `${id}-list`, "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false", ...input });
  }

  get typed() {
    return this.input.value.trim();
  }

  /** The labels that what is typed finds, what was given last first; null if something else is wanted by now. */
  async find() {
    const mine = (this.asked = {});
    const { typed } = this;
    const isOld = () => this.asked !== mine || this.typed !== typed;
    try {
      const { labels } = await api(`/api/labels/suggest?${new URLSearchParams({ q: typed })}`);
      return isOld() ? null : labels;
    } catch (error) {
      if (isOld()) return null;
      throw error;
    }
  }

  /** Puts labels into the list; the one at the place `at` is marked, none at -1. */
  fill(labels, at) {
    this.labels = labels;
    this.list.replaceChildren(...labels.map((label, place) => {
      const [attributes, ...words] = this.option(label, place);
      return h("li", { id: `${this.input.id}-${place}`, role: "option", "aria-selected": "false", ...attributes }, ...words);
    }));
    this.mark(at);
  }

  mark(at) {
    this.at = at;
    [...this.list.children].forEach((option, place) => option.setAttribute("aria-selected", String(place === at)));
    this.list.children[at]?.scrollIntoView({ block: "nearest" });
    if (this.labels[at]) this.input.setAttribute("aria-activedescendant", `${this.input.id}-${at}`); else this.input.removeAttribute("aria-activedescendant");
  }

  /** Marks the option above or below if `key` is an arrow; whether it is. */
  move(key) {
    const by = { ArrowDown: 1, ArrowUp: -1 }[key];
    if (by && this.labels.length) this.mark((this.at + by + this.labels.length) % this.labels.length);
    return Boolean(by);
  }
}
