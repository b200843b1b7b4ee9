// Many files: how far the upload is, and what to do when it cannot go on.

import { ApiError, api } from "./api.js";
import { bytes, count, duration, h, icon, plural, say } from "./dom.js";
import { Upload } from "./upload.js";

const PAINT_MS = 250;
const TAGGED_EVERY = 8;

/** Sends `files` and then goes to their batch. Returns when there is nothing more to send here. */
export async function showUpload(stage, files, name, limits) {
  for (;;) {
    const upload = new Upload(files, name, limits);
    const card = progressCard(upload);
    stage.replaceChildren(card.element);
    const stay = (event) => event.preventDefault();
    window.addEventListener("beforeunload", stay);
    const timer = setInterval(card.paint, PAINT_MS);
    let outcome;
    try {
      const batch = await upload.run();
      window.removeEventListener("beforeunload", stay);
      const { unreadable } = upload.progress;
      if (!unreadable.length) return window.location.assign(`/app/batches?batch=${batch}`);
      return stage.replaceChildren(unreadableCard(unreadable, batch));
    } catch (error) {
      outcome = error;
    } finally {
      clearInterval(timer);
      window.removeEventListener("beforeunload", stay);
    }
    if (!(outcome instanceof ApiError)) return stopped(stage, upload);
    // The same files continue where they stopped, so "Try again" costs nothing.
    await asked(stage, outcome.message);
  }
}

function progressCard(upload) {
  const fill = h("span", { class: "pt-bar-fill" });
  const bar = h("div", { class: "pt-bar pt-bar-big", role: "progressbar", "aria-label": "Upload", "aria-valuemin": 0, "aria-valuemax": 100 }, fill);
  const numbers = h("p", { class: "pt-numbers" });
  const trouble = h("p", { class: "pt-soft pt-trouble", role: "status" });
  const element = h("section", { class: "pt-card pt-uploading", "aria-label": "Upload" },
    h("h2", {}, `Sending ${upload.name}`), bar, numbers, trouble,
    h("p", { class: "pt-soft" }, "Keep this page open. Tagging has begun already, and you are taken to the batch when all is sent."),
    h("div", { class: "pt-row" }, h("button", { type: "button", class: "pt-button pt-second", onclick: () => upload.stop() }, "Stop")));
  let paints = 0;
  let tagged = 0;
  let said = 0;
  const lookAtTagged = () => upload.progress.batch && api(`/api/batches/${upload.progress.batch}`).then(({ counts }) => { tagged = counts.tagged; }).catch(() => {});
  const paint = () => {
    const { files, filesDone, bytes: all, bytesDone, resumed, trouble: why } = upload.progress;
    const part = all ? Math.min(1, bytesDone / all) : filesDone / files;
    fill.style.width = `${part * 100}%`;
    bar.setAttribute("aria-valuenow", Math.floor(part * 100));
    const { rate } = upload;
    const left = rate > 0 ? (all - bytesDone) / rate : null;
    numbers.replaceChildren(...[
      `${count(filesDone)} of ${plural(files, "file")}`,
      `${bytes(bytesDone)} of ${bytes(all)}`,
      rate > 0 ? `${bytes(rate)}/s` : null,
      left !== null && left > 1 ? `${duration(left)} left` : null,
      tagged ? `${count(tagged)} tagged already` : null,
    ].filter(Boolean).map((text) => h("span", {}, text)));
    trouble.textContent = why ? `${why}. Trying again…` : resumed ? `Continuing: ${plural(resumed, "file")} had arrived before.` : "";
    paints += 1;
    if (paints % TAGGED_EVERY === 0) lookAtTagged();
    const quarter = Math.floor(part * 4);
    if (quarter > said) say(`Upload ${quarter * 25} percent`);
    said = Math.max(said, quarter);
  };
  paint();
  return { element, paint };
}

function stopped(stage, upload) {
  const cancel = async () => {
    await api(`/api/batches/${upload.progress.batch}/cancel`, { method: "POST" }).catch(() => {});
    window.location.assign(`/app/batches?batch=${upload.progress.batch}`);
  };
  stage.replaceChildren(h("section", { class: "pt-card" }, h("h2", {}, "Stopped"),
    h("p", {}, `${count(upload.progress.filesDone)} of ${plural(upload.progress.files, "file")} arrived and are kept. Drop the same files again to continue.`),
    upload.progress.batch ? h("div", { class: "pt-row" }, h("button", { type: "button", class: "pt-button pt-second", onclick: cancel }, "Cancel the batch instead")) : null));
}

function unreadableCard(paths, batch) {
  return h("section", { class: "pt-card" }, h("h2", {}, "Sent, but not everything"),
    h("p", {}, `${plural(paths.length, "file")} could not be read. Were they moved, or are they still being written?`),
    h("ul", { class: "pt-paths" }, ...paths.slice(0, 20).map((path) => h("li", {}, path)), paths.length > 20 ? h("li", {}, `and ${count(paths.length - 20)} more`) : null),
    h("div", { class: "pt-row" }, h("a", { class: "pt-button", href: `/app/batches?batch=${batch}` }, "Go to the batch")));
}

function asked(stage, message) {
  return new Promise((again) => {
    stage.replaceChildren(h("section", { class: "pt-card", role: "alert" },
      h("h2", {}, "The upload stopped"),
      h("p", { class: "pt-notice pt-bad" }, icon("warning", 20), h("span", {}, message)),
      h("p", { class: "pt-soft" }, "What arrived is kept."),
      h("div", { class: "pt-row" },
        h("button", { type: "button", class: "pt-button", onclick: () => again() }, "Try again"),
        h("a", { class: "pt-button pt-second", href: "/app/" }, "Start over"))));
  });
}
