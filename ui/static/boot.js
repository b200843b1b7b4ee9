// The first script of every page: draws the navigation, then hands the page's column to its module.

import { h } from "./dom.js";
import { myMenu } from "./me.js";
import { status } from "./status.js";

const PAGES = {
  "pt-tag": "./tag.js", "pt-library": "./library.js", "pt-duplicates": "./duplicates.js", "pt-batches": "./batches.js",
  "pt-review": "./review.js", "pt-labels": "./labels.js", "pt-models": "./models.js", "pt-admin": "./admin.js",
};
const here = window.location.pathname.replace(/\/$/, "");
const named = `pt-${here.split("/").at(-1)}`;
const column = named in PAGES ? named : "pt-tag";
// Both start now, while Gradio is still being read.
const page = import(PAGES[column]);
status().catch(() => {});

function navigation() {
  const links = JSON.parse(document.querySelector("meta[name=phototag-navigation]").content);
  return h("header", { class: "pt-top" },
    h("a", { class: "pt-skip", href: "#pt-main" }, "Skip to the page"),
    h("a", { class: "pt-brand", href: links[0].href },
      h("img", { src: document.querySelector("link[rel=icon]").href, alt: "", width: 26, height: 26 }), "phototag"),
    h("nav", { "aria-label": "Main" }, ...links.map(({ name, href }) => {
      const current = href.replace(/\/$/, "") === here;
      return h("a", { href, "aria-current": current ? "page" : null }, name);
    })),
    myMenu());
}

/** Resolves with the element once Gradio has made it. */
function appearing(id) {
  return new Promise((resolve) => {
    const look = () => {
      const found = document.getElementById(id);
      if (found) resolve(found);
      return found;
    };
    if (look()) return;
    const observer = new MutationObserver(() => look() && observer.disconnect());
    observer.observe(document.documentElement, { childList: true, subtree: true });
  });
}

document.body.prepend(navigation());
// on a phone the entries scroll; once it is known who is here, there is less room for them
const toCurrent = () => document.querySelector(".pt-top nav [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
toCurrent();
status().then(toCurrent, () => {});
// A div: Gradio's own frame is the main landmark already.
const main = h("div", { id: "pt-main", tabindex: "-1" });
(await page).show(main);
(await appearing(column)).replaceChildren(main);
