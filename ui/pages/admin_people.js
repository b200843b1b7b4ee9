// The people of the Admin page: add, role, password, login link, disable.

import { api } from "./api.js";
import { ask, showOnce } from "./ask.js";
import { showTokens } from "./admin_tokens.js";
import { h, moment, say } from "./dom.js";

const ROLES = [["owner", "Owner"], ["reviewer", "Reviewer"], ["admin", "Admin"]];

export class PeopleList {
  constructor(on) {
    this.on = on;
    this.list = h("ul", { class: "pt-people" });
    this.element = h("section", {}, h("div", { class: "pt-row pt-admin-bar" }, button("Add a person…", () => this.add(), "")), this.list);
    this.load();
  }

  async load() {
    try {
      const { people, you } = await api("/api/admin/people");
      this.you = you;
      this.list.replaceChildren(...people.map((person) => this.row(person)));
    } catch (error) {
      this.on.trouble(error.message);
    }
  }

  row(person) {
    const name = h("h2", {}, person.name);
    const chips = [person.id === this.you ? "you" : null, person.disabled_at ? "disabled" : null].filter(Boolean);
    const enters = person.disabled_at ? `No way in since ${moment(person.disabled_at)}` : person.has_password ? "Enters with a password" : "Enters by login links only";
    const role = h("select", { class: "pt-input", "aria-label": `Role of ${person.name}`, disabled: Boolean(person.disabled_at), onchange: () => this.setRole(person, role) },
      ...ROLES.map(([value, text]) => h("option", { value, selected: value === person.role }, text)));
    const acts = person.disabled_at
      ? [button(`Enable`, () => this.act(person, "enable", `${person.name} is enabled`))]
      : [button("API tokens…", () => showTokens(person)), button("Login link…", () => this.link(person)), button("New password…", () => this.password(person)), button("Disable…", () => this.disable(person), "pt-second pt-danger")];
    for (const act of acts) act.setAttribute("aria-label", `${act.textContent.replace("…", "")}: ${person.name}`);
    return h("li", { class: `pt-card pt-person ${person.disabled_at ? "pt-person-off" : ""}`, "data-id": String(person.id) },
      h("div", {}, h("div", { class: "pt-row" }, name, ...chips.map((text) => h("span", { class: "pt-chip" }, text))), h("p", { class: "pt-soft" }, enters)),
      role, h("div", { class: "pt-row pt-person-acts" }, ...acts));
  }

  async add() {
    const made = await ask({
      title: "Add a person",
      fields: [
        { name: "name", label: "Name", required: true, maxlength: 64, autocomplete: "off", autocapitalize: "none" },
        { name: "role", label: "Role", type: "select", value: "owner", options: ROLES },
        { name: "password", label: "Password", type: "password", autocomplete: "new-password", hint: "At least 12 characters. Without one you get a link to pass on, which logs in once; the person can then choose a password." },
      ],
      yes: "Add",
      act: ({ name, role, password }) => api("/api/admin/people", { method: "POST", json: { name, role, password: password || null } }),
    });
    if (!made) return;
    await this.load();
    say(`${made.person.name} is added`);
    if (made.link) await this.showLink(made.person, made.link);
  }

  async setRole(person, select) {
    const text = select.selectedOptions[0].text;
    const sure = await ask({
      title: `${person.name}: ${text}?`, about: person.id === this.you ? "This is you: afterwards this page may not be open to you any more." : null, yes: `Make ${person.name} ${text.toLowerCase()}`,
      act: () => api(`/api/admin/people/${person.id}/role`, { method: "POST", json: { role: select.value } }),
    });
    if (sure) say(`${person.name} has the role ${text}`);
    await this.load();
    this.list.querySelector(`[data-id="${person.id}"] select`)?.focus();
  }

  async disable(person) {
    const sure = await ask({
      title: `Disable ${person.name}?`, yes: "Disable", danger: true,
      about: ["Sessions and login links end at once, API tokens are revoked for good. Photos and everything that was done stay, and you can enable the account again.",
        person.id === this.you ? "This is you: you are logged out." : null],
      act: () => api(`/api/admin/people/${person.id}/disable`, { method: "POST" }),
    });
    if (!sure) return;
    say(`${person.name} is disabled`);
    await this.load();
    this.list.querySelector(`[data-id="${person.id}"] button`)?.focus();
  }

  async password(person) {
    const changed = await ask({
      title: `New password for ${person.name}`, about: "Sessions and login links of before end. Tell it to the person in a way that nobody else reads.",
      fields: [{ name: "password", label: "New password", type: "password", autocomplete: "new-password", required: true, minlength: 12, hint: "At least 12 characters" }],
      yes: "Set it", act: ({ password }) => api(`/api/admin/people/${person.id}/password`, { method: "POST", json: { password } }),
    });
    if (!changed) return;
    say(`${person.name} has a new password`);
    await this.load();
  }

  async link(person) {
    try {
      await this.showLink(person, await api(`/api/admin/people/${person.id}/link`, { method: "POST" }));
    } catch (error) {
      this.on.trouble(error.message);
    }
  }

  showLink(person, { path, minutes }) {
    return showOnce({ title: `Login link for ${person.name}`, about: `It logs in once, within ${minutes} minutes, and is not shown again. Pass it on in a way that nobody else reads.`, value: window.location.origin + path });
  }

  async act(person, what, text) {
    try {
      await api(`/api/admin/people/${person.id}/${what}`, { method: "POST" });
      say(text);
      await this.load();
      this.list.querySelector(`[data-id="${person.id}"] button`)?.focus();
    } catch (error) {
      this.on.trouble(error.message);
    }
  }
}

function button(text, act, kind = "pt-second") {
  return h("button", { type: "button", class: `pt-button pt-compact ${kind}`, onclick: act }, text);
}
