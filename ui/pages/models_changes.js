// Held-out photos that got better and that got worse.

import { h, plural } from "./dom.js";
import { examPhotos, showPhotos, thumbnail } from "./models_photos.js";

const FEW = 6;

/** The section; null where there was nothing to compare with. */
export function changes(run, found, names) {
  if (!names.base) return null;
  return h("section", { class: "pt-card", "aria-labelledby": "pt-changes-title" }, h("h2", { id: "pt-changes-title" }, "Photos that changed"),
    part(run, names, "better", found.better, "got better", `Only “${names.candidate}” is right.`),
    part(run, names, "worse", found.worse, "got worse", `Only “${names.base}” is right.`));
}

function part(run, names, change, photos, words, about) {
  const title = photos ? `${plural(photos, "photo")} ${words}` : `No photo ${words}`;
  const list = h("ul", { class: "pt-thumbs" });
  const all = h("button", { type: "button", class: "pt-button pt-second pt-compact", hidden: photos <= FEW, onclick: () => showPhotos({ run: run.id, title, query: { change }, names }) }, `See all ${photos}`);
  if (photos) {
    examPhotos(run.id, { change }).then(
      ({ photos: some }) => list.append(...some.slice(0, FEW).map((photo) => thumbnail(photo, names))),
      (error) => list.append(h("li", { class: "pt-notice pt-bad", role: "alert" }, error.message)));
  }
  return h("div", { class: "pt-change-part" }, h("h3", {}, title), ...(photos ? [h("p", { class: "pt-soft" }, about), list, all] : []));
}
