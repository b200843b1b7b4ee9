// The Library page: every photo a person may see, filtered, sorted, selected. The address always names what is shown.

import { api } from "./api.js";
import { count, h, icon, plural, setTitle } from "./dom.js";
import { addressOf, filtersOf, listOf, queryOf, viewOfAddress, withoutFilters } from "./library_address.js";
import { LibraryFilters } from "./library_filters.js";
import { LibraryGrid } from "./library_grid.js";
import { LabelList } from "./library_labels.js";
import { PhotoDialog } from "./library_photo.js";
import { Selection } from "./library_selection.js";
import { mayReview } from "./review_words.js";
import { noticeBox } from "./status.js";

/** Fills the page's main element. */
export function show(main) {
  setTitle("Library");
  main.classList.add("pt-wide");
  new LibraryPage(main).start();
}

class LibraryPage {
  constructor(main) {
    this.view = viewOfAddress();
    this.total = 0;
    this.numbers = h("p", { class: "pt-soft pt-lib-numbers", role: "status" }, " ");
    this.trouble = h("p", { class: "pt-notice pt-bad", role: "alert", hidden: true });
    this.filters = new LibraryFilters((parts) => this.go(parts), () => this.go(withoutFilters(this.view)));
    this.labels = new LabelList((label) => this.go({ label }));
    this.selection = new Selection({
      photos: () => this.grid.photos, view: () => this.view, total: () => this.total, painted: () => this.grid?.paintPicked(),
      deleted: () => this.afterDeleting(), labelled: (text, undo) => this.afterLabelling(text, undo), trouble: (text) => this.say(text),
    });
    this.grid = new LibraryGrid({
      open: (photo) => this.open(photo.id), pick: (photo, event) => this.selection.pick(photo, event),
      place: (at) => this.replace({ at }), trouble: (text) => this.say(text), empty: (box) => this.nothing(box),
    }, (id) => this.selection.has(id));
    this.photo = new PhotoDialog({
      step: (by) => this.step(by), close: () => this.closed(), again: (id) => this.selection.again([id]), remove: (id) => this.selection.remove([id]),
    });
    main.append(noticeBox(), h("div", { class: "pt-lib-head" }, h("h1", {}, "Library"), this.numbers), this.trouble,
      h("div", { class: "pt-lib" }, this.labels.element, h("div", { class: "pt-lib-main" }, this.filters.element, this.grid.element)), this.selection.element);
    this.shown = null;
  }

  async start() {
    window.addEventListener("popstate", () => { this.view = viewOfAddress(); this.paint(); });
    document.addEventListener("keydown", (event) => this.key(event));
    this.paint();
    try {
      this.filters.offer(await api("/api/library/choices"));
      this.filters.paint(this.view, this.labels.nameOf(this.view.label));
    } catch (error) {
      this.say(error.message);
    }
  }

  /** Changes the view: a step that "back" takes back. */
  go(parts) {
    this.view = { ...this.view, at: "", photo: "", ...parts };
    if (["untagged", "refused", "failed"].includes(this.view.state) && this.view.sort === "score") this.view.sort = "";
    window.history.pushState(null, "", addressOf(this.view));
    this.paint();
  }

  /** Changes the address alone. */
  replace(parts) {
    this.view = { ...this.view, ...parts };
    window.history.replaceState(window.history.state, "", addressOf(this.view));
  }

  paint() {
    this.filters.paint(this.view, this.labels.nameOf(this.view.label));
    this.labels.mark(this.view.label);
    const list = listOf(this.view);
    if (list !== this.shown) {
      this.shown = list;
      this.say("");
      this.selection.clear();
      this.grid.show(this.view);
      this.lookAtCounts(list);
    }
    if (this.view.photo) this.photo.show(this.view.photo, this.ends());
    else this.photo.hide();
  }

  async lookAtCounts(list) {
    try {
      const counts = await api(`/api/library/counts?${queryOf(this.view)}`);
      if (list !== this.shown) return;
      this.total = counts.photos;
      const waiting = counts.waiting && this.view.state !== "untagged" ? h("a", { href: "/app/library?state=untagged" }, `${count(counts.waiting)} waiting to be tagged`) : null;
      const review = mayReview() && counts.photos ? h("a", { href: `/review/?${queryOf({ ...this.view, sort: "", order: "" })}` }, "review these") : null;
      this.numbers.replaceChildren(plural(counts.photos, "photo"), ...[waiting, review].filter(Boolean).flatMap((link) => [" · ", link]));
      this.labels.show(counts.labels, this.view.label);
      this.filters.paint(this.view, this.labels.nameOf(this.view.label));
    } catch (error) {
      this.say(error.message);
    }
  }

  open(id) {
    this.view = { ...this.view, photo: String(id) };
    window.history.pushState({ overGrid: true }, "", addressOf(this.view));
    this.photo.show(this.view.photo, this.ends());
  }

  /** The dialog was closed: where it was opened from this page, that is a step back. */
  closed() {
    const { photo } = this.view;
    if (!photo) return;
    if (window.history.state?.overGrid) window.history.back();
    else this.replace({ photo: "" });
    this.grid.focus(photo);
  }

  step(by) {
    const next = this.neighbour(by);
    if (!next) return;
    this.replace({ photo: String(next.id) });
    this.photo.show(this.view.photo, this.ends());
    const ahead = this.neighbour(by);
    if (ahead?.has_previews) new Image().src = `/media/${ahead.id}/1024.webp`;
    if (by > 0 && !this.neighbour(12)) this.grid.more();
  }

  neighbour(by) {
    const { photos } = this.grid;
    const at = photos.findIndex(({ id }) => String(id) === this.view.photo);
    return at < 0 ? undefined : photos[at + by];
  }

  ends() {
    return { before: Boolean(this.neighbour(-1)), after: Boolean(this.neighbour(1)) };
  }

  async afterDeleting() {
    if (this.photo.isOpen) {
      this.replace({ photo: "" });
      this.photo.hide();
    }
    this.shown = null;
    this.replace({ at: "" });
    this.paint();
  }

  afterLabelling(text, undo) {
    this.shown = null;
    this.paint();
    this.say(text, "info", ...(undo ? [h("button", { type: "button", class: "pt-quiet pt-undo", onclick: () => undo().catch((error) => this.say(error.message)) }, "Undo")] : []));
  }

  nothing(box) {
    const filtered = filtersOf(this.view).length > 0;
    const link = (text, href) => h("a", { class: "pt-button", href }, text);
    box.replaceChildren(h("div", { class: "pt-empty pt-card" }, icon("photos", 44),
      h("p", {}, filtered ? "No photo matches these filters." : "No tagged photos yet."),
      h("p", { class: "pt-soft" }, filtered ? "Remove one of them, or clear all." : "Drop photos, a folder or an archive on the Tag page; they appear here as they are tagged."),
      filtered ? h("button", { type: "button", class: "pt-button", onclick: () => this.go(withoutFilters(this.view)) }, "Clear all filters") : link("Tag photos", "/app/")));
  }

  key(event) {
    if (this.photo.isOpen || document.querySelector("dialog[open]") || event.target.matches?.("input:not(.pt-pick), select, textarea")) return;
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "a") {
      event.preventDefault();
      this.selection.all();
    }
    if (event.key === "Escape") this.selection.clear();
    if (event.key === "Delete" && this.selection.size) this.selection.remove();
    if (event.key === "/") {
      event.preventDefault();
      this.filters.name.focus();
    }
  }

  say(text, kind = "bad", ...more) {
    this.trouble.hidden = !text;
    this.trouble.className = `pt-notice pt-${kind}`;
    this.trouble.replaceChildren(icon(kind === "info" ? "info" : "warning", 20), h("span", {}, text), ...more);
  }
}
