// The confusion matrix as a heat map whose cells open their photos; of more than 50 labels the most frequent mistakes.

import { count, h, plural } from "./dom.js";
import { showPhotos } from "./models_photos.js";
import { byName } from "./models_words.js";

const MOST_LABELS = 50;
const MOST_PAIRS = 50;
// Cells whose colour is mixed half and half would be read badly in white and in black: they are pale or full.
const STRONG = 0.75;

/** The section; `found`: what GET .../matrix answers. */
export function matrix(run, found, names) {
  const labels = Object.keys(found.names).map(Number).sort((a, b) => byName(found.names[a], found.names[b]));
  if (!labels.length) return null;
  const place = h("div", {});
  const state = { of: "candidate" };
  const choose = h("div", { class: "pt-filters", role: "group", "aria-label": "Which version" });
  const paint = () => {
    const versions = ["candidate", ...(names.base ? ["base"] : [])];
    choose.replaceChildren(...versions.map((of) => h("button", { type: "button", "aria-pressed": String(of === state.of), onclick: () => { state.of = of; paint(); choose.querySelector("[aria-pressed=true]").focus(); } }, names[of])));
    const cells = found.cells[state.of];
    const open = (truth, said) => showPhotos({ run: run.id, title: titleOf(found.names, truth, said), query: { label: truth, said, of: state.of }, names });
    place.replaceChildren(labels.length > MOST_LABELS ? pairs(cells, found.names, open) : grid(cells, labels, found.names, open, names[state.of]));
  };
  paint();
  return h("section", { class: "pt-card", "aria-labelledby": "pt-matrix-title" }, h("div", { class: "pt-part-head" }, h("h2", { id: "pt-matrix-title" }, "What is taken for what"), choose),
    h("p", { class: "pt-soft pt-about" }, labels.length > MOST_LABELS ? "The most frequent mistakes; each opens its photos." : "Rows: what people say. Columns: what the version says. A cell opens its photos."), place);
}

function titleOf(names, truth, said) {
  return truth === said ? `“${names[truth]}”, found` : `“${names[truth]}” taken for “${names[said]}”`;
}

function grid(cells, labels, names, open, version) {
  const byPlace = new Map(cells.map(([truth, said, photos]) => [`${truth} ${said}`, photos]));
  const sums = new Map();
  for (const [truth, , photos] of cells) sums.set(truth, (sums.get(truth) ?? 0) + photos);
  const cell = (truth, said) => {
    const photos = byPlace.get(`${truth} ${said}`);
    if (!photos) return h("td", { class: "pt-cell-none" });
    const right = truth === said;
    const share = photos / sums.get(truth);
    const words = `${plural(photos, "photo")} of ${names[truth]}, ${right ? "found" : `taken for ${names[said]}`}`;
    const button = h("button", { type: "button", class: `pt-cell ${right ? "pt-cell-right" : "pt-cell-wrong"} ${share >= STRONG ? "pt-cell-strong" : ""}`, "aria-label": words, title: words, onclick: () => open(truth, said) }, count(photos));
    button.style.setProperty("--share", `${Math.round(share >= STRONG ? 88 + share * 12 : 12 + share * 50)}%`);
    return h("td", {}, button);
  };
  return h("div", { class: "pt-scroll pt-matrix-place", tabindex: "0", role: "region", "aria-label": "Confusion matrix" }, h("table", { class: "pt-matrix" }, h("caption", { class: "pt-hidden" }, `What ${version} takes for what`),
    h("thead", {}, h("tr", {}, h("td", {}), ...labels.map((said) => h("th", { scope: "col" }, h("span", {}, names[said]))))),
    h("tbody", {}, ...labels.map((truth) => h("tr", {}, h("th", { scope: "row", title: names[truth] }, names[truth]), ...labels.map((said) => cell(truth, said)))))));
}

function pairs(cells, names, open) {
  const wrong = cells.filter(([truth, said]) => truth !== said).sort((a, b) => b[2] - a[2]).slice(0, MOST_PAIRS);
  if (!wrong.length) return h("p", {}, "No held-out photo is taken for another label.");
  return h("ol", { class: "pt-pairs" }, ...wrong.map(([truth, said, photos]) => h("li", {}, h("button", { type: "button", class: "pt-pair", onclick: () => open(truth, said) },
    h("span", {}, `${names[truth]} → ${names[said]}`), h("strong", {}, count(photos))))));
}
