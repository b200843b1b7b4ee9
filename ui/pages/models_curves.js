// How a fit went: loss and accuracy on fitted and on held-out photos, epoch by epoch.

import { h, percent } from "./dom.js";
import { chart, ticks } from "./models_chart.js";

/** Both charts; `curves`: [{number, loss, accuracy, held_out_loss, held_out_accuracy}]. */
export function curveCharts(curves) {
  const last = Math.max(2, curves.at(-1).number);
  const x = { name: "Epoch", low: 1, high: last, ticks: ticks(1, last, 6).filter((n) => Number.isInteger(n) && n >= 1), text: (n) => String(n) };
  const lines = (name) => [
    { name: "held out", kind: "main", points: curves.map((one) => [one.number, one[`held_out_${name}`]]) },
    { name: "fitted", kind: "other", points: curves.map((one) => [one.number, one[name]]) },
  ];
  const losses = curves.flatMap((one) => [one.loss, one.held_out_loss]).filter((value) => value !== null && value !== undefined);
  const high = Math.max(...losses, 0.1) * 1.05;
  return h("div", { class: "pt-charts" },
    chart({ title: "Accuracy", lines: lines("accuracy"), x, y: { low: 0, high: 1, ticks: [0, 0.25, 0.5, 0.75, 1], text: percent } }),
    chart({ title: "Loss", lines: lines("loss"), x, y: { low: 0, high, ticks: ticks(0, high), text: (value, exact) => (exact ? value.toFixed(4) : String(Number(value.toFixed(3)))) } }));
}

/** The last epoch in words. */
export function lastEpoch(curves) {
  const { number, loss, accuracy, held_out_accuracy: held } = curves.at(-1);
  return `Epoch ${number}: loss ${loss.toFixed(3)}, ${percent(accuracy)} of fitted photos right${held === null || held === undefined ? "" : `, ${percent(held)} of held-out ones`}`;
}
