// Precision and recall of each label with their intervals, as bars; sorted by any column.

import { count, h, percent } from "./dom.js";
import { byName, whole } from "./models_words.js";

const FEW = 12;
const COLUMNS = [["name", "Label"], ["photos", "Photos"], ["precision", "Precision"], ["recall", "Recall"], ["change", "Recall before"]];

/** The section; `names`: what the versions are called. */
export function byLabel({ candidate, base }, names) {
  const before = new Map((base?.by_label ?? []).map((one) => [one.id, one]));
  const rows = candidate.by_label.filter((one) => one.photos || one.precision).map((one) => ({ ...one, before: before.get(one.id)?.recall ?? null }));
  const columns = COLUMNS.filter(([key]) => key !== "change" || base);
  const state = { by: "recall", down: false, all: rows.length <= FEW };
  const table = h("div", { class: "pt-scroll" });

  function paint() {
    const shown = sorted(rows, state).slice(0, state.all ? rows.length : FEW);
    table.replaceChildren(h("table", { class: "pt-table pt-by-label" }, h("caption", { class: "pt-hidden" }, `Precision and recall of ${names.candidate} by label`),
      h("thead", {}, h("tr", {}, ...columns.map(head))), h("tbody", {}, ...shown.map((one) => row(one, Boolean(base))))));
    more.hidden = rows.length <= FEW;
    more.textContent = state.all ? "Show fewer" : `Show all ${count(rows.length)} labels`;
  }

  function head([key, text]) {
    const mine = state.by === key;
    const turn = () => {
      state.down = mine ? !state.down : key !== "name";
      state.by = key;
      paint();
      table.querySelector(`[data-sort="${key}"]`).focus();
    };
    return h("th", { scope: "col", "aria-sort": mine ? (state.down ? "descending" : "ascending") : "none" },
      h("button", { type: "button", class: "pt-sort", "data-sort": key, onclick: turn }, text, h("span", { "aria-hidden": "true" }, mine ? (state.down ? " ↓" : " ↑") : "")));
  }

  const more = h("button", { type: "button", class: "pt-quiet pt-linked", onclick: () => { state.all = !state.all; paint(); } });
  paint();
  return h("section", { class: "pt-card", "aria-labelledby": "pt-by-label-title" }, h("h2", { id: "pt-by-label-title" }, "Label by label"),
    h("p", { class: "pt-soft pt-about" }, "Precision: of the photos it gives the label, how many have it. Recall: of the photos with the label, how many it finds. The pale band is the 95 % interval."),
    table, more);
}

function sorted(rows, { by, down }) {
  const value = (one) => (by === "photos" ? one.photos : by === "change" ? one.before?.value ?? -1 : one[by]?.value ?? -1);
  const order = (a, b) => (by === "name" ? 0 : value(a) - value(b)) || byName(a.name, b.name);
  const found = [...rows].sort(order);
  return down ? found.reverse() : found;
}

function row(one, compared) {
  return h("tr", {}, h("th", { scope: "row" }, one.name), h("td", {}, count(one.photos)), h("td", {}, share(one.precision)), h("td", {}, share(one.recall)),
    compared ? h("td", { class: "pt-soft-cell" }, one.before && one.before.value !== null ? percent(one.before.value) : "–") : null);
}

/** A share as text and as a bar with its interval. */
function share(figure) {
  if (!figure || figure.value === null || figure.value === undefined) return "–";
  const band = h("span", { class: "pt-share-band" });
  const dot = h("span", { class: "pt-share-fill" });
  dot.style.width = `${figure.value * 100}%`;
  band.style.left = `${figure.low * 100}%`;
  band.style.width = `${(figure.high - figure.low) * 100}%`;
  return h("span", { class: "pt-share" }, h("span", {}, percent(figure.value), h("span", { class: "pt-soft" }, ` ${whole(figure.low)} to ${whole(figure.high)}`)),
    h("span", { class: "pt-share-bar", "aria-hidden": "true" }, dot, band));
}
