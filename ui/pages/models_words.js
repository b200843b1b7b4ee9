// What runs, versions and figures are called.

import { h, percent } from "./dom.js";

export const STATES = { queued: "waits", running: "training", done: "done", failed: "failed", cancelled: "cancelled" };
export const STAGES = {
  "": "Starting", snapshot: "Collecting labelled photos", features: "Computing features", frozen: "Running photos through the blocks that stay", tuning: "Training block 5", variants: "Changed variants of the photos to train on", head: "Training the head", exam: "Examining on held-out photos", publish: "Writing the version",
};
export const GATES = { better: "better", not_better: "not better", thin: "too little evidence" };

/** A run's state as a coloured word; of a finished one, what became of it. */
export function runChip(run) {
  const text = run.outcome ?? (run.state === "done" && run.gate ? GATES[run.gate] : STATES[run.state]) ?? run.state;
  const kind = run.state === "failed" ? "refused" : run.state === "running" || run.outcome === "activated" ? "running" : "plain";
  return h("span", { class: `pt-chip pt-chip-${kind}` }, text);
}

/** A share with its 95 % interval, as "83 % (72 to 91 %)". */
export function between(share) {
  if (!share || share.value === null) return "–";
  return share.low === null || share.low === undefined ? percent(share.value) : `${percent(share.value)} (${whole(share.low)} to ${percent(share.high)})`;
}

/** The order of names: 2 before 10. */
export const byName = (a, b) => a.localeCompare(b, undefined, { numeric: true });

export const whole = (share) => String(Math.round(share * 100));

/** What a stage is at, for people. */
export function progressWords(run) {
  if (run.state === "queued") return run.ahead === 0 ? "Begins in a moment" : `${run.ahead === 1 ? "One training comes" : `${run.ahead} trainings come`} before it`;
  const of = run.total ? ` · ${run.done.toLocaleString("en")} of ${run.total.toLocaleString("en")}` : "";
  return `${STAGES[run.stage] ?? run.stage}${of}`;
}

/** A bar for the stage; without a total it says only that something goes on. */
export function stageBar(run) {
  const fill = h("span", { class: "pt-part pt-part-tagged" });
  fill.style.width = `${run.total ? Math.min(100, (run.done / run.total) * 100) : 0}%`;
  return h("div", { class: "pt-bar pt-bar-big", role: "progressbar", "aria-label": "This stage", "aria-valuemin": 0, "aria-valuemax": run.total || 1, "aria-valuenow": run.done, "aria-valuetext": progressWords(run) }, fill);
}
