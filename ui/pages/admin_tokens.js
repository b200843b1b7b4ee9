// A person's API tokens: what scripts log in with. Each is shown once.

import { api } from "./api.js";
import { ask, showDialog, showOnce } from "./ask.js";
import { h, moment, say } from "./dom.js";

const SCOPES = [
  ["read", "read: batches, predictions, the library"], ["submit", "submit: send photos, cancel batches"], ["review", "review: verdicts"],
  ["labels", "labels: change the vocabulary"], ["models", "models: activate versions"], ["admin", "admin: accounts"],
];

/** Opens a dialog with the tokens of `person`. */
export async function showTokens(person) {
  const path = `/api/admin/people/${person.id}/tokens`;
  const list = h("ul", { class: "pt-tokens" });
  const trouble = h("p", { class: "pt-notice pt-bad", role: "alert", hidden: true });
  const load = async () => {
    try {
      const { tokens } = await api(path);
      list.replaceChildren(...(tokens.length ? tokens.map(row) : [h("li", { class: "pt-soft" }, "No tokens yet.")]));
    } catch (error) {
      trouble.textContent = error.message;
      trouble.hidden = false;
    }
  };
  const row = (token) => h("li", {}, h("div", {}, h("strong", {}, token.name), h("p", { class: "pt-soft" },
    `${token.scopes.join(", ")} · ${token.expires_at ? `until ${moment(token.expires_at)}` : "until it is revoked"} · ${token.last_used_at ? `last used ${moment(token.last_used_at)}` : "never used"}`)),
  h("button", { type: "button", class: "pt-button pt-compact pt-second pt-danger", "aria-label": `Revoke: ${token.name}`, onclick: () => revoke(token) }, "Revoke…"));
  const revoke = async (token) => {
    const sure = await ask({
      title: `Revoke ${token.name}?`, about: "Scripts that use it stop working at once. This cannot be undone.", yes: "Revoke", danger: true,
      act: () => api(`${path}/revoke`, { method: "POST", json: { name: token.name } }),
    });
    if (sure) say(`${token.name} is revoked`);
    await load();
  };
  const make = async () => {
    const made = await ask({
      title: `New API token for ${person.name}`,
      fields: [
        { name: "name", label: "Name", required: true, maxlength: 64, autocomplete: "off", hint: "To tell it from others, e.g. the machine that uses it" },
        { name: "scopes", label: "May be used for", type: "checks", options: SCOPES, hint: `Never more than the role ${person.role} allows.` },
        { name: "days", label: "Days until it is over", type: "number", min: 1, max: 3650, hint: "Empty: until it is revoked" },
      ],
      yes: "Make it",
      act: ({ name, scopes, days }) => {
        if (!scopes.length) throw new Error("Choose at least one thing that it may be used for.");
        return api(path, { method: "POST", json: { name, scopes, days: days ? Number(days) : null } });
      },
    });
    if (made) await showOnce({ title: `API token ${made.token.name}`, about: "Copy it now: it is not shown again.", value: made.text });
    await load();
  };
  const dialog = h("dialog", { class: "pt-dialog pt-wide", "aria-labelledby": "pt-tokens-title" }, h("h2", { id: "pt-tokens-title" }, `API tokens of ${person.name}`), trouble, list,
    h("form", { method: "dialog", class: "pt-row" }, h("button", { type: "button", class: "pt-button", onclick: make }, "New token…"), h("button", { class: "pt-button pt-second" }, "Close")));
  showDialog(dialog);
  await load();
}
