// The files a person dropped or chose, with their paths inside folders.

/** The files of a drop, folders walked. Call it inside the event: the list is emptied after it. */
export function fromDrop(transfer) {
  const entries = [...transfer.items].filter((item) => item.kind === "file")
    .map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile()).filter(Boolean);
  return Promise.all(entries.map(walked)).then((found) => found.flat());
}

/** The files of an <input type=file>, with or without webkitdirectory. */
export function fromInput(files) {
  return [...files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
}

async function walked(entry) {
  if (entry instanceof File) return [{ file: entry, path: entry.name }];
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [{ file, path: entry.fullPath.replace(/^\//, "") }];
  }
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    // Browsers give at most 100 entries at a time.
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    for (const inner of some) found.push(...(await walked(inner)));
  }
  return found;
}

const ARCHIVE = /\.(zip|tar|tgz|tbz2?|txz|tzst|tar\.(gz|bz2|xz|zst)|7z|rar)$/i;

export const isArchive = (path) => ARCHIVE.test(path);

/** What a person would call these files. */
export function nameOf(files) {
  const tops = new Set(files.map(({ path }) => path.split("/")[0]));
  if (tops.size === 1) return [...tops][0];
  return `${files.length} files`;
}
