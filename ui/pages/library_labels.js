// How many photos each label has, beside the grid: parents count what is below them, a click filters.

import { count, h } from "./dom.js";

const SHOWN = 30;

export class LabelList {
  constructor(choose) {
    this.choose = choose;
    this.list = h("ul", { class: "pt-labels" });
    this.search = h("input", { type: "search", class: "pt-input", placeholder: "Find a label", "aria-label": "Find a label", autocomplete: "off" });
    this.search.addEventListener("input", () => this.paint());
    this.heading = h("h2", {}, "Labels");
    this.element = h("section", { class: "pt-lib-labels", "aria-label": "Labels" }, this.heading, this.search, this.list);
    this.all = false;
    this.nodes = new Map();
  }

  /** The counts of the view; labels without a photo of their own come in as parents of others. */
  show(labels, chosen) {
    this.nodes = new Map(labels.map((label) => [label.id, { ...label, sum: label.photos, children: [] }]));
    for (const node of this.nodes.values()) this.nodes.get(node.parent)?.children.push(node);
    const add = (node, seen = new Set()) => {
      if (seen.has(node)) return 0;
      seen.add(node);
      node.sum = node.photos + node.children.reduce((sum, child) => sum + add(child, seen), 0);
      return node.sum;
    };
    this.tops = [...this.nodes.values()].filter((node) => !this.nodes.has(node.parent));
    this.tops.forEach((node) => add(node));
    this.chosen = chosen;
    this.element.hidden = !labels.length && !chosen;
    this.search.hidden = this.nodes.size <= 12;
    this.paint();
  }

  /** Marks the label that is filtered by, before its counts are there. */
  mark(chosen) {
    if (!this.tops || this.chosen === chosen) return;
    this.chosen = chosen;
    this.paint();
  }

  nameOf(id) {
    return this.nodes.get(Number(id))?.name;
  }

  paint() {
    const wanted = this.search.value.trim().toLowerCase();
    const open = new Set();
    for (let node = this.nodes.get(Number(this.chosen)); node && !open.has(node.id); node = this.nodes.get(node.parent)) open.add(node.id);
    const byCount = (a, b) => b.sum - a.sum || a.name.localeCompare(b.name);
    const tops = wanted ? [...this.nodes.values()].filter(({ name }) => name.toLowerCase().includes(wanted)) : this.tops;
    const shown = tops.filter(({ sum, id }) => sum > 0 || open.has(id)).sort(byCount);
    const row = (node, depth) => {
      const current = String(node.id) === String(this.chosen);
      return [h("li", {}, h("button", { type: "button", class: `pt-label pt-depth-${Math.min(depth, 4)}`, "aria-pressed": String(current), onclick: () => this.choose(current ? "" : String(node.id)) },
        h("span", { class: "pt-label-name" }, node.name), h("span", { class: "pt-soft" }, count(node.sum)))),
      ...(open.has(node.id) && !wanted ? node.children.filter(({ sum, id }) => sum > 0 || open.has(id)).sort(byCount).flatMap((child) => row(child, depth + 1)) : [])];
    };
    const some = this.all ? shown : shown.slice(0, SHOWN);
    const focused = document.activeElement?.closest?.(".pt-label")?.textContent;
    this.list.replaceChildren(...some.flatMap((node) => row(node, 0)),
      ...(shown.length > some.length ? [h("li", {}, h("button", { type: "button", class: "pt-quiet", onclick: () => { this.all = true; this.paint(); } }, `Show all ${count(shown.length)}`))] : []));
    if (focused) [...this.list.querySelectorAll(".pt-label")].find((button) => button.textContent === focused)?.focus();
  }
}
