// The audit log: who did what, newest first, by person and by action.

import { api } from "./api.js";
import { nothingYet } from "./ask.js";
import { h, moment } from "./dom.js";

const WORDS = {
  "login": "logged in", "logout": "logged out", "login.locked": "was locked after wrong passwords", "users.add": "added", "users.role": "changed the role of",
  "users.disable": "disabled", "users.enable": "enabled", "users.password": "set the password of", "users.link": "made a login link for",
  "tokens.add": "made an API token for", "tokens.revoke": "revoked an API token of", "batches.delete": "deleted the batch", "batches.cancel": "cancelled the batch", "photos.delete": "deleted",
};
// What a sentence says already, or what only a program needs.
const ABOUT_ONESELF = ["login", "logout", "login.locked"];

export class AuditLog {
  constructor(on) {
    this.on = on;
    this.person = h("select", { class: "pt-input", onchange: () => this.load() }, h("option", { value: "" }, "Everybody"));
    this.action = h("select", { class: "pt-input", onchange: () => this.load() }, h("option", { value: "" }, "Everything"));
    this.list = h("ol", { class: "pt-log" });
    this.more = h("button", { type: "button", class: "pt-button pt-second", hidden: true, onclick: () => this.read() }, "Show older");
    this.element = h("section", {}, h("div", { class: "pt-log-filters" }, h("label", { class: "pt-field" }, "Done by", this.person), h("label", { class: "pt-field" }, "What", this.action)),
      this.list, h("div", { class: "pt-row pt-center" }, this.more));
    this.begin();
  }

  async begin() {
    try {
      const { people } = await api("/api/admin/people");
      this.person.append(...people.map(({ id, name }) => h("option", { value: id }, name)));
      await this.load();
    } catch (error) {
      this.on.trouble(error.message);
    }
  }

  async load() {
    this.before = null;
    await this.read();
  }

  async read() {
    const query = new URLSearchParams();
    if (this.person.value) query.set("person", this.person.value);
    if (this.action.value) query.set("action", this.action.value);
    if (this.before) query.set("before", this.before);
    const mine = (this.reading = {});
    try {
      const { entries, more, actions } = await api(`/api/admin/audit?${query}`);
      if (this.reading !== mine) return; // another filter was chosen meanwhile
      if (!this.before) this.list.replaceChildren(...(entries.length ? [] : [h("li", {}, nothingYet("Nothing was done yet.", "What this filter asks for is not in the log."))]));
      if (!this.before) this.offer(actions);
      this.list.append(...entries.map(line));
      this.before = entries.at(-1)?.id;
      this.more.hidden = !more;
      this.on.trouble("");
    } catch (error) {
      this.on.trouble(error.message);
    }
  }

  offer(actions) {
    const known = new Set([...this.action.options].map(({ value }) => value));
    this.action.append(...actions.filter((action) => !known.has(action)).map((action) => h("option", { value: action }, action)));
  }
}

function line({ at, person, action, subject, details }) {
  const who = person ?? (details.by === "command line" ? "The command line" : subject || "Somebody");
  const whom = ABOUT_ONESELF.includes(action) || (person === subject && action === "users.password") ? "" : subject;
  const more = Object.entries(details).filter(([name, value]) => value !== "command line" && name !== "batch").map(([name, value]) => `${name}: ${value}`).join(", ");
  return h("li", {}, h("time", { datetime: at, class: "pt-soft" }, moment(at)), h("span", {}, h("strong", {}, who), ` ${WORDS[action] ?? action} ${person === subject && action === "users.password" ? "themselves" : whom}`), h("span", { class: "pt-soft" }, more));
}
