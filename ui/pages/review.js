// The Review page: photos one by one or a page at a time, by queue and by the Library's filters. The address names it all.

import { api } from "./api.js";
import { count, duration, h, icon, plural, setTitle } from "./dom.js";
import { filtersOf, queryOf, viewOfAddress, withoutFilters } from "./library_address.js";
import { LibraryFilters } from "./library_filters.js";
import { GridReview } from "./review_grid.js";
import { Outbox } from "./review_outbox.js";
import { SingleReview } from "./review_single.js";
import { QUEUES, isElsewhere, keyButton, showKeys } from "./review_words.js";
import { numbers, showNumbers } from "./review_numbers.js";
import { noticeBox } from "./status.js";

const SEAT = "pt-review-seat";
const COUNTS_MS = 20_000;
const HOLD_MS = 60_000;
const LEASED_MS = 150_000;
// They are counted over all verdicts.
const NUMBERS_MS = 120_000;

/** Fills the page's main element. */
export function show(main) {
  setTitle("Review");
  main.classList.add("pt-wide", "pt-review");
  new ReviewPage(main).start();
}

class ReviewPage {
  constructor(main) {
    this.read();
    const seat = seatOfTab();
    this.outbox = new Outbox({ done: (entry, answer) => this.done(entry, answer), refused: (entry, error) => this.refused(entry, error), waiting: (left, error) => this.waiting(left, error) });
    const on = { seat, outbox: this.outbox, view: () => this.view, trouble: (text, kind) => this.say(text, kind), empty: () => this.nothing() };
    this.single = new SingleReview({ ...on, queue: () => this.queue });
    this.grid = new GridReview({ ...on, label: () => this.label, choose: (label, isOnlyNamed) => this.choose(label, isOnlyNamed) });
    this.numbers = h("button", { type: "button", class: "pt-quiet pt-rev-numbers", onclick: () => showNumbers() }, "Numbers");
    this.trouble = h("p", { class: "pt-notice pt-bad", role: "alert", hidden: true });
    this.modes = h("div", { class: "pt-segments", role: "group", "aria-label": "How to review" },
      ...[["single", "One by one"], ["grid", "By label"]].map(([mode, text]) => h("button", { type: "button", "data-mode": mode, onclick: () => this.go({ mode }) }, text)));
    this.queues = h("div", { class: "pt-chips pt-queues", role: "group", "aria-label": "Queue" });
    this.filters = new LibraryFilters((parts) => this.go({ view: { ...this.view, ...parts } }), () => this.go({ view: withoutFilters(this.view) }));
    this.area = h("div");
    const keys = keyButton("Keys", "?", () => showKeys(this.mode), "pt-quiet pt-rev-keys");
    const undo = keyButton("Undo", "z", () => this.undo(), "pt-quiet");
    main.append(noticeBox(), h("div", { class: "pt-rev-head" }, h("h1", {}, "Review"), this.modes, this.numbers, h("span", { class: "pt-rev-tools" }, this.filters.toggle, undo, keys)),
      this.filters.panel, this.filters.chips, this.queues, this.trouble, this.area);
  }

  start() {
    window.addEventListener("popstate", () => { this.read(); this.paint(); });
    window.addEventListener("pagehide", () => fetch("/api/review/release", { method: "POST", keepalive: true, headers: { "Content-Type": "application/json" }, body: JSON.stringify({ seat: this.single.on.seat }) }).catch(() => {}));
    window.addEventListener("pageshow", (event) => { if (event.persisted) this.paint(); });
    document.addEventListener("visibilitychange", () => { this.holdOn(); });
    document.addEventListener("keydown", (event) => this.key(event));
    setInterval(() => this.holdOn(), HOLD_MS);
    setInterval(() => this.lookAtCounts(), COUNTS_MS);
    setInterval(() => { if (!document.hidden) this.lookAtNumbers(); }, NUMBERS_MS);
    this.lookAtNumbers();
    api("/api/library/choices").then((choices) => { this.filters.offer(choices); this.paintFilters(); }).catch((error) => this.say(error.message));
    this.paint();
  }

  read() {
    const query = new URLSearchParams(window.location.search);
    this.view = viewOfAddress();
    this.mode = query.get("mode") === "grid" ? "grid" : "single";
    this.queue = QUEUES.some(([name]) => name === query.get("queue")) ? query.get("queue") : "mixed";
    this.label = query.get("grid") ?? "";
  }

  /** Changes what is reviewed: a step that "back" takes back. */
  go(parts) {
    window.history.pushState(null, "", this.address(parts));
    this.read();
    this.paint();
  }

  address(parts) {
    const now = { mode: this.mode, queue: this.queue, grid: this.label, ...parts };
    const query = queryOf(parts.view ?? this.view, Object.fromEntries(Object.entries(now).filter(([name, value]) => name !== "view" && value && value !== "single" && value !== "mixed")));
    const text = query.toString();
    return window.location.pathname + (text ? `?${text}` : "");
  }

  choose(label, isOnlyNamed) {
    if (!isOnlyNamed) return this.go({ grid: label });
    window.history.replaceState(null, "", this.address({ grid: label }));
    this.label = label;
    return undefined;
  }

  get shownMode() {
    return this.mode === "grid" ? this.grid : this.single;
  }

  /** Extends the leases of what is on the screen; after a long sleep they are others', and it is asked for anew. */
  async holdOn() {
    const { shownMode } = this;
    if (document.hidden || !shownMode.current) return;
    if (Date.now() - shownMode.claimedAt > LEASED_MS) return void shownMode.show();
    await shownMode.claim(0).catch((error) => this.say(error.message));
  }

  paint() {
    this.say("");
    for (const button of this.modes.children) button.setAttribute("aria-pressed", String(button.dataset.mode === this.mode));
    this.queues.hidden = this.mode === "grid";
    this.paintQueues();
    this.paintFilters();
    if (this.mode === "grid") this.single.hide();
    this.area.replaceChildren(this.shownMode.element);
    this.shownMode.show();
    this.lookAtCounts();
  }

  paintQueues(counts = this.counts ?? {}) {
    const focused = this.queues.contains(document.activeElement) ? document.activeElement.dataset.queue : null;
    this.queues.replaceChildren(...QUEUES.map(([name, heading]) => h("button", { type: "button", class: "pt-label", "data-queue": name, "aria-pressed": String(name === this.queue), onclick: () => this.go({ queue: name }) },
      heading, counts[name] === undefined ? null : h("span", { class: "pt-soft" }, counts[name] >= counts.most ? `${count(counts.most)}+` : count(counts[name])))));
    if (focused) this.queues.querySelector(`[data-queue="${focused}"]`)?.focus();
  }

  paintFilters() {
    this.filters.paint(this.view, this.labelName);
  }

  async lookAtCounts() {
    if (document.hidden) return;
    try {
      const query = queryOf(this.view);
      const { queues, most, label } = await api(`/api/review/counts?${query}`);
      if (query.toString() !== queryOf(this.view).toString()) return;
      this.counts = { ...queues, mixed: queues.never + queues.audit, most };
      this.labelName = label ?? undefined;
      this.paintQueues();
      this.paintFilters();
    } catch (error) {
      this.say(error.message);
    }
  }

  async lookAtNumbers() {
    try {
      const { today, per_minute, minutes_left } = await numbers();
      const pace = per_minute ? ` · ${per_minute.toFixed(0)} a minute` : "";
      const left = minutes_left ? ` · about ${duration(minutes_left * 60)} left` : "";
      this.numbers.textContent = `Today ${count(today)}${pace}${left}`;
    } catch (error) {
      this.say(error.message);
    }
  }

  done({ path, body }, answer) {
    for (const { photo, seen } of answer.done) this.outbox.know(photo, seen);
    if (path.endsWith("/undo")) return void this.undone(body.token, answer);
    if (!answer.conflicts.length) return;
    const [{ by, words }] = answer.conflicts;
    this.say(`${by} was faster with ${plural(answer.conflicts.length, "photo")} and said ${words}; that stays. Open it again to change it.`, "info");
  }

  undone(token, answer) {
    if (!answer.count) {
      this.say("There is nothing of yours left to undo.");
      return;
    }
    if (answer.count > 1 || this.mode === "grid") this.say(`Undone: ${plural(answer.count, "photo has its earlier label", "photos have their earlier labels")} again.`, "info");
    this.shownMode.undone(token, answer);
  }

  refused(_entry, error) {
    this.say(`Not saved: ${error.message}`);
  }

  waiting(left, error) {
    if (left) this.say(`${plural(left, "stroke is", "strokes are")} not saved yet: ${error.message} They are sent again by themselves; keep this tab open.`, "warn");
    else if (this.trouble.classList.contains("pt-warn")) this.say("");
  }

  undo() {
    if (this.mode === "grid") this.outbox.undo(); else this.single.undo();
  }

  key(event) {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "a" && this.mode === "grid" && !document.querySelector("dialog[open]") && !event.target.matches?.("input, textarea")) {
      event.preventDefault();
      return void this.grid.all();
    }
    if (isElsewhere(event)) return;
    if (event.key === "?") return void showKeys(this.mode);
    if (this.shownMode.key(event)) event.preventDefault();
  }

  nothing() {
    const isFiltered = filtersOf(this.view).length > 0;
    const words = isFiltered ? "No photo of these filters is left in this queue." : this.queue === "mixed" || this.mode === "grid" ? "Nothing is left to review." : "This queue is empty.";
    const next = isFiltered ? ["Clear the filters", () => this.go({ view: withoutFilters(this.view) })] : this.queue === "mixed" || this.mode === "grid" ? null : ["Take all queues", () => this.go({ queue: "mixed" })];
    return h("div", { class: "pt-empty pt-card" }, icon("photos", 44), h("p", {}, words),
      h("p", { class: "pt-soft" }, "Photos come here as they are tagged. What is on another reviewer's screen comes back if it is left undecided."),
      h("div", { class: "pt-row pt-center" }, next ? h("button", { type: "button", class: "pt-button", onclick: next[1] }, next[0]) : h("a", { class: "pt-button", href: "/app/" }, "Tag photos"),
        h("button", { type: "button", class: "pt-button pt-second", onclick: () => this.paint() }, "Look again")));
  }

  say(text, kind = "bad") {
    this.trouble.hidden = !text;
    this.trouble.className = `pt-notice pt-${kind}`;
    this.trouble.replaceChildren(icon(kind === "info" ? "info" : "warning", 20), h("span", {}, text));
  }
}

/** The tab's name for its leases: kept over a reload, but not by a copy of the tab. */
function seatOfTab() {
  const isReload = performance.getEntriesByType("navigation")[0]?.type === "reload";
  const seat = (isReload && window.sessionStorage.getItem(SEAT)) || window.crypto.randomUUID();
  window.sessionStorage.setItem(SEAT, seat);
  return seat;
}

