// Choosing a label by typing: the whole vocabulary, and new labels.

import { api } from "./api.js";
import { showDialog } from "./ask.js";
import { h, say } from "./dom.js";
import { LabelBox } from "./label_box.js";

const TYPING_MS = 60;

/** Asks for a label; resolves with `{ id, name }`, or null when it was given up. */
export async function askForLabel(title) {
  const asking = new LabelDialog(title);
  await asking.open();
  return asking.chosen ?? null;
}

class LabelDialog extends LabelBox {
  constructor(title) {
    super({
      list: { class: "pt-options", "aria-label": "Labels" },
      input: { type: "text", "aria-expanded": "true", "aria-label": title, placeholder: "Type a label", maxlength: 200, autofocus: true },
    });
    this.trouble = h("p", { class: "pt-notice pt-bad", role: "alert", hidden: true });
    this.dialog = h("dialog", { class: "pt-dialog pt-label-dialog", "aria-label": title }, h("h2", {}, title), this.input, this.list, this.trouble);
    this.input.addEventListener("input", () => { clearTimeout(this.typing); this.typing = setTimeout(() => this.look(), TYPING_MS); });
    this.input.addEventListener("keydown", (event) => this.key(event));
    this.dialog.addEventListener("click", (event) => { if (event.target === this.dialog) this.dialog.close(); });
  }

  open() {
    const closed = showDialog(this.dialog);
    this.look();
    return closed;
  }

  async look() {
    const { typed } = this;
    try {
      const labels = await this.find();
      if (!labels) return;
      this.lookedFor = typed;
      const isKnown = labels.some(({ name, matched }) => [name, matched].some((each) => keyOf(each ?? "") === keyOf(typed)));
      this.fill(typed && !isKnown ? [...labels, { name: typed, isNew: true }] : labels, 0);
      if (!this.labels.length) this.list.replaceChildren(h("li", { class: "pt-option pt-soft", role: "option", "aria-disabled": "true", "aria-selected": "false" }, "No labels yet: type a name to make the first one."));
    } catch (error) {
      this.say(error.message);
    }
  }

  option(label, at) {
    const attributes = { class: "pt-option", onclick: () => this.take(label), onpointermove: () => { if (at !== this.at) this.mark(at); } };
    return [attributes, label.isNew ? `Make the label “${label.name}”` : label.name, h("span", { class: "pt-soft" }, beside(label))];
  }

  async key(event) {
    if (this.move(event.key)) event.preventDefault();
    if (event.key !== "Enter") return;
    event.preventDefault();
    clearTimeout(this.typing);
    if (this.lookedFor !== this.typed) await this.look(); // typed faster than looked up
    if (this.lookedFor === this.typed && this.labels[this.at]) this.take(this.labels[this.at]);
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
