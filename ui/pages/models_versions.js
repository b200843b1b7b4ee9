// The versions there are, newest first: what each was made from and how good it is; activate one, or go back.

import { api } from "./api.js";
import { ask } from "./ask.js";
import { h, icon, moment, percent, plural, say } from "./dom.js";
import { activate } from "./models_compare.js";

const FIGURES = [["top1", "top-1"], ["top5", "top-5"], ["macro_f1", "macro F1"], ["coverage", "coverage"]];

/** The section; `paint(known, active)` shows what GET /api/models/versions answers. `on`: `tell(text)`, `changed()`. */
export function versionList(on) {
  const list = h("ol", { class: "pt-versions" });
  const place = h("div", { class: "pt-row" });
  const note = h("div", { class: "pt-versions-note" });
  const element = h("section", { "aria-labelledby": "pt-versions-title" }, h("div", { class: "pt-part-head" }, h("h2", { id: "pt-versions-title" }, "Versions"), place), note, list);
  let shown = "";

  function paint(known, active) {
    const now = JSON.stringify([known, active]);
    if (now === shown) return;
    shown = now;
    const focused = element.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    place.replaceChildren(...(known.back ? [h("button", { type: "button", class: "pt-button pt-second pt-compact", "data-key": "back", onclick: () => back(known.back) }, `Roll back to “${known.back.before}”…`)] : []));
    list.replaceChildren(...(known.versions.length ? known.versions.map((version) => row(version, active)) : [h("li", { class: "pt-soft" }, "No version yet: the first one comes with the first worker.")]));
    if (focused) element.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  }

  function row(version, active) {
    const figures = FIGURES.filter(([key]) => version.figures[key] !== undefined).map(([key, name]) => `${name} ${key === "macro_f1" ? version.figures[key].toFixed(2) : percent(version.figures[key])}`).join(" · ");
    const made = version.run ? `Made ${moment(version.created_at)} by ${version.made_by ?? "the command line"}, recipe ${version.recipe}, from ${plural(version.photos ?? 0, "labelled photo")}` : `${version.origin}, since ${moment(version.created_at)}`;
    const since = version.activated_at ? `${version.active ? "Active since" : "Last activated"} ${moment(version.activated_at)}${version.activated_by ? ` by ${version.activated_by}` : ""}` : "";
    return h("li", { class: `pt-card pt-version ${version.active ? "pt-version-active" : ""}`, "data-version": version.name },
      h("div", { class: "pt-version-words" }, h("div", { class: "pt-row" }, h("h3", {}, version.name), version.active ? h("span", { class: "pt-chip pt-chip-running" }, "active") : null),
        h("p", { class: "pt-soft" }, `${plural(version.labels, "label")}${figures ? ` · ${figures}` : ""}`), h("p", { class: "pt-soft" }, made), since ? h("p", { class: "pt-soft" }, since) : null),
      h("div", { class: "pt-row pt-version-acts" }, version.run ? h("a", { class: "pt-button pt-second pt-compact", href: `/admin/models?run=${version.run}`, "aria-label": `Report of ${version.name}` }, "Report") : null,
        version.active ? null : h("button", { type: "button", class: "pt-button pt-second pt-compact", "data-key": version.name, "aria-label": `Activate ${version.name}`, onclick: () => activate(version.name, active, null, on.changed) }, "Activate…")));
  }

  async function back({ version, before, photos }) {
    const about = [`“${before}” tags new photos again.`,
      photos ? `${plural(photos, "photo")} that “${version}” re-tagged will show again what ${photos === 1 ? "it" : "they"} showed before.` : "No photo was re-tagged, so none changes.", "What people said stays as it is."];
    const made = await ask({ title: `Go back to “${before}”?`, about, yes: "Roll back", danger: true, act: () => api("/api/models/rollback", { method: "POST", json: { expected: version } }) });
    if (!made) return;
    const text = `Rolled back: “${before}” tags again${photos ? ", and photos show again what they showed before" : ""}.`;
    note.replaceChildren(h("p", { class: "pt-notice pt-info" }, icon("info", 20), h("span", {}, text)));
    say(text);
    await on.changed();
  }

  return { element, paint };
}
