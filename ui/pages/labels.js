// The Labels page: the vocabulary as a tree or as what is searched for, its changes with their undo, its history.

import { api } from "./api.js";
import { count, h, icon, plural, say, setTitle } from "./dom.js";
import { ask, editor } from "./label_change.js";
import { history } from "./label_history.js";
import { labelRow } from "./label_row.js";
import { noticeBox } from "./status.js";

const STEP = 200;
const OPEN_UP_TO = 60;
const TYPING_MS = 200;

/** Fills the page's main element. */
export function show(main) {
  setTitle("Labels");
  new LabelsPage(main).start();
}

class LabelsPage {
  constructor(main) {
    this.main = main;
    this.counts = {};
    this.open = new Set();
    this.picked = new Set();
    this.shown = STEP;
    this.editing = null; // the label that is being renamed, and its row
    this.search = h("input", { type: "search", class: "pt-input", placeholder: "Find a label", "aria-label": "Find a label", autocomplete: "off", spellcheck: "false" });
    this.search.addEventListener("input", () => { clearTimeout(this.typing); this.typing = setTimeout(() => { this.shown = STEP; this.read(); }, TYPING_MS); });
    this.retired = h("input", { type: "checkbox", id: "pt-retired" });
    this.retired.addEventListener("change", () => this.read());
    this.summary = h("span", { class: "pt-soft", role: "status" });
    this.message = h("div", { class: "pt-labels-message" });
    this.list = h("ul", { class: "pt-vocabulary", "aria-label": "Labels" });
    this.more = h("div", { class: "pt-row pt-center" });
    this.bar = h("div", { class: "pt-selection", role: "region", "aria-label": "Selected labels", hidden: true });
    this.history = history((answer) => this.changed(answer));
    this.adding = h("div", {});
  }

  start() {
    const add = h("button", { type: "button", class: "pt-button pt-compact", onclick: () => this.add() }, "Add a label");
    this.main.append(noticeBox(), h("div", { class: "pt-lib-head" }, h("h1", {}, "Labels"), this.summary),
      h("div", { class: "pt-labels-bar" }, this.search, h("label", { class: "pt-tick", for: "pt-retired" }, this.retired, "Show retired"), add),
      this.adding, this.message, this.list, this.more, this.bar, this.history.element);
    document.addEventListener("keydown", (event) => {
      if (event.key !== "/" || event.target.closest?.("input, textarea, select, dialog")) return;
      event.preventDefault();
      this.search.focus();
    });
    this.read();
  }

  /** Reads the list; the counts come after it. */
  async read() {
    const mine = (this.reading = {});
    const typed = this.search.value.trim();
    try {
      const { labels } = await api(`/api/labels?${new URLSearchParams({ search: typed, retired: this.retired.checked })}`);
      if (this.reading !== mine) return;
      this.labels = new Map(labels.map((label) => [label.id, label]));
      this.typed = typed;
      for (const id of this.picked) if (!this.labels.has(id) && !typed) this.picked.delete(id);
      this.paint();
      this.counts = (await api("/api/labels/counts")).counts;
      if (this.reading === mine) this.paint();
    } catch (error) {
      if (this.reading === mine) this.tell(error.message, "bad");
    }
  }

  paint() {
    const rows = [...(this.typed ? this.found() : this.tree())];
    const focused = document.activeElement;
    const key = focused?.dataset?.key;
    const row = ([label, depth]) => (this.editing?.id === label.id ? this.editing.row : labelRow(this, label, depth));
    this.list.replaceChildren(...rows.slice(0, this.shown).map(row));
    if (this.list.contains(focused)) focused.focus(); // what is being typed stays
    else if (key) this.list.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
    const left = rows.length - this.shown;
    this.more.replaceChildren(...(left > 0 ? [h("button", { type: "button", class: "pt-button pt-second", onclick: () => { this.shown += STEP; this.paint(); } }, `Show ${count(Math.min(left, STEP))} more`)] : []));
    this.summary.textContent = this.typed ? `${plural(this.labels.size, "label")} found` : plural(this.labels.size, "label");
    if (!rows.length) this.list.append(this.nothing());
    this.paintBar();
  }

  /** All that was found, with the names above it. */
  *found() {
    for (const label of this.labels.values()) yield [label, 0];
  }

  /** Parents before what stands below them. Of a long list only what was opened is shown. */
  *tree() {
    const below = new Map();
    for (const label of this.labels.values()) {
      const parent = this.labels.has(label.parent) ? label.parent : null;
      if (!below.has(parent)) below.set(parent, []);
      below.get(parent).push(label);
    }
    this.below = below;
    yield* this.walk(null, 0);
  }

  *walk(parent, depth) {
    for (const label of this.below.get(parent) ?? []) {
      yield [label, depth];
      if (this.isOpen(label)) yield* this.walk(label.id, depth + 1);
    }
  }

  isOpen(label) {
    return this.labels.size <= OPEN_UP_TO ? !this.open.has(label.id) : this.open.has(label.id);
  }

  turn(label) {
    if (this.open.has(label.id)) this.open.delete(label.id); else this.open.add(label.id);
    this.paint();
  }

  pick(label, chosen) {
    if (chosen) this.picked.add(label.id); else this.picked.delete(label.id);
    this.paintBar();
  }

  paintBar() {
    const { size } = this.picked;
    this.bar.hidden = size === 0;
    this.bar.replaceChildren(h("strong", {}, `${plural(size, "label")} selected`),
      h("div", { class: "pt-selection-actions" },
        h("button", { type: "button", class: "pt-button pt-compact", onclick: () => ask(this, "merge", [...this.picked].map((id) => this.labels.get(id)).filter(Boolean)) }, "Merge…"),
        h("button", { type: "button", class: "pt-button pt-second pt-compact", onclick: () => { this.picked.clear(); this.paint(); } }, "Clear")));
  }

  add() {
    const close = () => this.adding.replaceChildren();
    this.adding.replaceChildren(editor(this, "add", null, close));
    this.adding.querySelector("input").focus();
  }

  /** A change was made: the page is as it is now, and says what was done, with an undo. */
  changed(answer) {
    this.picked.clear();
    this.editing = null;
    const photos = answer.photos ? `: ${plural(answer.photos, "photo")} ${answer.photos === 1 ? "shows" : "show"} another label now` : "";
    const text = `${answer.what[0].toUpperCase()}${answer.what.slice(1)}${photos}.`;
    const undo = answer.kind === "undo" ? null : h("button", { type: "button", class: "pt-button pt-second pt-compact", onclick: () => this.undo(answer.change) }, "Undo");
    this.tell(text, "info", undo);
    this.read();
    this.history.refresh();
    undo?.focus();
  }

  async undo(id) {
    try {
      this.changed(await api(`/api/labels/changes/${id}/undo`, { method: "POST" }));
    } catch (error) {
      this.tell(error.message, "bad");
    }
  }

  tell(text, kind, ...more) {
    this.message.replaceChildren(h("div", { class: `pt-notice pt-${kind}` }, icon(kind === "bad" ? "warning" : "info", 20), h("span", { class: "pt-grow" }, text), ...more));
    say(text);
  }

  nothing() {
    if (this.typed) return h("li", { class: "pt-empty" }, h("p", {}, "No label begins so."), h("p", { class: "pt-soft" }, "Words are found by how they begin; retired labels only if you show them."));
    return h("li", { class: "pt-empty pt-card" }, icon("photos", 44), h("p", {}, "There are no labels yet."),
      h("p", { class: "pt-soft" }, "Add some here, or take folders whose names are labels: ", h("code", {}, "phototag labels import FOLDER")));
  }
}
