// A change of a label, asked for and previewed: in place for a name, in a dialog for everything else.

import { api } from "./api.js";
import { showDialog } from "./ask.js";
import { h, icon } from "./dom.js";
import { LabelPicker } from "./label_picker.js";

const PREVIEW_MS = 350;
const TITLES = { parent: "Move", merge: "Merge", retire: "Retire", restore: "Restore" };

/** What a change is, and what comes of it, as it is asked for; `body()` is null while something is missing. */
class Change {
  constructor(page, kind, path, body, done) {
    Object.assign(this, { page, kind, path, body, done });
    this.words = h("ul", { class: "pt-preview", "aria-live": "polite" });
    this.samples = h("div", { class: "pt-samples" });
    this.trouble = h("p", { class: "pt-notice pt-bad", role: "alert", hidden: true });
    this.button = h("button", { type: "submit", class: "pt-button pt-compact", disabled: true }, kind === "add" ? "Add" : TITLES[kind] ?? "Rename");
  }

  /** Asks what would come of it; what was asked before is forgotten. */
  look() {
    clearTimeout(this.timer);
    const mine = (this.asked = {});
    this.say("");
    const body = this.body();
    this.button.disabled = body === null;
    if (body === null || this.kind === "add") return;
    this.timer = setTimeout(async () => {
      try {
        const found = await api(`${this.path()}?preview=true`, { method: "POST", json: body });
        if (this.asked !== mine) return;
        this.words.replaceChildren(...found.words.map((text) => h("li", {}, text)));
        this.samples.replaceChildren(...found.samples.map((id) => h("img", { src: `/media/${id}/320.webp`, alt: "", width: 64, height: 64, loading: "lazy" })));
      } catch (error) {
        if (this.asked !== mine) return;
        this.words.replaceChildren();
        this.samples.replaceChildren();
        this.button.disabled = true;
        this.say(error.message);
      }
    }, this.kind === "rename" ? PREVIEW_MS : 0);
  }

  async make(event) {
    event.preventDefault();
    const body = this.body();
    if (body === null || this.button.disabled) return;
    clearTimeout(this.timer);
    this.button.disabled = true;
    try {
      const answer = await api(this.path(), { method: "POST", json: body });
      this.done();
      this.page.changed(answer);
    } catch (error) {
      this.button.disabled = false;
      this.say(error.message);
    }
  }

  say(text) {
    this.trouble.hidden = !text;
    this.trouble.replaceChildren(...(text ? [icon("warning", 20), h("span", {}, text)] : []));
  }
}

/** A form for a label's name: a new label, or a rename in the label's row. */
export function editor(page, kind, label, close) {
  const name = h("input", { class: "pt-input", "aria-label": label ? `New name of ${label.name}` : "Name of the new label", maxlength: 200, autocomplete: "off", value: label?.name ?? "" });
  const body = () => (name.value.trim() && name.value !== label?.name ? { name: name.value, ...(kind === "add" ? { parent: picker?.chosen?.id ?? null } : {}) } : null);
  const change = new Change(page, kind, () => (label ? `/api/labels/${label.id}/rename` : "/api/labels"), body, close);
  const picker = kind === "add" ? new LabelPicker("Below (optional)", () => change.look()) : null;
  name.addEventListener("input", () => change.look());
  const cancel = h("button", { type: "button", class: "pt-button pt-second pt-compact", onclick: close }, "Cancel");
  const form = h("form", { class: `pt-editor${label ? "" : " pt-card"}`, onsubmit: (event) => change.make(event) },
    h("div", { class: "pt-editor-fields" }, name, picker?.element, h("div", { class: "pt-row" }, change.button, cancel)), change.trouble, change.words, change.samples);
  form.addEventListener("keydown", (event) => { if (event.key === "Escape" && !event.defaultPrevented) close(); });
  return form;
}

/** Opens a dialog that asks for the rest of a change and says what would come of it. */
export function ask(page, kind, labels) {
  const [label] = labels;
  const form = kind === "merge" ? merging(labels) : kind === "parent" ? moving(label) : { fields: [], body: () => ({}), path: () => `/api/labels/${label.id}/${kind}` };
  const dialog = h("dialog", { class: "pt-dialog pt-change-dialog", "aria-labelledby": "pt-change-title" });
  const change = new Change(page, kind, form.path, form.body, () => dialog.close());
  form.changed = () => change.look();
  const names = labels.map(({ name }) => `“${name}”`).join(", ");
  dialog.append(h("h2", { id: "pt-change-title" }, `${TITLES[kind]} ${names}`),
    h("form", { onsubmit: (event) => change.make(event) }, ...form.fields, change.trouble, change.words, change.samples,
      h("div", { class: "pt-row" }, change.button, h("button", { type: "button", class: "pt-button pt-second pt-compact", onclick: () => dialog.close() }, "Cancel"))));
  const before = document.activeElement?.dataset?.key;
  showDialog(dialog).then(() => { if (before && document.activeElement === document.body) page.list.querySelector(`[data-key="${CSS.escape(before)}"]`)?.focus(); });
  change.look();
}

function moving(label) {
  const form = { path: () => `/api/labels/${label.id}/parent` };
  const picker = new LabelPicker("New parent", () => { top.checked = false; form.changed(); });
  const top = h("input", { type: "checkbox", id: "pt-at-top" });
  top.addEventListener("change", () => { if (top.checked) picker.clear(); form.changed(); });
  form.body = () => (top.checked ? { parent: null } : picker.chosen ? { parent: picker.chosen.id } : null);
  form.fields = [picker.element, h("label", { class: "pt-tick", for: "pt-at-top" }, top, "At the top, below no other")];
  return form;
}

/** Into one of those that were selected, or into another. */
function merging(labels) {
  let target = null;
  const form = { path: () => `/api/labels/${target}/merge` };
  const choose = (id) => { target = id; form.changed(); };
  const radios = labels.length < 2 ? [] : labels.map((label) => {
    const radio = h("input", { type: "radio", name: "pt-target", id: `pt-into-${label.id}` });
    radio.addEventListener("change", () => { picker.clear(); choose(label.id); });
    return h("label", { class: "pt-tick", for: `pt-into-${label.id}` }, radio, label.name);
  });
  const picker = new LabelPicker(radios.length ? "Or into another label" : "Into which label", (label) => {
    for (const radio of form.fields[0].querySelectorAll("input[type=radio]")) radio.checked = false;
    choose(label?.id ?? null);
  });
  form.body = () => {
    const sources = labels.map(({ id }) => id).filter((id) => id !== target);
    return target && sources.length ? { sources } : null;
  };
  form.fields = [h("fieldset", { class: "pt-into" }, h("legend", { class: radios.length ? null : "pt-hidden" }, "Which one stays?"), ...radios, picker.element)];
  return form;
}
