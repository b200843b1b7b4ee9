// Questions in a dialog: a few fields, or yes and no; and things that are shown once, to be copied.

import { h, icon, plural, say } from "./dom.js";

let asked = 0;

/** Shows a dialog until it is closed; resolves then, and it is gone. */
export function showDialog(dialog) {
  return new Promise((done) => {
    // A field keeps the keys until the next frame although its dialog is gone: the next key would be lost in it.
    dialog.addEventListener("cancel", () => document.activeElement?.blur());
    dialog.addEventListener("close", () => { dialog.remove(); done(); });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/**
 * Asks in a dialog. `act(values)` runs when the person says yes; what it throws is shown, and the dialog stays.
 * Resolves with what `act` returned (true if that is nothing), or with null when the person did not want to.
 * `about` is a text or a list of texts and elements.
 * Fields: {name, label, type, value, options: [[value, text]], hint, ...attributes}; type "checks" gives a list of values.
 */
export async function ask({ title, about, fields = [], yes, no = "Cancel", danger = false, act = () => true }) {
  asked += 1;
  const id = `pt-ask-${asked}`;
  const trouble = h("p", { class: "pt-notice pt-bad", role: "alert", hidden: true });
  const submit = h("button", { class: `pt-button ${danger ? "pt-danger" : ""}`, type: "submit" }, yes);
  const cancel = h("button", { class: "pt-button pt-second", type: "button", autofocus: danger }, no);
  const form = h("form", { class: "pt-ask" }, ...fields.map((field, at) => fieldOf(field, `${id}-${at}`)), trouble, h("div", { class: "pt-row" }, submit, cancel));
  const dialog = h("dialog", { class: "pt-dialog", "aria-labelledby": id }, h("h2", { id }, title), ...[about].flat().filter(Boolean).map((part) => (part instanceof Node ? part : h("p", {}, part))), form);
  let result = null;
  cancel.addEventListener("click", () => dialog.close());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    submit.disabled = true;
    try {
      result = (await act(valuesOf(form, fields))) ?? true;
      dialog.close();
    } catch (error) {
      trouble.textContent = error.message;
      trouble.hidden = false;
    }
    submit.disabled = false;
  });
  await showDialog(dialog);
  return result;
}

/** Asks before photos go; `more` stands before what is always said. Resolves with whether the answer is yes. */
export async function askToDelete(photos, more = []) {
  const what = `Delete ${plural(photos, "photo")}`;
  const about = [...more, "Labels, previews and phototag's own copies go, from every batch of yours. This cannot be undone.",
    "Files that phototag reads where they lie are yours: they are never touched."];
  return Boolean(await ask({ title: `${what}?`, about, yes: what, no: "Keep them", danger: true }));
}

/** Shows a secret that nobody will see again, with a button that copies it. */
export async function showOnce({ title, about, value }) {
  asked += 1;
  const id = `pt-ask-${asked}`;
  const text = h("input", { class: "pt-input", value, readonly: true, "aria-labelledby": id, onfocus: () => text.select() });
  const copy = h("button", { class: "pt-button", type: "button", autofocus: true, onclick: async () => {
    text.select();
    const copied = await navigator.clipboard?.writeText(value).then(() => true, () => false) || document.execCommand("copy");
    copy.textContent = copied ? "Copied" : "Copy with Ctrl-C";
    say(copy.textContent);
  } }, "Copy");
  const dialog = h("dialog", { class: "pt-dialog pt-wide", "aria-labelledby": id }, h("h2", { id }, title), h("p", {}, about),
    h("form", { method: "dialog", class: "pt-ask" }, text, h("div", { class: "pt-row" }, copy, h("button", { class: "pt-button pt-second" }, "Done"))));
  await showDialog(dialog);
}

function fieldOf({ label, type = "text", value = "", options = [], hint, ...attributes }, id) {
  const described = hint ? { "aria-describedby": id } : {};
  const hinted = hint ? h("span", { class: "pt-soft", id }, hint) : null;
  if (type === "checks") {
    return h("fieldset", described, h("legend", {}, label), ...options.map(([each, text]) =>
      h("label", { class: "pt-check" }, h("input", { type: "checkbox", name: attributes.name, value: each }), h("span", {}, text))), hinted);
  }
  const input = type === "select"
    ? h("select", { class: "pt-input", ...attributes, ...described }, ...options.map(([each, text]) => h("option", { value: each, selected: each === value }, text)))
    : h("input", { class: "pt-input", type, value, ...attributes, ...described });
  return h("label", { class: "pt-field" }, label, input, hinted);
}

function valuesOf(form, fields) {
  const data = new FormData(form);
  return Object.fromEntries(fields.map(({ name, type }) => [name, type === "checks" ? data.getAll(name) : data.get(name)]));
}

/** A list that has nothing in it yet. */
export function nothingYet(title, text) {
  return h("div", { class: "pt-empty pt-card" }, icon("info", 44), h("p", {}, title), h("p", { class: "pt-soft" }, text));
}
