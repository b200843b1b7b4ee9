// A view of the library as its address says it: filters, order, place, open photo. Reloaded or shared it is the same view.

const FILTERS = ["label", "min_score", "max_score", "sure", "batch", "state", "from", "to", "camera", "format", "name"];
const ORDER = ["sort", "order"];
const ALL = [...FILTERS, ...ORDER, "at", "photo"];

/** What the address says; parts that are not set are "". */
export function viewOfAddress() {
  const query = new URLSearchParams(window.location.search);
  return Object.fromEntries(ALL.map((name) => [name, query.get(name) ?? ""]));
}

/** The address of a view. Parts in the order of people's interest, without those that are not set. */
export function addressOf(view) {
  const query = new URLSearchParams(ALL.filter((name) => view[name] !== "").map((name) => [name, view[name]]));
  const text = query.toString();
  // written out: Gradio's pages have <base href="./">
  return window.location.pathname + (text ? `?${text}` : "");
}

/** Filters and order for our JSON routes. */
export function queryOf(view, more = {}) {
  const set = [...FILTERS, ...ORDER].filter((name) => view[name] !== "").map((name) => [name, view[name]]);
  return new URLSearchParams([...set, ...Object.entries(more)]);
}

/** The view as a JSON route takes it in a body. */
export function bodyOf(view) {
  return Object.fromEntries(queryOf(view));
}

/** A view without its place and its open photo: what is the same list of photos. */
export function listOf(view) {
  return queryOf(view).toString();
}

export function filtersOf(view) {
  return FILTERS.filter((name) => view[name] !== "");
}

export function withoutFilters(view) {
  return { ...Object.fromEntries(ALL.map((name) => [name, ""])), sort: view.sort, order: view.order };
}
