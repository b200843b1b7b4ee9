// What was decided and is on its way to the server: in order, one request at a time, sent again until it is answered.
// It is kept with the tab, so a reload loses nothing; each entry has a token, so sent twice it is still one stroke.

import { api } from "./api.js";
import { wait } from "./dom.js";

const KEPT = "pt-review-outbox";
const AGAIN_MS = [500, 1000, 2000, 4000, 8000];

export class Outbox {
  /** `on`: `done(entry, answer)`, `refused(entry, error)`, `waiting(count, error)` */
  constructor(on) {
    this.on = on;
    this.entries = JSON.parse(window.sessionStorage.getItem(KEPT) ?? "[]");
    this.seen = new Map();
    window.addEventListener("beforeunload", (event) => { if (this.entries.length) event.preventDefault(); });
    if (this.entries.length) this.send();
  }

  /** A verdict of photos, as one stroke; `took_ms` is how long the first of them took. Returns the stroke's token. */
  decide(source, photos, verdict, { label = null, took_ms = null } = {}) {
    const verdicts = photos.map((photo, at) => ({ photo: photo.id, verdict, label: label?.id ?? null, seen: this.seenOf(photo), reason: photo.reason ?? null, took_ms: at ? null : took_ms }));
    return this.add({ path: "/api/review/verdicts", body: { token: window.crypto.randomUUID(), source, verdicts } });
  }

  undo() {
    return this.add({ path: "/api/review/undo", body: { token: window.crypto.randomUUID() } });
  }

  /** The photos whose verdicts are still on their way. */
  get photos() {
    return this.entries.flatMap(({ body }) => (body.verdicts ?? []).map(({ photo }) => photo));
  }

  /** The verdict of a photo that counts by now, where the server has told a newer one than the photo came with. */
  seenOf(photo) {
    return this.seen.get(photo.id) ?? photo.seen;
  }

  know(photo, seen) {
    this.seen.set(photo, seen);
  }

  add(entry) {
    this.entries.push(entry);
    this.keep();
    this.send();
    return entry.body.token;
  }

  /** Resolves once nothing is on its way any more. */
  async settled() {
    while (this.entries.length) await this.send();
  }

  keep() {
    window.sessionStorage.setItem(KEPT, JSON.stringify(this.entries));
  }

  send() {
    this.sending ??= this.sendAll().finally(() => { this.sending = null; if (this.entries.length) this.send(); });
    return this.sending;
  }

  async sendAll() {
    while (this.entries.length) {
      const [entry] = this.entries;
      await this.sendOne(entry);
      this.entries.shift();
      this.keep();
    }
    this.on.waiting(0);
  }

  async sendOne(entry) {
    for (let tries = 0; ; tries += 1) {
      try {
        return this.on.done(entry, await api(entry.path, { method: "POST", json: this.upToDate(entry) }));
      } catch (error) {
        if (!error.isPassing) return this.on.refused(entry, error);
        this.on.waiting(this.entries.length, error);
        await wait(AGAIN_MS[Math.min(tries, AGAIN_MS.length - 1)]);
      }
    }
  }

  /** An earlier stroke of the line may have changed which verdict counts: what a person saw was that one. */
  upToDate({ body }) {
    if (!body.verdicts) return body;
    return { ...body, verdicts: body.verdicts.map((each) => ({ ...each, seen: this.seen.get(each.photo) ?? each.seen })) };
  }
}
