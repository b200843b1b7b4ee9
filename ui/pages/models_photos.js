// Photos of an exam in a dialog: thumbnails with what was said of them, each leading to the photo's own view.

import { api } from "./api.js";
import { showDialog } from "./ask.js";
import { h, icon, percent } from "./dom.js";

let opened = 0;

/** Opens the photos that `query` asks for. */
export async function showPhotos({ run, title, query, names }) {
  opened += 1;
  const id = `pt-photos-${opened}`;
  const list = h("ul", { class: "pt-thumbs" }, h("li", { class: "pt-soft" }, "Loading…"));
  const more = h("button", { type: "button", class: "pt-button pt-second pt-compact", hidden: true, onclick: () => read() }, "Show more");
  const close = h("form", { method: "dialog" }, h("div", { class: "pt-row" }, more, h("button", { class: "pt-button pt-second pt-compact", autofocus: true }, "Close")));
  const dialog = h("dialog", { class: "pt-dialog pt-photos-dialog", "aria-labelledby": id }, h("h2", { id }, title), list, close);
  let after = 0;
  async function read() {
    try {
      const found = await examPhotos(run, { ...query, after });
      if (!after) list.replaceChildren();
      list.append(...found.photos.map((photo) => thumbnail(photo, names)));
      if (!list.childElementCount) list.append(h("li", { class: "pt-soft" }, "These photos were deleted since."));
      after = found.photos.at(-1)?.id ?? after;
      more.hidden = !found.more;
    } catch (error) {
      list.replaceChildren(h("li", { class: "pt-notice pt-bad", role: "alert" }, error.message));
    }
  }
  const closed = showDialog(dialog);
  await read();
  await closed;
}

/** A page of a training's held-out photos. */
export function examPhotos(run, query) {
  return api(`/api/models/runs/${run}/photos?${new URLSearchParams(query)}`);
}

/** A small picture of a photo, or its place. */
export function small(photo, alt = "") {
  return photo.has_previews ? h("img", { src: `/media/${photo.id}/320.webp`, alt, width: 160, height: 160, loading: "lazy", decoding: "async" }) : h("span", { class: "pt-tile-none" }, icon("photos", 24));
}

/** A held-out photo with what people and both versions say of it. */
export function thumbnail(photo, names) {
  const said = (name, label, score) => h("span", { class: "pt-soft" }, `${name}: ${label}, ${percent(score)}`);
  return h("li", {}, h("a", { href: `/app/library?photo=${photo.id}`, title: photo.name }, small(photo), h("span", { class: "pt-thumb-label" }, photo.label),
    said(names.candidate, photo.candidate, photo.candidate_score), photo.base !== null ? said(names.base, photo.base, photo.base_score) : null));
}
