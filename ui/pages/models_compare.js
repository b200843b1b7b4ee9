// The candidate beside the version that was active: the gate's verdict, figures, labels, mistakes, photos, and what to do.

import { api } from "./api.js";
import { ask } from "./ask.js";
import { h, icon, percent, plural } from "./dom.js";
import { byLabel } from "./models_by_label.js";
import { chart } from "./models_chart.js";
import { changes } from "./models_changes.js";
import { hurting } from "./models_hurting.js";
import { matrix } from "./models_matrix.js";
import { between } from "./models_words.js";

const VERDICTS = { better: "It is better.", not_better: "It is not better.", thin: "There is too little evidence to say." };

/** The parts of the page for a training that made a candidate. `on`: `refresh()`, `tell(text)`. */
export function comparison(run, on) {
  const { report } = run;
  const parts = [verdict(run, on)];
  if (!report) return parts;
  parts.push(figures(run));
  if (report.candidate.by_label.length) parts.push(byLabel(report, names(run)));
  const place = h("div", { class: "pt-run-parts" });
  parts.push(place);
  api(`/api/models/runs/${run.id}/matrix`).then(
    (found) => place.replaceChildren(...[matrix(run, found, names(run)), changes(run, found, names(run))].filter(Boolean)),
    (error) => on.tell(error.message));
  if (report.candidate.calibration.length) parts.push(calibration(run));
  if (report.hurting.length) parts.push(hurting(report.hurting));
  return parts;
}

/** What both versions are called. */
function names(run) {
  return { candidate: run.version ?? "candidate", base: run.base };
}

function verdict(run, on) {
  const words = run.words ?? { reasons: [], checks: [] };
  const kind = { better: "pt-gate-better", not_better: "pt-gate-not", thin: "pt-gate-thin" }[run.gate] ?? "";
  const said = new Set(words.checks.map((check) => check.words));
  return h("section", { class: `pt-card pt-gate ${kind}`, "aria-labelledby": "pt-gate-title" },
    h("h2", { id: "pt-gate-title" }, VERDICTS[run.gate] ?? "It was not compared."),
    ...words.reasons.filter((text) => !said.has(text)).map((text) => h("p", { class: "pt-models-text" }, text)),
    words.checks.length ? h("ul", { class: "pt-checks" }, ...words.checks.map((check) => h("li", { class: check.passed ? "pt-passed" : "pt-failed" },
      h("span", { class: "pt-check-mark", "aria-hidden": "true" }, check.passed ? "✓" : "✗"), h("span", {}, h("span", { class: "pt-hidden" }, check.passed ? "Passed: " : "Not passed: "), check.words)))) : null,
    run.gate === "thin" ? h("p", {}, h("a", { href: "/review/" }, "Review more photos")) : null,
    actions(run, on));
}

function actions(run, on) {
  if (!run.version) return null;
  if (run.version === run.active) {
    return h("div", { class: "pt-row" }, h("span", {}, "It is the active version: it tags from now on."), h("a", { class: "pt-button pt-compact", href: "/admin/models#pt-retag" }, "Re-tag the library"));
  }
  const button = (text, act, kind) => h("button", { type: "button", class: `pt-button ${kind}`, onclick: act }, text);
  const rejected = run.outcome === "rejected" ? h("span", { class: "pt-soft" }, "It was rejected; it stays in the list of versions.") : null;
  return h("div", { class: "pt-row" }, button("Activate", () => activate(run.version, run.active, run.gate, on.refresh), run.gate === "better" ? "" : "pt-second"),
    run.outcome === null ? button("Reject", () => reject(run, on), "pt-second") : null, rejected);
}

/** Asks, then lets a version tag from now on. Resolves with whether it does. */
export async function activate(version, active, gate, done) {
  const doubt = gate === "not_better" ? "On the held-out photos it is not better than the active version." : gate === "thin" ? "Whether it is better is not known yet." : null;
  const made = await ask({ title: `Activate “${version}”?`, yes: "Activate", about: [doubt, "From now on it tags new photos. Photos that are tagged go on showing what they show until you re-tag the library, and you see before what would change.",
    active ? `You can go back to “${active}” at any time.` : null].filter(Boolean),
    act: () => api(`/api/models/versions/${encodeURIComponent(version)}/activate`, { method: "POST", json: { expected: active } }).catch(async (error) => {
      if (error.status === 409) await done(); // beneath the message the page shows what is active by now
      throw error;
    }) });
  if (made) await done();
  return Boolean(made);
}

async function reject(run, on) {
  const sure = await ask({ title: `Reject “${run.version}”?`, about: "It stays in the list of versions and can be activated there later.", yes: "Reject", act: () => api(`/api/models/runs/${run.id}/reject`, { method: "POST" }) });
  if (sure) await on.refresh();
}

const FIGURES = [
  ["top1", "First label right", "top-1"], ["top5", "Right label among five", "top-5"], ["macro_f1", "Macro F1", "every label counts the same"],
  ["coverage", "Shown without “not sure”", "coverage"], ["accuracy_when_sure", "Right when sure", ""], ["calibration_error", "Calibration error", "smaller is better"],
];

/** A share and its interval, which stays in one piece where the column is narrow. */
function apart(words) {
  const [share, interval] = words.split(/ (?=\()/);
  return interval ? h("span", {}, `${share} `, h("span", { class: "pt-interval" }, interval)) : share;
}

function figures(run) {
  const { candidate, base, photos } = run.report;
  const said = (of, name) => (of && of[name] ? (name === "calibration_error" || name === "macro_f1" ? number(of[name]) : apart(between(of[name]))) : "–");
  const columns = [h("th", { scope: "col" }, run.version), base ? h("th", { scope: "col" }, run.base) : null];
  return h("section", { class: "pt-card", "aria-labelledby": "pt-figures-title" }, h("h2", { id: "pt-figures-title" }, base ? "Side by side" : "How good it is"),
    h("div", { class: "pt-scroll" }, h("table", { class: "pt-table pt-figures" },
      h("caption", {}, `On the same ${plural(photos, "held-out photo")}, which neither has seen; with 95 % intervals.`),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Figure"), ...columns)),
      h("tbody", {}, ...FIGURES.filter(([name]) => candidate[name]).map(([name, text, more]) => h("tr", {}, h("th", { scope: "row" }, text, more ? h("span", { class: "pt-soft pt-block" }, more) : null),
        h("td", {}, said(candidate, name)), base ? h("td", {}, said(base, name)) : null))))),
    base ? null : h("p", { class: "pt-notice pt-info" }, icon("info", 20), h("span", {}, "No active version knows these labels, so there is nothing to compare with.")));
}

const number = (figure) => (figure.low === null || figure.low === undefined ? figure.value.toFixed(3) : `${figure.value.toFixed(2)} (${figure.low.toFixed(2)} to ${figure.high.toFixed(2)})`);

function calibration(run) {
  const { candidate, base } = run.report;
  const points = ({ calibration: bins }) => bins.filter((bin) => bin.photos).map((bin) => [bin.mean_score, bin.accuracy]);
  const share = { low: 0, high: 1, ticks: [0, 0.25, 0.5, 0.75, 1], text: percent };
  return h("section", { class: "pt-card", "aria-labelledby": "pt-calibration-title" }, h("h2", { id: "pt-calibration-title" }, "Can its scores be trusted?"),
    h("p", { class: "pt-soft pt-about" }, "Of photos with a score of 80 %, four in five should be right: then the line follows the dotted one. Below it the version is too sure of itself."),
    chart({ title: "Calibration", x: { name: "Score", ...share }, y: { name: "Right", ...share }, lines: [
      { name: "", kind: "guide", points: [[0, 0], [1, 1]] },
      { name: run.version, kind: "main", points: points(candidate), dots: true },
      ...(base ? [{ name: run.base, kind: "other", points: points(base), dots: true }] : []),
    ] }));
}
