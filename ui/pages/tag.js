// The Tag page: one photo shows its labels here, many files become a batch.

import { h, icon, count, limit, say, setTitle } from "./dom.js";
import { noticeBox, status, withCode } from "./status.js";
import { fromDrop, fromInput, isArchive, nameOf } from "./files.js";
import { showSingle } from "./single.js";
import { showUpload } from "./uploading.js";

let busy = false;

/** Fills the page's main element. */
export function show(main) {
  setTitle("Tag photos");
  const stage = h("div", { class: "pt-stage" });
  const zone = dropZone((files) => take(files, stage, zone));
  main.append(noticeBox(), h("h1", {}, "Tag photos"), stage, zone, h("div", { id: "pt-starter" }), accepted());
  starterNotice(main.querySelector("#pt-starter"));
  catchDrops(zone, (files) => take(files, stage, zone));
}

async function take(gathering, stage, zone) {
  if (busy) return;
  busy = true;
  zone.hidden = true;
  stage.replaceChildren(h("p", { class: "pt-soft" }, "Looking through the files…"));
  try {
    const files = await gathering;
    const { limits } = await status();
    if (!files.length) throw new Error("There were no files in what you dropped. Drop photos, a folder or an archive.");
    if (files.length > limits.batch_files) {
      throw new Error(`These are ${count(files.length)} files; one batch may have ${count(limits.batch_files)}. Send them in parts.`);
    }
    const [first] = files;
    const single = files.length === 1 && !isArchive(first.path) && first.file.size <= limits.photo_bytes;
    if (single) await showSingle(stage, first.file);
    else await showUpload(stage, files, nameOf(files), limits);
  } catch (error) {
    stage.replaceChildren(h("p", { class: "pt-notice pt-bad", role: "alert" }, icon("warning", 20), h("span", {}, error.message)));
  }
  zone.hidden = false;
  zone.classList.toggle("pt-small", stage.childElementCount > 0);
  busy = false;
}

function dropZone(chosen) {
  const input = (attributes) => h("input", {
    type: "file", class: "pt-hidden", tabindex: "-1", "aria-hidden": "true", ...attributes,
    onchange: (event) => {
      const files = fromInput(event.target.files);
      event.target.value = "";
      chosen(Promise.resolve(files));
    },
  });
  const photos = input({ multiple: true, id: "pt-choose-photos" });
  const folder = input({ webkitdirectory: true, id: "pt-choose-folder" });
  return h("section", { class: "pt-zone", "aria-label": "Add photos" },
    h("div", { class: "pt-zone-icon" }, icon("photos", 44)),
    h("p", { class: "pt-zone-title" }, "Drop photos, a folder or an archive here"),
    h("div", { class: "pt-row pt-center" },
      h("button", { type: "button", class: "pt-button", onclick: () => photos.click() }, "Choose photos"),
      h("button", { type: "button", class: "pt-button pt-second", onclick: () => folder.click() }, "Choose a folder")),
    h("p", { class: "pt-soft pt-zone-hint" }, "One photo shows its labels right here. Many become a batch."),
    photos, folder);
}

/** A drop anywhere on the page counts; without this a photo beside the zone would replace the page. */
function catchDrops(zone, dropped) {
  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  window.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    zone.classList.add("pt-over");
  });
  window.addEventListener("dragleave", (event) => { if (!event.relatedTarget) zone.classList.remove("pt-over"); });
  window.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    zone.classList.remove("pt-over");
    if (!busy) dropped(fromDrop(event.dataTransfer));
    else say("Wait until the files before are sent.");
  });
  window.addEventListener("paste", (event) => {
    if (event.clipboardData?.files.length && !busy) dropped(Promise.resolve(fromInput(event.clipboardData.files)));
  });
}

function accepted() {
  const rows = h("dl", { class: "pt-accepted" });
  const row = (term, ...words) => rows.append(h("dt", {}, term), h("dd", {}, ...words));
  status().then(({ limits }) => {
    row("Photos", `JPEG, PNG, WebP, HEIC, AVIF, GIF, BMP and TIFF, up to ${limit(limits.photo_bytes)} each`);
    row("Archives", `ZIP and TAR (also .gz, .bz2, .xz, .zst), up to ${limit(limits.archive_bytes)} each`);
    row("Folders", `up to ${count(limits.batch_files)} files and ${limit(limits.batch_bytes)}; other files in them are skipped or named with a reason`);
    row("Broken off?", "Drop the same files again: the upload continues where it stopped.");
  }).catch(() => {});
  return h("section", { class: "pt-what", "aria-label": "What is accepted" }, h("h2", {}, "What you can drop"), rows);
}

async function starterNotice(box) {
  const { version } = await status();
  if (!version) {
    box.replaceChildren(h("p", { class: "pt-notice pt-info" }, icon("info", 20),
      h("span", {}, "No model version is active yet. One is chosen when a worker starts.")));
  } else if (version.is_starter) {
    box.replaceChildren(h("p", { class: "pt-notice pt-info" }, icon("info", 20), h("span", {}, ...withCode(version.notice))));
  }
}
