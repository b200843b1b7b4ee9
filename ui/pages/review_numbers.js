// What has been reviewed, how fast, and how often the model is right.

import { api } from "./api.js";
import { showDialog } from "./ask.js";
import { count, duration, h, percent, plural } from "./dom.js";

/** The numbers as they are now; the day begins at midnight here. */
export function numbers() {
  return api(`/api/review/numbers?${new URLSearchParams({ day_begins: new Date(new Date().setHours(0, 0, 0, 0)).toISOString() })}`);
}

/** Opens the numbers. */
export async function showNumbers() {
  const close = h("form", { method: "dialog" }, h("button", { class: "pt-button pt-second", autofocus: true }, "Close"));
  const body = h("div", { class: "pt-numbers-body" }, h("p", { class: "pt-soft" }, "Counting…"));
  const dialog = h("dialog", { class: "pt-dialog pt-rev-dialog", "aria-labelledby": "pt-numbers-title" }, h("h2", { id: "pt-numbers-title" }, "Numbers"), body, close);
  showDialog(dialog);
  try {
    body.replaceChildren(...parts(await numbers()));
  } catch (error) {
    body.replaceChildren(h("p", { class: "pt-notice pt-bad", role: "alert" }, error.message));
  }
}

function parts({ people, agreement, undecided, minutes_left, per_minute }) {
  const pace = per_minute ? `, ${per_minute.toFixed(0)} a minute` : "";
  const left = minutes_left ? `, about ${duration(minutes_left * 60)} at this pace` : "";
  return [
    h("p", {}, undecided ? `${plural(undecided, "photo is", "photos are")} undecided${left}${pace}.` : "Every tagged photo is decided."),
    people.length ? table("Reviewers", ["Who", "Today", "In all", "A minute"], people.map((one) => [one.name, count(one.today), count(one.total), one.per_minute ? one.per_minute.toFixed(0) : "–"])) : null,
    h("h3", {}, "How often the model is right"),
    agreement.length
      ? table("From the random sample alone", ["The model said", "Photos", "Right", "95 % interval"], agreement.map((one) => [one.label ?? "all labels", count(one.photos), percent(one.agreed / one.photos), `${percent(one.low)} to ${percent(one.high)}`]))
      : h("p", { class: "pt-soft" }, "Not known yet. Review photos of the queue “Random sample”: only those tell it without bias."),
  ].filter(Boolean);
}

function table(caption, heads, rows) {
  return h("table", { class: "pt-table" }, h("caption", {}, caption), h("thead", {}, h("tr", {}, ...heads.map((head) => h("th", { scope: "col" }, head)))),
    h("tbody", {}, ...rows.map(([first, ...cells]) => h("tr", {}, h("th", { scope: "row" }, first), ...cells.map((cell) => h("td", {}, cell))))));
}
