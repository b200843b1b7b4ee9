// One photo of the library: large, with its labels, what its file says, where it came from and what happened to it.

import { api } from "./api.js";
import { bars, bytes, h, icon, moment, plural, shownOf } from "./dom.js";

const STATES = { untagged: "Waits to be tagged", refused: "Was refused", failed: "Could not be tagged" };

export class PhotoDialog {
  /** `on`: `step(by)` gives the neighbour, `close()`, `again(id)`, `remove(id)`. */
  constructor(on) {
    this.on = on;
    this.picture = h("img", { class: "pt-light-photo", alt: "" });
    this.words = h("div", { class: "pt-light-words pt-photo-words" });
    const round = (name, label, act, kind) => h("button", { type: "button", class: `pt-round ${kind}`, "aria-label": label, onclick: act }, icon(name, 24));
    this.stage = h("div", { class: "pt-light-stage" }, this.picture, round("left", "Photo before", () => this.on.step(-1), "pt-before"), round("right", "Next photo", () => this.on.step(1), "pt-next"));
    this.dialog = h("dialog", { class: "pt-light pt-photo", "aria-label": "Photo" }, this.stage, this.words, round("close", "Close", () => this.dialog.close(), "pt-close"));
    this.dialog.addEventListener("keydown", (event) => {
      if (event.key === "ArrowLeft") this.on.step(-1);
      if (event.key === "ArrowRight") this.on.step(1);
    });
    this.dialog.addEventListener("click", (event) => { if (event.target === this.dialog) this.dialog.close(); });
    this.dialog.addEventListener("close", () => { this.dialog.remove(); this.id = null; this.on.close(); });
  }

  get isOpen() {
    return this.dialog.open;
  }

  /** Shows photo `id`; `ends` says whether there is one before and one after. */
  async show(id, ends) {
    this.id = id;
    if (!this.dialog.open) {
      document.body.append(this.dialog);
      this.dialog.showModal();
    }
    this.dialog.querySelector(".pt-before").disabled = !ends.before;
    this.dialog.querySelector(".pt-next").disabled = !ends.after;
    let photo;
    try {
      photo = await api(`/api/library/photos/${id}`);
    } catch (error) {
      if (this.id === id) this.missing(error);
      return;
    }
    if (this.id === id) this.paint(photo);
  }

  /** Closes without telling anyone: the address has changed already. */
  hide() {
    if (!this.dialog.open) return;
    const { close } = this.on;
    this.on.close = () => {};
    this.dialog.addEventListener("close", () => { this.on.close = close; }, { once: true });
    this.dialog.close();
  }

  missing(error) {
    this.picture.removeAttribute("src");
    this.picture.alt = "";
    this.words.replaceChildren(h("h2", {}, "No such photo"), h("p", { class: "pt-soft" }, error.status === 404 ? "It was deleted, or it belongs to somebody else." : error.message));
  }

  paint(photo) {
    if (photo.has_previews) this.picture.src = `/media/${photo.id}/1024.webp`;
    else this.picture.removeAttribute("src");
    this.picture.alt = shownOf(photo) ?? photo.name;
    const unsure = photo.not_sure && !photo.by_person;
    const labels = (photo.versions.find(({ name }) => name === photo.version) ?? photo.versions[0])?.labels ?? [];
    this.words.replaceChildren(...[
      h("h2", {}, unsure ? "Not sure" : shownOf(photo) ?? STATES[photo.state] ?? photo.name),
      labels.length ? bars(labels) : null,
      h("p", { class: "pt-soft" }, photo.by_person ? "Said by a person" : photo.version ? `By the model version ${photo.version}` : ""),
      this.actions(photo),
      photo.look_alikes > 1 ? h("p", { class: "pt-notice pt-info" }, icon("photos", 20), h("span", {}, `${plural(photo.look_alikes - 1, "photo")} ${photo.look_alikes === 2 ? "looks" : "look"} like this one. `, h("a", { href: "/app/duplicates" }, "See duplicates"))) : null,
      h("h3", {}, "Photo"), facts(photo),
      h("h3", {}, photo.places.length > 1 ? `In ${photo.places.length} places` : "Where it came from"), places(photo.places),
      h("h3", {}, "History"), h("ol", { class: "pt-history" }, ...photo.history.map(({ at, what }) => h("li", {}, h("time", { datetime: at, class: "pt-soft" }, moment(at)), h("span", {}, what)))),
      photo.versions.length > 1 ? h("h3", {}, "Other model versions") : null,
      ...photo.versions.filter(({ name }) => name !== photo.version && photo.versions.length > 1).map(({ name, labels: said }) => h("p", { class: "pt-soft" }, h("strong", {}, name), `: ${said.map(([label]) => label).join(", ")}`)),
    ].filter(Boolean));
    this.words.scrollTop = 0;
  }

  actions(photo) {
    const button = (text, act, kind = "") => h("button", { type: "button", class: `pt-button pt-second pt-compact ${kind}`, onclick: act }, text);
    return h("div", { class: "pt-row" },
      h("a", { class: "pt-button pt-second pt-compact", href: `/api/library/photos/${photo.id}/original`, download: photo.name }, "Download"),
      button("Tag again", () => this.on.again(photo.id)), button("Delete…", () => this.on.remove(photo.id), "pt-danger"));
  }
}

function facts({ name, facts: known }) {
  const [latitude, longitude] = known.coordinates ?? [];
  const exposure = [exposureOf(known.exposure_s), known.f_number ? `f/${round(known.f_number)}` : null, known.iso ? `ISO ${known.iso}` : null, known.focal_length_mm ? `${round(known.focal_length_mm)} mm` : null].filter(Boolean).join(" · ");
  const rows = [
    ["Name", name],
    ["Taken", known.taken_at],
    ["Camera", known.camera],
    ["Lens", known.lens],
    ["Exposure", exposure],
    ["Place", known.coordinates ? `${Math.abs(latitude).toFixed(5)}° ${latitude < 0 ? "S" : "N"}, ${Math.abs(longitude).toFixed(5)}° ${longitude < 0 ? "W" : "E"}` : null],
    ["Size", [known.width ? `${known.width} × ${known.height} px` : null, bytes(known.size_bytes), known.format].filter(Boolean).join(" · ")],
    ["Notes", known.notes.join("; ")],
    ["SHA-256", `${known.sha256.slice(0, 16)}…`],
  ];
  return h("dl", { class: "pt-facts" }, ...rows.filter(([, value]) => value).flatMap(([term, value]) => [h("dt", {}, term), h("dd", {}, value)]));
}

const round = (n) => String(Math.round(n * 10) / 10);

function exposureOf(seconds) {
  if (!seconds) return null;
  return seconds >= 0.4 ? `${round(seconds)} s` : `1/${Math.round(1 / seconds)} s`;
}

function places(found) {
  return h("ul", { class: "pt-places" }, ...found.map((place) => h("li", {},
    h("span", { class: "pt-path" }, place.archive ? `${place.archive} › ${place.path}` : place.path),
    h("span", { class: "pt-soft" }, h("a", { href: `/app/batches?batch=${place.batch_id}` }, place.batch),
      place.gone_at ? ` · gone since ${moment(place.gone_at)}` : place.in_place ? " · read where it lies" : "", place.reason ? ` · ${place.reason}` : ""))));
}
