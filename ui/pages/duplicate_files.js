// One photo that is several files: where they lie.

import { bytes, count, h, icon, plural } from "./dom.js";

/** A row of the list. */
export function fileRow(photo) {
  const picture = photo.has_previews
    ? h("img", { src: `/media/${photo.id}/320.webp`, alt: "", width: 96, height: 96, loading: "lazy", decoding: "async" })
    : h("span", { class: "pt-cover-none" }, icon("photos", 28));
  const more = photo.count - photo.places.length;
  return h("article", { class: "pt-card pt-same" }, picture,
    h("div", { class: "pt-same-words" },
      h("h2", {}, photo.name),
      h("p", { class: "pt-soft" }, `${plural(photo.count, "file")} of ${bytes(photo.size_bytes)}`),
      h("ul", {}, ...photo.places.map(({ archive, path, batch, batch_id }) => h("li", {},
        h("span", {}, archive ? `${archive}: ${path}` : path), " ",
        h("a", { class: "pt-soft", href: `/app/batches?batch=${batch_id}` }, batch))),
      more > 0 ? h("li", { class: "pt-soft" }, `and ${count(more)} more`) : null)));
}
