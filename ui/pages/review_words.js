// The words of the Review page: why a photo is there, what the keys do.

import { showDialog } from "./ask.js";
import { h } from "./dom.js";

/** Queues in the order in which they are offered: [name, heading, why a photo is in it]. */
export const QUEUES = [
  ["mixed", "Mixed", ""],
  ["not_sure", "Not sure", "The model is not sure: two labels are close"],
  ["disagree", "Versions disagree", "Versions of the model disagree"],
  ["mislabelled", "Looks mislabelled", "Looks unlike others with its label"],
  ["contradiction", "Look-alikes differ", "A look-alike has another label"],
  ["few", "Few examples", "Few reviewed photos have this label"],
  ["audit", "Random sample", "Drawn at random, to measure the model"],
  ["never", "Never reviewed", "Nobody has looked at it yet"],
  ["second_opinion", "Second opinion", "Someone could not tell what it is"],
];

export const reasonOf = (name) => QUEUES.find(([queue]) => queue === name)?.[2] ?? "";

const BOTH = [["/", "Another label: type its name"], ["X", "None of these labels"], ["U", "I cannot tell"], ["S", "Skip for now"], ["Z", "Undo, as often as you like"]];
const KEYS = {
  single: [["1 to 5", "Take that label"], ["Enter or A", "Accept the first label"], ...BOTH, ["L", "The same label for all look-alikes"], ["← and →", "Back and forth"], ["?", "These keys"]],
  grid: [["Enter or A", "Accept what is selected"], ["1 to 5", "Give it that label"], ...BOTH, ["Space", "Select the photo"], ["Shift click", "Select up to it"], ["Ctrl A", "Select all"], ["Esc", "Select none"], ["Arrows", "Move"], ["O", "Open it large"], ["N", "Leave the rest, next page"], ["?", "These keys"]],
};

/** A button and the key that presses it as well: the last of `keys` stands on it. */
export function keyButton(text, keys, act, look = "pt-button pt-second pt-compact") {
  return h("button", { type: "button", class: look, "aria-keyshortcuts": keys, onclick: act }, text, " ", h("kbd", { "aria-hidden": "true" }, keys.split(" ").at(-1).toUpperCase()));
}

/** Shows what the keys do. */
export function showKeys(mode) {
  const rows = KEYS[mode].flatMap(([key, does]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, does)]);
  const dialog = h("dialog", { class: "pt-dialog pt-keys", "aria-labelledby": "pt-keys-title" },
    h("h2", { id: "pt-keys-title" }, "Keys"), h("dl", {}, ...rows),
    h("form", { method: "dialog" }, h("button", { class: "pt-button pt-second", autofocus: true }, "Close")));
  dialog.addEventListener("keydown", (event) => { if (event.key === "?") dialog.close(); });
  showDialog(dialog);
}

/** Whether a key stroke is meant for something else: a field, an open dialog, the browser. */
export function isElsewhere(event) {
  return event.defaultPrevented || event.altKey || event.metaKey || event.ctrlKey || Boolean(document.querySelector("dialog[open]"))
    || event.target.matches?.("input, select, textarea, [contenteditable]");
}

/** The key as the page's tables have it: letters small, whatever Shift and Caps Lock say. */
export const keyOf = (event) => (event.key.length === 1 ? event.key.toLowerCase() : event.key);

/** Whether the person who is logged in reviews: their navigation has the page. */
export function mayReview() {
  return JSON.parse(document.querySelector("meta[name=phototag-navigation]").content).some(({ href }) => href === "/review/");
}
