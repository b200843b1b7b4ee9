// The Admin page: who may come in and what they may do, and what was done by whom.

import { h, setTitle } from "./dom.js";
import { AuditLog } from "./admin_log.js";
import { PeopleList } from "./admin_people.js";
import { noticeBox } from "./status.js";

const TABS = [
  { key: "", text: "People", make: (on) => new PeopleList(on), about: "Owners see their own photos, reviewers see all photos and decide labels, admins do everything." },
  { key: "log", text: "Audit log", make: (on) => new AuditLog(on), about: "Logins, changes of accounts and deletions, newest first. What reviewers decided is on the page Review." },
];

/** Fills the page's main element. */
export function show(main) {
  setTitle("Admin");
  const tabs = h("div", { class: "pt-filters", role: "group", "aria-label": "What to look at" });
  const about = h("p", { class: "pt-soft pt-admin-about" });
  const trouble = h("p", { class: "pt-notice pt-bad", role: "alert", hidden: true });
  const place = h("div", {});
  const say = (text) => { trouble.textContent = text; trouble.hidden = !text; };
  const paint = () => {
    const key = new URLSearchParams(window.location.search).get("tab") ?? "";
    const tab = TABS.find((each) => each.key === key) ?? TABS[0];
    tabs.replaceChildren(...TABS.map((each) => h("button", { type: "button", "aria-pressed": String(each === tab), onclick: () => open(each) }, each.text)));
    about.textContent = tab.about;
    say("");
    place.replaceChildren(tab.make({ trouble: say }).element);
  };
  const open = ({ key }) => {
    window.history.pushState(null, "", key ? `?tab=${key}` : window.location.pathname);
    paint();
    tabs.querySelector("[aria-pressed=true]").focus();
  };
  window.addEventListener("popstate", paint);
  main.append(noticeBox(), h("h1", {}, "Admin"), tabs, about, trouble, place);
  paint();
}
