// Choosing a label by typing: the whole vocabulary, and new labels.

import { api } from "./api.js";
import { h, say } from "./dom.js";

const TYPING_MS = 60;

/** Asks for a label; resolves with `{ id, name }`, or null when it was given up. */
export function askForLabel(title) {
  return new Promise((resolve) => new LabelDialog(title, resolve).open());
}

class LabelDialog {
  constructor(title, resolve) {
    this.resolve = resolve;
    this.found = [];
    this.active = 0;
    this.input = h("input", {
      class: "pt-input", type: "text", role: "combobox", "aria-expanded": "true", "aria-controls": "pt-label-list", "aria-autocomplete": "list",
      "aria-label": title, placeholder: "Type a label", autocomplete: "off", spellcheck: "false", maxlength: 200, autofocus: true,
    });
    this.list = h("ul", { id: "pt-label-list", class: "pt-options", role: "listbox", "aria-label": "Labels" });
    this.trouble = h("p", { class: "pt-notice pt-bad", role: "alert", hidden: true });
    this.dialog = h("dialog", { class: "pt-dialog pt-label-dialog", "aria-label": title }, h("h2", {}, title), this.input, this.list, this.trouble);
    this.input.addEventListener("input", () => { clearTimeout(this.typing); this.typing = setTimeout(() => this.look(), TYPING_MS); });
    this.input.addEventListener("keydown", (event) => this.key(event));
    this.dialog.addEventListener("click", (event) => { if (event.target === this.dialog) this.dialog.close(); });
    this.dialog.addEventListener("close", () => { this.dialog.remove(); this.resolve(this.chosen ?? null); });
  }

  open() {
    document.body.append(this.dialog);
    this.dialog.showModal();
    this.look();
  }

  async look() {
    const typed = this.input.value.trim();
    try {
      const { labels } = await api(`/api/labels/suggest?${new URLSearchParams({ q: typed })}`);
      if (typed !== this.input.value.trim()) return;
      this.lookedFor = typed;
      const isKnown = labels.some(({ name, matched }) => [name, matched].some((each) => keyOf(each ?? "") === keyOf(typed)));
      this.found = typed && !isKnown ? [...labels, { name: typed, isNew: true }] : labels;
      this.active = 0;
      this.paint();
    } catch (error) {
      this.say(error.message);
    }
  }

  paint() {
    this.list.replaceChildren(...this.found.map((label, at) => h("li", {
      id: `pt-option-${at}`, role: "option", "aria-selected": String(at === this.active), class: "pt-option",
      onclick: () => this.take(label), onpointermove: () => this.go(at),
    }, label.isNew ? `Make the label “${label.name}”` : label.name, h("span", { class: "pt-soft" }, beside(label)))));
    if (!this.found.length) this.list.replaceChildren(h("li", { class: "pt-option pt-soft", role: "option", "aria-disabled": "true", "aria-selected": "false" }, "No labels yet: type a name to make the first one."));
    this.input.setAttribute("aria-activedescendant", this.found.length ? `pt-option-${this.active}` : "");
  }

  go(to) {
    if (to === this.active || !this.found[to]) return;
    this.active = to;
    [...this.list.children].forEach((option, at) => option.setAttribute("aria-selected", String(at === to)));
    this.input.setAttribute("aria-activedescendant", `pt-option-${to}`);
    this.list.children[to].scrollIntoView({ block: "nearest" });
  }

  async key(event) {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by) {
      event.preventDefault();
      this.go((this.active + by + this.found.length) % this.found.length);
    } else if (event.key === "Enter") {
      event.preventDefault();
      clearTimeout(this.typing);
      const typed = this.input.value.trim();
      if (this.lookedFor !== typed) await this.look(); // typed faster than looked up
      if (this.found[this.active]) this.take(this.found[this.active]);
    }
  }

  async take(label) {
    try {
      this.chosen = label.isNew ? { id: (await api("/api/labels", { method: "POST", json: { name: label.name } })).label, name: label.name } : label;
      if (label.isNew) say(`The label ${label.name} was made`);
      this.dialog.close();
    } catch (error) {
      this.say(error.message);
    }
  }

  say(text) {
    this.trouble.hidden = !text;
    this.trouble.textContent = text;
  }
}

/** What two spellings of a name have in common; the server compares in the same way. */
const keyOf = (name) => name.normalize("NFC").toLowerCase().replace(/\s+/g, " ").trim();

/** Where the label stands, and which of its names was found. */
function beside({ name, path = [], matched }) {
  const found = matched && matched !== name ? `“${matched}”` : "";
  return [path.slice(0, -1).join(" / "), found].filter(Boolean).join(" · ");
}
