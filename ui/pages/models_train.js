// Before training: labels with their reviewed photos, what is missing, the recipe, one button.

import { api } from "./api.js";
import { count, h, icon, plural } from "./dom.js";
import { withCode } from "./status.js";

const FEW = 8;

/** The card; `paint(found)` shows what GET /api/models answers. */
export function trainCard() {
  const element = h("section", { class: "pt-card pt-train", "aria-labelledby": "pt-train-title" }, h("h2", { id: "pt-train-title" }, "Train a model"), h("p", { class: "pt-soft" }, "Loading…"));
  let shown = "";
  let all = false;
  const chosen = { recipe: null, auto: false };
  const costs = new Map(); // by recipe; as long as what it was computed from is shown

  function paint(found) {
    const now = JSON.stringify(found);
    if (now === shown) return; // keeps the focus and what was chosen
    shown = now;
    costs.clear();
    const again = element.contains(document.activeElement) ? document.activeElement.id : "";
    const { labels } = found.readiness;
    element.replaceChildren(h("h2", { id: "pt-train-title" }, "Train a model"), ...(labels.length ? ready(found) : nothing()));
    if (again) document.getElementById(again)?.focus();
  }

  function ready({ readiness, recipes, notice }) {
    const table = h("div", { class: "pt-train-labels" });
    const fill = () => table.replaceChildren(labelTable(readiness.labels, all), ...(readiness.labels.length > FEW
      ? [h("button", { type: "button", class: "pt-quiet pt-linked", id: "pt-train-all", "aria-expanded": String(all), onclick: () => { all = !all; fill(); document.getElementById("pt-train-all").focus(); } }, all ? "Show fewer" : `Show all ${count(readiness.labels.length)} labels`)] : []));
    fill();
    return [h("div", { class: "pt-train-parts" }, table, h("div", { class: "pt-train-form" }, ...missing(readiness), form(readiness, recipes, notice)))];
  }

  function form(readiness, recipes, notice) {
    const trouble = h("p", { class: "pt-notice pt-bad", role: "alert", hidden: true });
    const names = recipes.map(({ name }) => name);
    if (!names.includes(chosen.recipe)) chosen.recipe = names[0] ?? null;
    const choice = ({ name, title }) => h("label", { class: "pt-tick pt-recipe" },
      h("input", { type: "radio", name: "recipe", id: `pt-recipe-${name}`, value: name, checked: name === chosen.recipe, onchange: () => { chosen.recipe = name; price.show(name); } }),
      h("span", {}, h("strong", {}, name), h("span", { class: "pt-soft" }, title)));
    const auto = h("input", { type: "checkbox", id: "pt-auto", checked: chosen.auto, onchange: () => { chosen.auto = auto.checked; } });
    const price = costBox(costs);
    if (chosen.recipe) price.show(chosen.recipe);
    const button = h("button", { type: "submit", class: "pt-button", id: "pt-train-go", disabled: !readiness.ready || !names.length }, "Train");
    return h("form", { onsubmit: async (event) => {
      event.preventDefault();
      button.disabled = true;
      try {
        const run = await api("/api/models/runs", { method: "POST", json: { recipe: chosen.recipe, activate: chosen.auto ? "auto" : "never", accept_cost: price.isShown(chosen.recipe) } });
        window.location.assign(`/admin/models?run=${run.id}`);
      } catch (error) {
        trouble.textContent = error.message;
        trouble.hidden = false;
        button.disabled = false;
      }
    } },
    h("fieldset", { class: "pt-into" }, h("legend", {}, "Recipe"), ...recipes.map(choice)),
    price.element,
    h("label", { class: "pt-tick", for: "pt-auto" }, auto, "Activate it by itself if it is better"),
    notice && readiness.ready ? h("div", { class: "pt-notice pt-warn" }, icon("warning", 20), h("p", {}, ...withCode(notice))) : null,
    trouble, h("div", { class: "pt-row" }, button));
  }

  return { element, paint };
}

/** Says what the chosen recipe costs, or why it cannot be trained, where it makes a network of its own. What is shown is what is accepted. */
function costBox(known) {
  const element = h("div", { id: "pt-train-cost", role: "status", hidden: true });
  let current = null;
  async function show(recipe) {
    current = recipe;
    element.hidden = true;
    if (!known.has(recipe)) {
      try {
        known.set(recipe, (await api(`/api/models/cost?recipe=${encodeURIComponent(recipe)}`)).cost);
      } catch (error) {
        if (current === recipe) paint([error.message], "warn", "warning");
        return;
      }
    }
    if (current === recipe && known.get(recipe)) paint(known.get(recipe).lines, "info", "info");
  }
  function paint(lines, kind, name) {
    element.className = `pt-notice pt-${kind}`;
    element.replaceChildren(icon(name, 20), h("div", { class: "pt-missing" }, ...lines.map((text) => h("p", {}, ...withCode(text)))));
    element.hidden = false;
  }
  return { element, show, isShown: (recipe) => Boolean(known.get(recipe)) && !element.hidden };
}

function missing({ missing: words }) {
  if (!words.length) return [];
  return [h("div", { class: "pt-notice pt-info" }, icon("info", 20), h("div", { class: "pt-missing" }, ...words.map((text) => h("p", {}, ...withCode(text))), h("p", {}, h("a", { href: "/review/" }, "Review photos"))))];
}

function labelTable(labels, all) {
  const most = Math.max(...labels.map(({ reviewed }) => reviewed));
  const rows = [...labels].sort((a, b) => b.reviewed - a.reviewed || a.name.localeCompare(b.name)).slice(0, all ? labels.length : FEW);
  const reviewed = labels.reduce((sum, label) => sum + label.reviewed, 0);
  const undecided = labels.some((label) => label.undecided);
  const cells = (label) => [label.reviewed, label.training, label.holdout, ...(undecided ? [label.undecided] : [])];
  const about = `${plural(reviewed, "reviewed photo")} of ${plural(labels.length, "label")}. Held out: photos of the exam, which no model is trained on.${undecided ? " Not decided: the next training decides." : ""}`;
  return h("div", {}, h("p", { class: "pt-soft pt-train-about", id: "pt-train-about" }, about), h("div", { class: "pt-scroll" }, h("table", { class: "pt-table", "aria-labelledby": "pt-train-about" },
    h("thead", {}, h("tr", {}, ...["Label", "Reviewed", "Training", "Held out", ...(undecided ? ["Not decided"] : [])].map((text) => h("th", { scope: "col" }, text)))),
    h("tbody", {}, ...rows.map((label) => h("tr", {},
      h("th", { scope: "row" }, h("span", { class: "pt-label-cell" }, label.name, label.enough ? null : h("span", { class: "pt-chip pt-chip-thin" }, "too few")), bar(label, most)),
      ...cells(label).map((n) => h("td", {}, count(n)))))))));
}

function bar(label, most) {
  const part = (kind, n) => {
    const element = h("span", { class: `pt-part ${kind}` });
    element.style.width = `${(n / most) * 100}%`;
    return element;
  };
  const rest = label.reviewed - label.holdout;
  return h("span", { class: "pt-bar pt-bar-parts", "aria-hidden": "true" }, part("pt-part-tagged", rest), part("pt-part-held", label.holdout));
}

function nothing() {
  return [h("div", { class: "pt-empty" }, icon("photos", 44), h("p", {}, "Nobody has given photos a label yet."),
    h("p", { class: "pt-soft" }, "A model learns from photos that people labelled. If yours lie in folders named after what they show, import them:"),
    h("p", {}, h("code", {}, "phototag labels import DIR")),
    h("p", { class: "pt-soft" }, "Or say what is right and wrong on the photos that are here."),
    h("div", { class: "pt-row pt-center" }, h("a", { class: "pt-button", href: "/review/" }, "Review photos"), h("a", { class: "pt-button pt-second", href: "/review/labels" }, "See the labels")))];
}
