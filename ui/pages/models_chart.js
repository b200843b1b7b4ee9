// Lines over two axes, drawn as SVG, with the same values as a table for who cannot see them.

import { h, svg } from "./dom.js";

// Of a drawing in its own units: one as wide as a phone keeps its letters readable there.
const WIDTH = 460;
const NARROW = 320;
const PHONE = "(max-width: 760px)";
const HEIGHT = 230;
const LEFT = 46;
const RIGHT = 24;
const TOP = 12;
const BOTTOM = 34;

/**
 * A chart. `lines`: [{name, kind, points: [[x, y], ...], dots}], kind "main", "other" or "guide" (a guide is in no table).
 * `x` and `y`: {name, low, high, text(value), ticks}.
 */
export function chart({ title, lines, x, y }) {
  const width = window.matchMedia(PHONE).matches ? NARROW : WIDTH;
  const at = {
    right: width - RIGHT,
    x: (value) => LEFT + ((value - x.low) / (x.high - x.low || 1)) * (width - LEFT - RIGHT),
    y: (value) => HEIGHT - BOTTOM - ((value - y.low) / (y.high - y.low || 1)) * (HEIGHT - TOP - BOTTOM),
  };
  const told = lines.filter(({ kind }) => kind !== "guide");
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, class: "pt-chart-drawing", "aria-hidden": "true" }, ...grid(x, y, at), ...lines.flatMap((line) => drawn(line, at)));
  return h("figure", { class: "pt-chart", "aria-label": title }, h("figcaption", {}, h("strong", {}, title), legend(told)), drawing,
    h("details", {}, h("summary", {}, "As a table"), table(title, x, y, told)));
}

/** Numbers from `low` to `high` that are easy to read, about `wanted` of them. */
export function ticks(low, high, wanted = 4) {
  const span = high - low || 1;
  const rough = span / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, n) => (first + n) * step);
}

function grid(x, y, at) {
  const line = (x1, y1, x2, y2) => svg("line", { x1, y1, x2, y2, class: "pt-chart-grid" });
  const text = (words, left, top, anchor) => svg("text", { x: left, y: top, "text-anchor": anchor, class: "pt-chart-text" }, words);
  return [
    ...y.ticks.flatMap((value) => [line(LEFT, at.y(value), at.right, at.y(value)), text(y.text(value), LEFT - 7, at.y(value) + 4, "end")]),
    ...x.ticks.map((value) => text(x.text(value), at.x(value), HEIGHT - BOTTOM + 16, "middle")),
    text(x.name, (LEFT + at.right) / 2, HEIGHT - 3, "middle"),
  ];
}

function drawn({ kind, points, dots }, at) {
  const there = points.filter(([, value]) => value !== null && value !== undefined);
  const path = there.map(([px, py], n) => `${n ? "L" : "M"}${at.x(px).toFixed(1)} ${at.y(py).toFixed(1)}`).join("");
  const marks = dots || there.length === 1 ? there.map(([px, py]) => svg("circle", { cx: at.x(px).toFixed(1), cy: at.y(py).toFixed(1), r: 3.5, class: `pt-dot-${kind}` })) : [];
  return [path ? svg("path", { d: path, class: `pt-line pt-line-${kind}` }) : null, ...marks];
}

function legend(lines) {
  return h("span", { class: "pt-legend" }, ...lines.map(({ name, kind }) => h("span", {},
    svg("svg", { width: 22, height: 8, viewBox: "0 0 22 8", "aria-hidden": "true" }, svg("path", { d: "M1 4H21", class: `pt-line pt-line-${kind}` })), name)));
}

function table(title, x, y, lines) {
  const places = [...new Set(lines.flatMap(({ points }) => points.map(([px]) => px)))].sort((a, b) => a - b);
  const values = lines.map(({ points }) => new Map(points));
  const cell = (value) => (value === null || value === undefined ? "–" : y.text(value, true));
  return h("div", { class: "pt-scroll" }, h("table", { class: "pt-table" }, h("caption", { class: "pt-hidden" }, title),
    h("thead", {}, h("tr", {}, ...[x.name, ...lines.map(({ name }) => name)].map((text) => h("th", { scope: "col" }, text)))),
    h("tbody", {}, ...places.map((place) => h("tr", {}, h("th", { scope: "row" }, x.text(place, true)), ...values.map((known) => h("td", {}, cell(known.get(place)))))))));
}
