// Building the page: elements are made with createElement, so that no name of a file can become HTML.

/** An element. Attributes that are null or false are left out, functions become listeners ("onclick"). */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** An element of a drawing; attributes and children as for `h`. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const ICONS = {
  photos: "M4 7a2 2 0 0 1 2-2h9a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2zM4 14l3.5-3.5L11 14l2-2 4 3.5M20 8v10a2 2 0 0 1-2 2H8",
  warning: "M12 4 2.8 19.5h18.4zM12 10v4.5M12 17.2v.1",
  info: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 11v5.5M12 7.6v.1",
  file: "M6 3h8l4 4v14H6zM14 3v4h4",
  close: "M6 6l12 12M18 6L6 18",
  up: "M12 19V5M6 11l6-6 6 6",
  down: "M12 5v14M6 13l6 6 6-6",
  left: "M14.5 5.5 8 12l6.5 6.5",
  right: "M9.5 5.5 16 12l-6.5 6.5",
  person: "M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8M4.5 20.5c.6-4 3.6-6 7.5-6s6.9 2 7.5 6",
};

/** The shown label in words; a person may have said that none fits. */
export const shownOf = ({ shown, by_person }) => shown ?? (by_person ? "none of these" : null);

/** A line drawing; decoration only, hidden from screen readers. */
export function icon(name, size = 24) {
  return svg("svg", {
    viewBox: "0 0 24 24", width: size, height: size, fill: "none", stroke: "currentColor", "stroke-width": 1.6,
    "stroke-linecap": "round", "stroke-linejoin": "round", "aria-hidden": "true", class: "pt-icon",
  }, svg("path", { d: ICONS[name] }));
}

export const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const integers = new Intl.NumberFormat("en");
export const count = (n) => integers.format(n);
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;
export const percent = (score) => `${score >= 0.995 ? Math.floor(score * 100) : Math.round(score * 100)} %`;

export function bytes(n) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (n >= 1000 && unit < units.length - 1) { n /= 1000; unit += 1; }
  return `${unit === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)} ${units[unit]}`;
}

/** A limit, in the units that files are measured in; never more than it is. */
export function limit(n) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (n >= 1024 && unit < units.length - 1) { n /= 1024; unit += 1; }
  return `${count(Math.floor(n))} ${units[unit]}`;
}

/** How long something takes, as a person would say it. */
export function duration(seconds) {
  if (seconds < 1) return "a moment";
  if (seconds < 60) return plural(Math.round(seconds), "second");
  if (seconds < 3600) return plural(Math.round(seconds / 60), "minute");
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.round((seconds % 3600) / 60);
  return minutes && hours < 10 ? `${hours} h ${minutes} min` : plural(Math.round(seconds / 3600), "hour");
}

const moments = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });
export const moment = (iso) => moments.format(new Date(iso));

let title = document.title;

/** Names the page. Gradio names it too, once it has been read, and only after one of all its pages: ours counts. */
export function setTitle(text) {
  title = `${text} - phototag`;
  document.title = title;
}

new MutationObserver(() => { if (document.title !== title) document.title = title; }).observe(document.head, { subtree: true, childList: true, characterData: true });

/** Says `text` to screen readers without moving the focus. */
export function say(text) {
  let region = document.getElementById("pt-said");
  if (!region) {
    region = h("div", { id: "pt-said", class: "pt-hidden", role: "status", "aria-live": "polite" });
    document.body.append(region);
  }
  region.textContent = text;
}

/** A label's name, its score, and a bar as long as the score. */
export function scored(name, score) {
  const fill = h("span", { class: "pt-bar-fill" });
  fill.style.width = `${Math.max(score * 100, 0.5)}%`;
  return [h("span", { class: "pt-bar-name" }, name), h("span", { class: "pt-bar-score" }, percent(score)), h("span", { class: "pt-bar", "aria-hidden": "true" }, fill)];
}

/** Five labels as bars, best first. */
export function bars(labels) {
  return h("ol", { class: "pt-bars", "aria-label": "Labels, best first" }, ...labels.map(([name, score]) => h("li", {}, ...scored(name, score))));
}
