// Sending files chunk by chunk: four at a time, again after a broken connection, on from where they were after a reload.

import { api, ApiError } from "./api.js";
import { wait } from "./dom.js";

const LANES = 4;
const FIRST_CHUNK = 2 * 1024 ** 2;
const MIN_CHUNK = 256 * 1024;
// A chunk should take about this long: short enough for a lively bar, long enough to cost little.
const CHUNK_S = 1.0;
const LONGEST_WAIT_MS = 15000;
const RATE_WINDOW_MS = 5000;
const FORGET_AFTER_MS = 48 * 3600 * 1000;
const STORE = "phototag-upload:";

/** One upload of many files as one batch. `progress` is current at any time; `run` ends with the batch's id. */
export class Upload {
  constructor(files, name, limits) {
    this.files = [...files].sort((a, b) => (a.path < b.path ? -1 : 1));
    this.name = name;
    this.limits = limits;
    this.stopped = new AbortController();
    this.progress = {
      files: this.files.length, filesDone: 0, bytes: this.files.reduce((sum, { file }) => sum + file.size, 0),
      bytesDone: 0, resumed: 0, unreadable: [], trouble: "", batch: null,
    };
    this.chunk = FIRST_CHUNK;
    this.history = [];
    this.next = 0;
  }

  /** Sends everything. Rejects with an ApiError that a person must read, or AbortError after `stop`. */
  async run() {
    const store = STORE + fingerprint(this.files);
    const batch = await this.begin(store);
    this.progress.batch = batch.id;
    const { files } = await this.persist(() => api(`/api/batches/${batch.id}/files`, { signal: this.stopped.signal }));
    const known = new Map(files.map(([number, , received, done]) => [number, { received, done }]));
    const waiting = this.files.map((entry, at) => ({ ...entry, number: at + 1, ...known.get(at + 1) }));
    this.progress.resumed = waiting.filter(({ done }) => done).length;
    const lanes = Array.from({ length: LANES }, () => this.lane(batch.id, waiting));
    try {
      await Promise.all(lanes);
    } catch (error) {
      this.stopped.abort();
      throw error;
    }
    const sent = this.files.length - this.progress.unreadable.length;
    if (!sent) throw new ApiError(400, { message: "None of these files could be read. Were they moved or deleted?" });
    await this.persist(() => api(`/api/batches/${batch.id}/seal`, { method: "POST", json: { count: sent } }));
    forget(store);
    return batch.id;
  }

  /** Stops sending. What was received stays, and the same files go on from there. */
  stop() { this.stopped.abort(); }

  /** Bytes per second over the last seconds. */
  get rate() {
    const since = this.history.find(([at]) => at > performance.now() - RATE_WINDOW_MS);
    if (!since) return 0;
    const seconds = (performance.now() - since[0]) / 1000;
    return seconds > 0.3 ? (this.progress.bytesDone - since[1]) / seconds : 0;
  }

  async begin(store) {
    for (;;) {
      const key = remembered(store);
      const batch = await this.persist(() => api("/api/batches", {
        method: "POST", signal: this.stopped.signal,
        json: { name: this.name, idem_key: key, count: this.files.length, bytes: this.progress.bytes },
      }));
      if (batch.state === "receiving") return batch;
      forget(store); // it was cancelled, or finished by another tab: a new one
    }
  }

  async lane(batch, waiting) {
    while (this.next < waiting.length) {
      const entry = waiting[this.next]; // an index: shift() of 100,000 entries copies them each time
      this.next += 1;
      if (entry.done) this.count(entry.file.size);
      else await this.send(batch, entry);
      this.progress.filesDone += 1;
    }
  }

  async send(batch, { file, path, number, received = 0 }) {
    let offset = received;
    this.count(offset);
    const tooBig = file.size > Math.max(this.limits.archive_bytes, this.limits.photo_bytes);
    do {
      const end = tooBig ? offset : Math.min(file.size, offset + Math.min(this.chunk, this.limits.chunk_bytes));
      let part;
      try {
        part = await file.slice(offset, end).arrayBuffer(); // reads now: a file that vanished is not a lost connection
      } catch {
        this.progress.unreadable.push(path);
        return;
      }
      const query = new URLSearchParams({ path, size: file.size, offset });
      const began = performance.now();
      const answer = await this.persist(() => api(`/api/batches/${batch}/files/${number}?${query}`, {
        method: "PUT", body: part, signal: this.stopped.signal,
      }), offset);
      this.adapt(part.byteLength, performance.now() - began);
      this.count(answer.received - offset);
      offset = answer.received;
      if (answer.done) return;
    } while (offset < file.size);
  }

  /** Calls `ask` until the connection holds. An answer that names another offset is as good as one. */
  async persist(ask, offset = null) {
    for (let tries = 0; ; tries += 1) {
      try {
        const answer = await ask();
        this.progress.trouble = "";
        return answer;
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        const elsewhere = error.code === "WRONG_OFFSET" && error.body.received !== offset;
        if (elsewhere) return { received: error.body.received, done: false };
        if (!error.isPassing && error.code !== "WRONG_OFFSET") throw error;
        this.progress.trouble = error.status === 0 ? "The connection broke off" : error.message;
        await wait(Math.min(LONGEST_WAIT_MS, 500 * 2 ** tries) * (0.75 + Math.random() / 2));
        this.stopped.signal.throwIfAborted();
      }
    }
  }

  adapt(size, ms) {
    if (size < MIN_CHUNK) return;
    const wanted = (size / Math.max(ms, 1)) * 1000 * CHUNK_S;
    this.chunk = Math.round(Math.max(MIN_CHUNK, Math.min(this.limits.chunk_bytes, (this.chunk + wanted) / 2)));
  }

  count(size) {
    this.progress.bytesDone += size;
    const now = performance.now();
    this.history.push([now, this.progress.bytesDone]);
    while (this.history.length > 2 && this.history[0][0] < now - 2 * RATE_WINDOW_MS) this.history.shift();
  }
}

/** The key under which an unfinished upload of the same files is found again, also after a reload. */
function remembered(store) {
  const fresh = { key: [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join(""), at: Date.now() };
  try {
    for (const name of Object.keys(localStorage)) {
      if (name.startsWith(STORE) && JSON.parse(localStorage[name]).at < Date.now() - FORGET_AFTER_MS) localStorage.removeItem(name);
    }
    if (!localStorage[store]) localStorage[store] = JSON.stringify(fresh);
    return JSON.parse(localStorage[store]).key;
  } catch {
    return fresh.key; // no storage: works, but does not survive a reload
  }
}

function forget(store) {
  try { localStorage.removeItem(store); } catch { /* no storage */ }
}

/** Two 53-bit hashes (cyrb53) over names, sizes and times. crypto.subtle is missing on plain http. */
function fingerprint(files) {
  const text = files.map(({ file, path }) => `${path}\0${file.size}\0${file.lastModified}`).join("\n");
  return [1, 2].map((seed) => cyrb53(text, seed).toString(36)).join("-");
}

function cyrb53(text, seed) {
  let a = 0xdeadbeef ^ seed;
  let b = 0x41c6ce57 ^ seed;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    a = Math.imul(a ^ code, 2654435761);
    b = Math.imul(b ^ code, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return 4294967296 * (2097151 & b) + (a >>> 0);
}
