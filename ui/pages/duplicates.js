// The Duplicates page: photos that look alike side by side, and files that are the same photo. Nothing goes unasked.

import { api } from "./api.js";
import { h, icon, setTitle } from "./dom.js";
import { DuplicateGroup } from "./duplicate_group.js";
import { fileRow } from "./duplicate_files.js";
import { noticeBox } from "./status.js";

const AHEAD_PX = 600;
const TABS = [
  { key: "", text: "Look alike", path: "/api/duplicates", found: ({ groups }) => groups, make: (group) => new DuplicateGroup(group).element,
    about: "The same picture in another size, format or quality, or a little changed. phototag suggests one to keep; nothing is deleted unless you say so.",
    empty: ["No photos look alike.", "Photos are compared while they are tagged: tag more, and those that look alike are shown here side by side."] },
  { key: "files", text: "Same file in several places", path: "/api/duplicates/files", found: ({ photos }) => photos, make: fileRow,
    about: "Files with exactly the same bytes are one photo in phototag, stored and tagged once. Here is where they lie.",
    empty: ["No file lies in several places.", "When a photo is sent from two folders, both places are listed here."] },
];

/** Fills the page's main element. */
export function show(main) {
  setTitle("Duplicates");
  new DuplicatesPage(main).start();
}

class DuplicatesPage {
  constructor(main) {
    this.about = h("p", { class: "pt-soft pt-dup-about" });
    this.tabs = h("div", { class: "pt-filters", role: "group", "aria-label": "Which duplicates" });
    this.trouble = h("p", { class: "pt-notice pt-bad", role: "alert", hidden: true });
    this.list = h("div", { class: "pt-dups" });
    this.status = h("p", { class: "pt-soft", role: "status" });
    this.end = h("div", { class: "pt-grid-end" });
    main.append(noticeBox(), h("h1", {}, "Duplicates"), this.tabs, this.about, this.trouble, this.list, this.status, this.end);
    this.seen = new IntersectionObserver((entries) => { if (entries.some(({ isIntersecting }) => isIntersecting)) this.more(); }, { rootMargin: `${AHEAD_PX}px` });
  }

  start() {
    window.addEventListener("popstate", () => this.paint());
    this.paint();
    this.seen.observe(this.end);
  }

  get tab() {
    const key = new URLSearchParams(window.location.search).get("tab") ?? "";
    return TABS.find((each) => each.key === key) ?? TABS[0];
  }

  paint() {
    const { tab } = this;
    this.tabs.replaceChildren(...TABS.map((each) => h("button", { type: "button", "aria-pressed": String(each === tab), onclick: () => this.open(each) }, each.text)));
    this.about.textContent = tab.about;
    this.list.replaceChildren();
    this.after = "";
    this.reading = null;
    this.more();
  }

  open({ key }) {
    window.history.pushState(null, "", key ? `?tab=${key}` : window.location.pathname);
    this.paint();
    this.tabs.querySelector("[aria-pressed=true]").focus();
  }

  /** Reads on until there is something below the screen. A page may be empty and still have a next one. */
  async more() {
    if (this.reading !== null || this.after === null) return;
    const { tab } = this;
    const mine = (this.reading = {});
    try {
      while (this.after !== null && this.end.getBoundingClientRect().top < window.innerHeight + AHEAD_PX) {
        this.status.textContent = "Looking through your photos…";
        const found = await api(`${tab.path}?${new URLSearchParams(this.after && { after: this.after })}`);
        if (this.reading !== mine) return; // another tab was opened meanwhile
        this.after = found.after;
        this.list.append(...tab.found(found).map(tab.make));
      }
      this.say("");
    } catch (error) {
      if (this.reading !== mine) return;
      this.say(error.message);
    }
    this.reading = null;
    this.status.textContent = "";
    if (this.after === null && !this.list.childElementCount) this.list.append(nothing(tab.empty));
  }

  say(text) {
    this.trouble.textContent = text;
    this.trouble.hidden = !text;
  }
}

function nothing([title, text]) {
  return h("div", { class: "pt-empty pt-card" }, icon("photos", 44), h("p", {}, title), h("p", { class: "pt-soft" }, text),
    h("a", { class: "pt-button", href: "/app/" }, "Tag photos"));
}
