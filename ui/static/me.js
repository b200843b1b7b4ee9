// Who is logged in, at the end of the navigation: a menu with the password and the way out.

import { api } from "./api.js";
import { ask } from "./ask.js";
import { h, say } from "./dom.js";
import { status } from "./status.js";

export function myMenu() {
  const name = h("span", { class: "pt-me-name" }, "…");
  const role = h("p", { class: "pt-soft" });
  const entry = (text, act) => h("button", { type: "button", class: "pt-quiet", onclick: () => { menu.open = false; act(); } }, text);
  const menu = h("details", { class: "pt-me" }, h("summary", {}, h("span", { class: "pt-hidden" }, "Account of "), name),
    h("div", { class: "pt-me-entries" }, role, entry("Change password…", changePassword), entry("Log out", logOut)));
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
  menu.addEventListener("focusout", ({ relatedTarget }) => { if (relatedTarget && !menu.contains(relatedTarget)) menu.open = false; });
  document.addEventListener("click", ({ target }) => { if (!menu.contains(target)) menu.open = false; });
  status().then(({ user }) => { name.textContent = user.name; role.textContent = `Role: ${user.role}`; }, () => {});
  return menu;
}

async function logOut() {
  await fetch("/logout", { method: "POST" });
  window.location.assign("/login");
}

async function changePassword() {
  const { name, has_password: has } = await api("/api/me");
  const changed = await ask({
    title: has ? "Change your password" : "Choose a password",
    about: "It has at least 12 characters; a few words that only you would put together are good. Other browsers of yours are logged out.",
    fields: [
      { name: "user", label: "Name", value: name, autocomplete: "username", readonly: true },
      ...(has ? [{ name: "old", label: "Password until now", type: "password", autocomplete: "current-password", required: true, autofocus: true }] : []),
      { name: "new", label: "New password", type: "password", autocomplete: "new-password", required: true, minlength: 12, autofocus: !has },
      { name: "again", label: "The same once more", type: "password", autocomplete: "new-password", required: true },
    ],
    yes: "Change it",
    act: async ({ old, new: chosen, again }) => {
      if (chosen !== again) throw new Error("The two new passwords differ. Type them again.");
      await api("/api/me/password", { method: "POST", json: { old: old ?? "", new: chosen } });
    },
  });
  if (changed) say("Your password is changed");
}
