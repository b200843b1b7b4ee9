// One photo at a time: its labels under the keys 1 to 5. The next photos are loaded and decoded ahead; a stroke does not
// wait for the server.

import { api } from "./api.js";
import { h, icon, percent, plural, say, scored } from "./dom.js";
import { bodyOf } from "./library_address.js";
import { LookAlikes } from "./review_alike.js";
import { askForLabel } from "./review_label.js";
import { keyButton, keyOf, reasonOf } from "./review_words.js";

const AHEAD = 6;
const CLAIMED = 10;
const LONGEST_MS = 10 * 60 * 1000;

export class SingleReview {
  /** `on`: `seat`, `queue()`, `view()`, `outbox`, `trouble(text)`, `empty()` gives what to show at the end */
  constructor(on) {
    this.on = on;
    this.pictures = new Map();
    this.alike = new LookAlikes();
    this.frame = h("div", { class: "pt-rev-frame" });
    this.caption = h("figcaption", { class: "pt-soft pt-path" });
    const round = (name, label, by, kind) => h("button", { type: "button", class: `pt-rev-step ${kind}`, "aria-label": label, onclick: () => this.go(this.at + by) }, icon(name, 22));
    this.stage = h("figure", { class: "pt-rev-stage" }, this.frame, round("left", "Photo before", -1, "pt-before"), round("right", "Next photo", 1, "pt-next"), this.caption);
    this.panel = h("div", { class: "pt-rev-panel" });
    this.end = h("div", { class: "pt-rev-end", hidden: true });
    this.body = h("div", { class: "pt-rev-single" }, this.stage, h("div", { class: "pt-rev-side" }, this.panel, this.alike.element));
    this.element = h("div", {}, this.body, this.end);
    this.reset();
  }

  reset() {
    this.cards = [];
    this.at = 0;
    this.strokes = [];
    this.ahead = new Set();
    this.complete = false;
    this.reading = null;
    this.pictures.clear();
  }

  /** Begins with the queue that is chosen now. */
  async show() {
    this.reset();
    this.isShown = true;
    this.frame.replaceChildren();
    this.panel.replaceChildren();
    await this.fill();
  }

  hide() {
    this.isShown = false;
  }

  get current() {
    return this.cards[this.at];
  }

  /** Photos that must be on no other screen: those ahead, and those whose verdict is still on its way. */
  get kept() {
    const open = this.cards.filter(({ mine }) => !mine).slice(-40).map(({ id }) => id);
    return [...new Set([...open, ...this.on.outbox.photos])].slice(0, 500);
  }

  fill() {
    if (this.complete || this.cards.length - this.at > AHEAD) return this.reading;
    const { cards } = this;
    this.reading ??= this.claim(CLAIMED).catch((error) => this.on.trouble(error.message)).finally(() => {
      this.reading = null;
      if (this.isShown && cards === this.cards && !this.complete && this.cards.length - this.at <= AHEAD / 2) this.fill();
    });
    return this.reading;
  }

  async claim(count) {
    const { cards } = this;
    const wanted = { seat: this.on.seat, queue: this.on.queue(), view: bodyOf(this.on.view()), keep: this.kept, count };
    const { photos } = await api("/api/review/next", { method: "POST", json: wanted });
    this.claimedAt = Date.now();
    if (cards !== this.cards || !count) return;
    const isEmpty = !this.current;
    const known = new Set(cards.map(({ id }) => id));
    const fresh = photos.filter(({ id }) => !known.has(id));
    this.complete = !fresh.length;
    cards.push(...fresh);
    fresh.forEach((photo) => this.load(photo));
    if (isEmpty) this.paint();
  }

  load(photo) {
    if (!photo.has_previews || this.pictures.has(photo.id)) return;
    const picture = new Image();
    picture.src = `/media/${photo.id}/1024.webp`;
    picture.alt = photo.name;
    picture.decode().catch(() => {}); // one that cannot be shown has its name instead
    this.pictures.set(photo.id, picture);
    for (const id of this.pictures.keys()) if (this.pictures.size > 60 && id !== this.current?.id) this.pictures.delete(id);
  }

  go(to) {
    if (to < 0 || to > this.cards.length) return;
    this.at = to;
    this.paint();
    this.fill();
  }

  paint() {
    const photo = this.current;
    this.body.hidden = !photo;
    this.end.hidden = Boolean(photo);
    this.alike.show(photo);
    if (!photo) {
      if (this.complete) this.end.replaceChildren(this.on.empty());
      else this.end.replaceChildren(h("p", { class: "pt-soft" }, "Loading…"));
      return;
    }
    this.load(photo);
    const picture = this.pictures.get(photo.id);
    this.frame.replaceChildren(picture ?? h("span", { class: "pt-tile-none" }, icon("photos", 40), photo.name));
    this.frame.dataset.photo = photo.id;
    this.caption.textContent = photo.name;
    this.stage.querySelector(".pt-before").disabled = this.at === 0;
    this.stage.querySelector(".pt-next").disabled = this.at >= this.cards.length - 1;
    this.paintPanel();
    this.shownAt = performance.now();
    say(`${photo.name}. ${photo.labels.length ? `First label ${photo.labels[0][1]}` : ""}`);
  }

  paintPanel() {
    const photo = this.current;
    if (!photo) return;
    const said = photo.mine ? `You said ${photo.mine.words}.` : photo.said ? `${photo.said.by} said ${photo.said.words}.` : null;
    this.panel.replaceChildren(...[
      photo.reason ? h("p", { class: "pt-rev-reason" }, reasonOf(photo.reason)) : null,
      said ? h("p", { class: "pt-rev-said" }, icon("person", 16), h("span", {}, said)) : null,
      h("ol", { class: "pt-choices", "aria-label": "Labels, best first" }, ...photo.labels.map((label, at) => this.choice(label, at, photo))),
      ...photo.others.map(({ version, labels }) => h("p", { class: "pt-soft" }, `The version ${version} says ${labels[0][1]} (${percent(labels[0][2])}).`)),
      h("div", { class: "pt-rev-actions" },
        keyButton("Another label", "/", () => this.another()), keyButton("None of these", "x", () => this.decide("none")),
        keyButton("I cannot tell", "u", () => this.decide("unsure")), keyButton("Skip", "s", () => this.decide("skip"))),
    ].filter(Boolean));
  }

  choice([id, name, score], at, photo) {
    const isChosen = photo.mine ? photo.mine.label === id : photo.by_person && photo.shown === name;
    return h("li", {}, h("button", { type: "button", class: "pt-choice", "aria-keyshortcuts": at ? `${at + 1}` : "1 Enter a", "aria-pressed": String(Boolean(isChosen)), onclick: () => this.decide("label", { id, name }) },
      h("kbd", { "aria-hidden": "true" }, at + 1), ...scored(name, score)));
  }

  async another() {
    const photo = this.current;
    if (!photo) return;
    const label = await askForLabel("Another label");
    if (label && photo === this.current) this.decide("label", label);
  }

  /** One stroke: for the photo on the screen and the look-alikes that are chosen. */
  decide(verdict, label = null) {
    const photo = this.current;
    if (!photo) return;
    const alike = verdict === "skip" ? [] : this.alike.picked;
    const took_ms = Math.round(performance.now() - this.shownAt);
    const words = { label: label?.name, none: "none of these", unsure: "that they cannot tell", skip: "to skip it" }[verdict];
    photo.mine = { label: label?.id ?? null, words };
    this.strokes.push(photo.id);
    this.on.outbox.decide(alike.length ? "alike" : "single", [photo, ...alike], verdict, { label, took_ms: took_ms < LONGEST_MS ? took_ms : null });
    this.go(this.at + 1);
  }

  /** Takes back the last stroke; the photo is on the screen at once if it was made on this page. */
  undo() {
    const at = this.cards.findIndex(({ id }) => id === this.strokes.at(-1));
    const token = this.on.outbox.undo();
    if (!this.strokes.length || at < 0) return;
    this.strokes.pop();
    this.cards[at].mine = null;
    this.ahead.add(token);
    this.go(at);
  }

  /** What the server has taken back: `photos` are as they are now. */
  undone(token, { photos, count }) {
    for (const photo of photos) {
      const at = this.cards.findIndex(({ id }) => id === photo.id);
      if (at >= 0) this.cards[at] = { ...photo, reason: this.cards[at].reason };
    }
    say(count === 1 ? `Undone: ${photos[0].name}` : `Undone: ${plural(count, "photo")}`);
    if (this.ahead.delete(token) || !photos.length) return void this.paintPanel();
    const at = this.cards.findIndex(({ id }) => id === photos[0].id);
    if (at < 0) this.cards.splice(this.at, 0, photos[0]);
    this.go(at < 0 ? this.at : at);
  }

  key(event) {
    const key = keyOf(event);
    const photo = this.current;
    const act = {
      Enter: () => photo?.labels[0] && this.take(0), a: () => photo?.labels[0] && this.take(0), "/": () => this.another(), x: () => this.decide("none"),
      u: () => this.decide("unsure"), s: () => this.decide("skip"), z: () => this.undo(), l: () => this.alike.toggleAll(),
      ArrowLeft: () => this.go(this.at - 1), ArrowRight: () => this.at < this.cards.length - 1 && this.go(this.at + 1),
    }[key] ?? (/^[1-5]$/.test(key) && photo?.labels[key - 1] ? () => this.take(key - 1) : null);
    if (!act) return false;
    if (key === "Enter" && event.target.matches?.("button, a, summary")) return false; // presses what has the focus
    act();
    return true;
  }

  take(at) {
    const [id, name] = this.current.labels[at];
    this.decide("label", { id, name });
  }
}
