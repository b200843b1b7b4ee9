// The labels that hurt most: photos whose label does not fit what is seen, to be sent back to review.

import { api } from "./api.js";
import { h, icon, percent, plural, say } from "./dom.js";
import { small } from "./models_photos.js";

const FEW = 12;

/** The section; `photos`: [{id, name, has_previews, label, fits}]. */
export function hurting(photos) {
  const done = h("div", {});
  const send = async (ids, ...buttons) => {
    buttons.forEach((button) => { button.disabled = true; });
    try {
      const { photos: sent } = await api("/api/models/review", { method: "POST", json: { ids } });
      const text = `${plural(sent, "photo")} ${sent === 1 ? "waits" : "wait"} for review. `;
      done.replaceChildren(h("p", { class: "pt-notice pt-info" }, icon("info", 20), h("span", {}, text, h("a", { href: "/review/?queue=mislabelled" }, "Review them"))));
      say(text);
      buttons.forEach((button) => { button.textContent = "Sent back"; });
    } catch (error) {
      buttons.forEach((button) => { button.disabled = false; });
      done.replaceChildren(h("p", { class: "pt-notice pt-bad", role: "alert" }, error.message));
    }
  };
  const back = (photo) => {
    const button = h("button", { type: "button", class: "pt-quiet pt-linked", "aria-label": `Send back to review: ${photo.name}`, onclick: () => send([photo.id], button) }, "Send back");
    return button;
  };
  const list = h("ul", { class: "pt-thumbs" });
  const singles = new Map(photos.map((photo) => [photo.id, back(photo)]));
  const show = (n) => list.replaceChildren(...photos.slice(0, n).map((photo) => h("li", {}, h("a", { href: `/app/library?photo=${photo.id}`, title: photo.name }, small(photo), h("span", { class: "pt-thumb-label" }, photo.label),
    h("span", { class: "pt-soft" }, `fits ${percent(photo.fits)}`)), singles.get(photo.id))));
  show(FEW);
  const more = h("button", { type: "button", class: "pt-button pt-second pt-compact", hidden: photos.length <= FEW, onclick: () => { show(photos.length); more.hidden = true; } }, `Show all ${photos.length}`);
  const all = h("button", { type: "button", class: "pt-button pt-compact", onclick: () => send(photos.map(({ id }) => id), all, ...singles.values()) }, photos.length === 1 ? "Send it back to review" : `Send all ${photos.length} back to review`);
  return h("section", { class: "pt-card", "aria-labelledby": "pt-hurting-title" }, h("h2", { id: "pt-hurting-title" }, "Labels that hurt most"),
    h("p", { class: "pt-soft pt-about" }, "People gave these photos a label that a model which has not seen them finds unlikely. Some are mistakes; each one that is corrected makes the next model better."),
    list, h("div", { class: "pt-row" }, all, more), done);
}
