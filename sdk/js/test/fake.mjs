// What the tests put in the place of a network and of a browser.

/** A fetch that answers from a list, in order, and remembers what it was asked. */
export function answers(...list) {
  const requests = [];
  const fetch = async (url, init) => {
    requests.push({ url, method: init.method, headers: init.headers, body: init.body === undefined ? undefined : JSON.parse(init.body), init });
    const next = list.shift();
    if (next === undefined) throw new Error(`unexpected request ${init.method} ${url}`);
    if (next instanceof Error) throw next;
    if (next.hang) {
      return new Promise((_, reject) => {
        init.signal.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")));
      });
    }
    const { status = 200, headers = {}, text, ...json } = next;
    return new Response(text ?? JSON.stringify(json), { status, headers });
  };
  return { fetch, requests };
}

/** A REST error as the server writes it. */
export function refusal(status, code, reason, message, headers = {}) {
  return {
    status,
    headers: { "x-request-id": "req-1", ...headers },
    code,
    message,
    details: [{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason, domain: "biocore", metadata: { field: "user" } }],
  };
}

/** Puts a browser's WebAuthn in the global scope until the test ends. */
export function browser(t, { create, get, statics = {} }) {
  const calls = [];
  const record = (kind, behave) => async (options) => {
    calls.push({ kind, options });
    return behave(options);
  };
  define(t, "navigator", { credentials: { create: record("create", create), get: record("get", get) } });
  define(t, "PublicKeyCredential", Object.assign(function PublicKeyCredential() {}, statics));
  return calls;
}

function define(t, name, value) {
  const before = Object.getOwnPropertyDescriptor(globalThis, name);
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  t.after(() => {
    if (before === undefined) delete globalThis[name];
    else Object.defineProperty(globalThis, name, before);
  });
}

/** A get() or create() that waits until its signal aborts it, as autofill does. */
export function untilAborted({ signal }) {
  return new Promise((_, reject) => {
    const abort = () => queueMicrotask(() => reject(new DOMException("aborted", "AbortError")));
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort);
  });
}

/** Resolves when condition() holds; each turn lets every pending promise run. */
export async function until(condition) {
  for (let turn = 0; turn < 1000; turn++) {
    if (condition()) return;
    await new Promise(setImmediate);
  }
  throw new Error(`never became true: ${condition}`);
}

/** The bytes of an ASCII string. */
export function bytes(text) {
  return new TextEncoder().encode(text).buffer;
}
