// One photo: sent at once, its labels as bars as soon as a worker has them.

import { api } from "./api.js";
import { bars, bytes, h, icon, percent, say, wait } from "./dom.js";
import { isArchive } from "./files.js";

const OPEN = ["ready", "leased"];
// A warm worker needs well under a second; after that we ask less often.
const waitFor = (tries) => (tries < 30 ? 120 : tries < 60 ? 500 : 2000);
const SLOW_AFTER = 25;

/** Shows `file` and its labels in `stage`. */
export async function showSingle(stage, file) {
  const picture = h("img", { class: "pt-single-photo", alt: file.name, src: URL.createObjectURL(file) });
  const facts = h("p", { class: "pt-soft pt-single-name" }, file.name, h("span", {}, bytes(file.size)));
  const answer = h("div", { class: "pt-single-answer", "aria-busy": "true" }, ...waiting("Sending the photo…"));
  // Not every browser shows HEIC or TIFF; our own preview comes with the labels.
  picture.addEventListener("error", () => picture.classList.add("pt-unseen"));
  stage.replaceChildren(h("article", { class: "pt-single pt-card" }, h("figure", {}, picture, h("figcaption", {}, facts)), answer));
  const { id } = await api(`/api/photos?${new URLSearchParams({ name: file.name })}`, { method: "POST", body: file });
  if (isArchive(file.name)) return window.location.assign(`/app/batches?batch=${id}`);
  const item = await finished(id, answer);
  if (!item) return window.location.assign(`/app/batches?batch=${id}`);
  answer.setAttribute("aria-busy", "false");
  answer.replaceChildren(...result(item, id));
  if (picture.classList.contains("pt-unseen") && item.has_previews) {
    picture.classList.remove("pt-unseen");
    picture.src = `/media/${item.photo_id}/1024.webp`;
  }
  say(item.state === "tagged" ? `${item.not_sure ? "Not sure. Best guess: " : ""}${item.labels[0]?.[0] ?? "no label"}` : item.reason);
  return undefined;
}

async function finished(id, answer) {
  for (let tries = 0; ; tries += 1) {
    const { items: [item] } = await api(`/api/batches/${id}/items?limit=1`);
    if (item && !OPEN.includes(item.state)) return item;
    if (!item) {
      // an archive under another name
      const { archives } = await api(`/api/batches/${id}`);
      if (archives.length) return null;
    }
    if (tries === 1) answer.replaceChildren(...waiting("Looking at the photo…"));
    if (tries === SLOW_AFTER) answer.replaceChildren(...waiting("Still waiting for a worker. The photo is kept, and its labels appear here."));
    await wait(waitFor(tries));
  }
}

function waiting(text) {
  return [h("p", { class: "pt-soft" }, text), h("div", { class: "pt-skeleton", "aria-hidden": "true" }, ...Array.from({ length: 5 }, () => h("span")))];
}

function result(item, id) {
  const link = h("p", { class: "pt-soft pt-single-link" }, h("a", { href: `/app/batches?batch=${id}` }, "Kept as a batch"), item.model_version ? ` · model ${item.model_version}` : "");
  if (item.state !== "tagged") {
    return [h("p", { class: "pt-notice pt-bad" }, icon("warning", 20), h("span", {}, `This photo was not tagged: ${item.reason || item.state}.`)), link];
  }
  const [best] = item.labels;
  return [
    h("h2", { class: "pt-best" }, item.not_sure ? "Not sure" : best?.[0] ?? "No label",
      item.not_sure ? null : h("span", { class: "pt-soft" }, percent(best?.[1] ?? 0))),
    item.not_sure ? h("p", { class: "pt-soft" }, "No label scores high enough to be shown. These came closest:") : null,
    bars(item.labels), link,
  ].filter(Boolean);
}
