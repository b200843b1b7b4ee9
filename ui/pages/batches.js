// The Batches page: the list, or one batch when the address names it (?batch=ID).

import { api, poll } from "./api.js";
import { count, h, icon, moment, plural, setTitle } from "./dom.js";
import { noticeBox } from "./status.js";
import { showBatch } from "./batch.js";

export const STATES = {
  receiving: "uploading", unpacking: "unpacking", running: "tagging", finished: "finished", cancelled: "cancelled", refused: "refused",
};
const OPEN = ["receiving", "unpacking", "running"];
const LIVE_MS = 2000;
const IDLE_MS = 10000;

/** Fills the page's main element. */
export function show(main) {
  const id = new URLSearchParams(window.location.search).get("batch");
  main.append(noticeBox());
  if (id) showBatch(main, id);
  else showList(main);
}

async function showList(main) {
  setTitle("Batches");
  const list = h("ul", { class: "pt-batches" });
  const more = h("button", { type: "button", class: "pt-button pt-second", hidden: true, onclick: () => older() }, "Show older batches");
  const trouble = h("p", { class: "pt-soft", role: "status" });
  main.append(h("h1", {}, "Batches"), trouble, list, more);
  const rows = new Map();
  const put = (batch, append) => {
    const row = batchRow(batch);
    if (rows.has(batch.id)) rows.get(batch.id).replaceWith(row);
    else if (append) list.append(row);
    rows.set(batch.id, row);
  };
  const older = async () => {
    const last = list.lastElementChild.dataset.id;
    const found = await api(`/api/batches?before=${last}`);
    found.batches.forEach((batch) => put(batch, true));
    more.hidden = !found.more;
  };
  let shown = "";
  let open = false;
  await poll(async () => {
    try {
      const found = await api("/api/batches");
      trouble.textContent = "";
      const now = JSON.stringify(found.batches);
      open = found.batches.some(({ state }) => OPEN.includes(state));
      if (now === shown) return;
      shown = now;
      if (!found.batches.length) return void list.replaceChildren(nothing());
      list.querySelector(".pt-empty")?.remove();
      if (found.batches.some(({ id }) => !rows.has(id))) {
        // new ones go on top; the older ones that were asked for stay
        const fresh = found.batches.filter(({ id }) => !rows.has(id));
        fresh.forEach((batch) => rows.set(batch.id, batchRow(batch)));
        list.prepend(...fresh.map(({ id }) => rows.get(id)));
        if (fresh.length === found.batches.length) more.hidden = !found.more;
      }
      found.batches.forEach((batch) => put(batch, false));
    } catch (error) {
      trouble.textContent = error.message;
    }
  }, () => (open ? LIVE_MS : IDLE_MS));
}

function nothing() {
  return h("li", { class: "pt-empty pt-card" }, icon("photos", 44), h("p", {}, "No batches yet."),
    h("p", { class: "pt-soft" }, "Drop photos, a folder or an archive on the Tag page, and follow them here."),
    h("a", { class: "pt-button", href: "/app/" }, "Tag photos"));
}

function batchRow(batch) {
  const covers = batch.covers.map((id) => h("img", { src: `/media/${id}/320.webp`, alt: "", width: 64, height: 64, loading: "lazy", decoding: "async" }));
  const row = h("li", { "data-id": batch.id }, h("a", { class: "pt-card pt-batch-row", href: `/app/batches?batch=${batch.id}` },
    h("span", { class: "pt-covers", "aria-hidden": "true" }, ...(covers.length ? covers : [h("span", { class: "pt-cover-none" }, icon("photos", 28))])),
    h("span", { class: "pt-batch-words" },
      h("span", { class: "pt-batch-name" }, batch.name),
      h("span", { class: "pt-soft" }, summary(batch)),
      OPEN.includes(batch.state) ? progressBar(batch.counts, "Progress") : null),
    h("span", { class: "pt-batch-side" }, chip(batch.state), kindChip(batch.kind), h("time", { class: "pt-soft", datetime: batch.created_at }, moment(batch.created_at)))));
  return row;
}

/** A batch's state as a coloured word. */
export function chip(state) {
  return h("span", { class: `pt-chip pt-chip-${state}` }, STATES[state] ?? state);
}

/** Says of a re-tag that it is one; nothing of photos that were sent. */
export function kindChip(kind) {
  return kind === "retag" ? h("span", { class: "pt-chip" }, "re-tag") : null;
}

/** How much of a batch is tagged, and how much was not. */
export function progressBar(counts, label) {
  const bar = h("span", { class: "pt-bar pt-bar-big", role: "progressbar", "aria-label": label, "aria-valuemin": 0 });
  fillBar(bar, counts);
  return bar;
}

/** Moves a bar that `progressBar` made. */
export function fillBar(bar, counts) {
  const parts = [["tagged", counts.tagged], ["not", counts.refused + counts.failed], ["cancelled", counts.cancelled]];
  if (bar.childElementCount !== parts.length) bar.replaceChildren(...parts.map(([kind]) => h("span", { class: `pt-part pt-part-${kind}` })));
  const all = counts.total - counts.skipped;
  parts.forEach(([, n], at) => { bar.children[at].style.width = `${all ? (n / all) * 100 : 0}%`; });
  bar.setAttribute("aria-valuemax", all || 1);
  bar.setAttribute("aria-valuenow", all - counts.open);
}

function summary({ counts, state, reason }) {
  if (state === "refused") return reason || "refused";
  const photos = counts.total - counts.skipped;
  const parts = [OPEN.includes(state) ? `${count(counts.tagged)} of ${plural(photos, "photo")} tagged` : `${plural(counts.tagged, "photo")} tagged`];
  if (counts.refused) parts.push(`${count(counts.refused)} refused`);
  if (counts.failed) parts.push(`${count(counts.failed)} failed`);
  if (counts.cancelled) parts.push(`${count(counts.cancelled)} cancelled`);
  return parts.join(" · ");
}
