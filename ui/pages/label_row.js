// One label of the list: its name and place, how many photos show it, and what can be done with it.

import { count, h, icon, plural } from "./dom.js";
import { ask, editor } from "./label_change.js";

const DEEPEST = 5;

/** A row of the page's list. */
export function labelRow(page, label, depth) {
  const key = (what) => `${what}-${label.id}`;
  const act = (what, text, does) => h("button", { type: "button", class: "pt-quiet", "data-key": key(what), "aria-label": `${text.replace("…", "")} ${label.name}`, onclick: does }, text);
  const pick = h("input", { type: "checkbox", class: "pt-tick-box", "aria-label": `Select ${label.name}`, "data-key": key("pick") });
  pick.checked = page.picked.has(label.id);
  pick.addEventListener("change", () => page.pick(label, pick.checked));
  const row = h("li", { class: `pt-word pt-word-${Math.min(depth, DEEPEST)}${label.retired ? " pt-retired" : ""}` });
  const rename = () => {
    const close = () => { page.editing = null; row.replaceChildren(...content); row.querySelector(`[data-key="${key("rename")}"]`)?.focus(); };
    page.editing = { id: label.id, row };
    row.replaceChildren(editor(page, "rename", label, close));
    row.querySelector("input").select();
  };
  const actions = label.retired ? [act("restore", "Restore…", () => ask(page, "restore", [label]))] : [
    act("rename", "Rename", rename), act("parent", "Move…", () => ask(page, "parent", [label])),
    act("merge", "Merge…", () => ask(page, "merge", [label])), act("retire", "Retire…", () => ask(page, "retire", [label]))];
  const content = [
    label.retired ? h("span", { class: "pt-tick-box" }) : pick,
    h("div", { class: "pt-word-name" }, turn(page, label, key("turn")), h("strong", {}, label.name),
      label.retired ? h("span", { class: "pt-chip" }, "retired") : null, ...about(page, label)),
    photos(page, label, key),
    h("div", { class: "pt-word-actions" }, ...actions),
  ];
  row.append(...content);
  return row;
}

function turn(page, label, key) {
  if (page.typed || !page.below?.has(label.id)) return null;
  const open = page.isOpen(label);
  return h("button", { type: "button", class: "pt-quiet pt-turn-tree", "data-key": key, "aria-expanded": String(open), "aria-label": `Labels below ${label.name}`, onclick: () => page.turn(label) }, icon("right", 16));
}

function about(page, label) {
  const parent = page.typed && label.parent ? page.labels.get(label.parent)?.name : null;
  const words = [parent ? `below ${parent}` : null, label.also.length ? `also known as ${label.also.join(", ")}` : null, label.children && !page.typed ? plural(label.children, "label") + " below" : null];
  return words.filter(Boolean).map((text) => h("span", { class: "pt-soft" }, text));
}

function photos(page, label, key) {
  const { reviewed = 0, predicted = 0 } = page.counts[label.id] ?? {};
  if (!reviewed && !predicted) return h("span", { class: "pt-word-photos pt-soft" }, "no photos");
  const text = [reviewed ? `${count(reviewed)} by people` : null, predicted ? `${count(predicted)} by models` : null].filter(Boolean).join(", ");
  return h("a", { class: "pt-word-photos", "data-key": key("photos"), href: `/app/library?label=${label.id}`, "aria-label": `Photos of ${label.name}: ${text}` }, text);
}
