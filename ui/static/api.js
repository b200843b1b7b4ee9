// Asking our JSON routes. Every failure is an ApiError with words for a person.

export class ApiError extends Error {
  constructor(status, body) {
    super(body.message || `The server answered with an error (${status}). Try again in a moment.`);
    this.status = status;
    this.code = body.code || "";
    this.body = body;
  }

  /** Whether trying again can help: the connection, the server or its load, not what was asked. */
  get isPassing() {
    return this.status === 0 || this.status === 408 || this.status === 429 || (this.status >= 500 && this.status !== 507);
  }
}

/** Asks `path`; `json` is sent as JSON, `body` as it is. Returns the answer's JSON. */
export async function api(path, { method = "GET", json, body, signal } = {}) {
  const headers = json === undefined ? {} : { "Content-Type": "application/json" };
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: json === undefined ? body : JSON.stringify(json), signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, { code: "OFFLINE", message: "The server does not answer. Check that phototag runs." });
  }
  const found = await answer.json().catch((error) => {
    if (error.name === "AbortError") throw error; // given up while the answer was on its way
    return {};
  });
  if (answer.status === 401) window.location.assign(`/login?next=${encodeURIComponent(window.location.pathname + window.location.search)}`);
  if (!answer.ok) throw new ApiError(answer.status, found);
  return found;
}

/** Calls `look` again and again, `ms()` apart, until it returns false; rests while the page is not seen. */
export async function poll(look, ms) {
  for (;;) {
    if (document.hidden) await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
    if ((await look()) === false) return;
    await new Promise((resolve) => setTimeout(resolve, ms()));
  }
}
