// The controls above the grid: a search in file names, the order, a panel with all filters, and chips for those set.

import { h, icon } from "./dom.js";
import { filtersOf } from "./library_address.js";

const SORTS = [["date", "Date taken"], ["newest", "Newest here"], ["score", "Score"], ["name", "File name"]];
const FALLING = ["date", "newest", "score"];
const STATES = [["", "Tagged"], ["untagged", "Waiting"], ["refused", "Refused"], ["failed", "Failed"], ["any", "Any"]];
const TYPING_MS = 300;

export class LibraryFilters {
  /** `change(parts)` is called with the parts of the view that a person has changed. */
  constructor(change, clear) {
    this.change = change;
    this.clear = clear;
    this.choices = { cameras: [], formats: [], batches: [] };
    this.name = h("input", { type: "search", id: "pt-lib-name", class: "pt-input", placeholder: "File name", "aria-label": "Search in file names", autocomplete: "off", spellcheck: "false" });
    this.name.addEventListener("input", () => { clearTimeout(this.typing); this.typing = setTimeout(() => change({ name: this.name.value.trim() }), TYPING_MS); });
    this.sort = select("pt-lib-sort", SORTS, (value) => change({ sort: value === "date" ? "" : value, order: "" }));
    this.sort.setAttribute("aria-label", "Sort by");
    this.turn = h("button", { type: "button", class: "pt-button pt-second pt-compact pt-turn", onclick: () => change({ order: this.falling ? "up" : "down" }) });
    this.toggle = h("button", { type: "button", class: "pt-button pt-second pt-compact", "aria-expanded": "false", "aria-controls": "pt-lib-panel", onclick: () => this.open(this.panel.hidden) }, "Filters");
    this.chips = h("div", { class: "pt-chips", role: "group", "aria-label": "Filters that are set" });
    this.panel = this.makePanel();
    this.element = h("div", { class: "pt-lib-controls" }, h("div", { class: "pt-lib-bar" }, this.name, this.toggle, h("span", { class: "pt-lib-order" }, this.sort, this.turn)), this.panel, this.chips);
  }

  makePanel() {
    const set = (name) => (value) => this.change({ [name]: value });
    this.fields = {
      state: select("pt-lib-state", STATES, set("state")),
      sure: select("pt-lib-sure", [["", "Any"], ["yes", "Sure"], ["no", "Not sure"]], set("sure")),
      min_score: this.score("pt-lib-min", "min_score"),
      max_score: this.score("pt-lib-max", "max_score"),
      from: this.day("pt-lib-from", "from"),
      to: this.day("pt-lib-to", "to"),
      camera: select("pt-lib-camera", [["", "Any"]], set("camera")),
      format: select("pt-lib-format", [["", "Any"]], set("format")),
      batch: select("pt-lib-batch", [["", "Any"]], set("batch")),
    };
    const field = (name, text) => h("label", { class: "pt-field" }, h("span", {}, text), this.fields[name]);
    return h("section", { id: "pt-lib-panel", class: "pt-card pt-lib-panel", "aria-label": "Filters", hidden: true },
      field("from", "Taken from"), field("to", "Taken to"), field("camera", "Camera"), field("format", "Format"), field("batch", "Batch"),
      field("state", "State"), field("sure", "How sure"), field("min_score", "Score from (%)"), field("max_score", "Score to (%)"));
  }

  score(id, name) {
    const input = h("input", { id, type: "number", class: "pt-input", min: 0, max: 100, step: 1, inputmode: "numeric" });
    input.addEventListener("change", () => {
      if (!input.reportValidity()) return;
      this.change({ [name]: input.value === "" ? "" : String(Number(input.value) / 100) });
    });
    return input;
  }

  day(id, name) {
    const input = h("input", { id, type: "date", class: "pt-input", min: "1800-01-01", max: "9998-12-31" });
    input.addEventListener("change", () => { if (input.reportValidity()) this.change({ [name]: input.value }); });
    return input;
  }

  open(open) {
    this.panel.hidden = !open;
    this.toggle.setAttribute("aria-expanded", String(open));
  }

  offer(choices) {
    this.choices = choices;
    offer(this.fields.camera, choices.cameras.map(({ id, name }) => [String(id), name]));
    offer(this.fields.format, choices.formats.map(({ name }) => [name, name]));
    offer(this.fields.batch, choices.batches.map(({ id, name }) => [id, name]));
  }

  /** Shows what the view says. */
  paint(view, labelName) {
    if (document.activeElement !== this.name) this.name.value = view.name;
    for (const [name, field] of Object.entries(this.fields)) {
      if (field.tagName === "INPUT" && field === document.activeElement) continue; // someone is typing in it
      const value = name.endsWith("score") && view[name] !== "" ? String(Math.round(view[name] * 100)) : view[name];
      if (field.tagName === "SELECT" && value && ![...field.options].some((option) => option.value === value)) field.append(new Option(value, value));
      field.value = value;
    }
    const sort = view.sort || "date";
    this.sort.value = sort;
    this.sort.querySelector("[value=score]").disabled = ["untagged", "refused", "failed"].includes(view.state);
    this.falling = view.order ? view.order === "down" : FALLING.includes(sort);
    this.turn.replaceChildren(icon(this.falling ? "down" : "up", 18));
    this.turn.setAttribute("aria-label", this.falling ? "Falling: turn the order around" : "Rising: turn the order around");
    this.paintChips(view, labelName);
  }

  paintChips(view, labelName) {
    const named = (list, id) => list.find((each) => String(each.id ?? each.name) === id)?.name ?? id;
    const words = {
      label: () => `Label: ${labelName ?? view.label}`, name: () => `Name: ${view.name}`, camera: () => `Camera: ${named(this.choices.cameras, view.camera)}`,
      format: () => view.format, batch: () => `Batch: ${named(this.choices.batches, view.batch)}`, state: () => STATES.find(([value]) => value === view.state)?.[1] ?? view.state,
      sure: () => (view.sure === "yes" ? "Sure" : "Not sure"), from: () => `From ${view.from}`, to: () => `To ${view.to}`,
      min_score: () => `From ${Math.round(view.min_score * 100)} %`, max_score: () => `Up to ${Math.round(view.max_score * 100)} %`,
    };
    const set = filtersOf(view);
    this.toggle.textContent = set.length ? `Filters (${set.length})` : "Filters";
    this.chips.replaceChildren(...set.map((name) => h("button", { type: "button", class: "pt-chip-button", "aria-label": `Remove the filter ${words[name]()}`, onclick: () => this.change({ [name]: "" }) }, words[name](), icon("close", 14))),
      ...(set.length > 1 ? [h("button", { type: "button", class: "pt-quiet", onclick: this.clear }, "Clear all")] : []));
  }
}

function select(id, options, change) {
  const element = h("select", { id, class: "pt-input" }, ...options.map(([value, text]) => h("option", { value }, text)));
  element.addEventListener("change", () => change(element.value));
  return element;
}

function offer(field, options) {
  const { value } = field;
  field.replaceChildren(new Option("Any", ""), ...options.map(([each, text]) => new Option(text, each)));
  if (value && !options.some(([each]) => each === value)) field.append(new Option(value, value));
  field.value = value;
}
