import { distinct } from "./distinct.js";
import type { Algorithm, PublicKey } from "./jws.js";
import { TokenError } from "./tokenerror.js";

// Whatever the server says of the keys' age: less than a minute would make each
// verifier a load, more than an hour would keep a revoked key too long.
const minAgeMs = 60_000;
const defaultAgeMs = 300_000;
const maxAgeMs = 3_600_000;

/**
 * The least time between two fetches, whatever the reason: tokens with invented
 * kids cost the server one request in it, and no more. The other takes its place
 * while no key can be used: then every request waits for one.
 */
const fetchPauseMs = 10_000;
const emptyPauseMs = 1_000;

/** Some fifty RSA keys; a tenant has three or four. */
const maxSetBytes = 64 * 1024;

interface KeySetOptions {
  url: string;
  fetch: typeof fetch;
  timeoutMs: number;
  staleMs: number;
  now: () => number;
}

/** Never changes; a fetch puts another in its place. */
interface Held {
  keys: ReadonlyMap<string, PublicKey>;
  /** From here on they are fetched again while they still serve; */
  renewAt: number;
  /** from here on requests wait for that; */
  oldAt: number;
  /** from here on they are used for nothing. */
  deadAt: number;
}

/** The tenant's public keys as last fetched. */
export class KeySet {
  readonly #options: KeySetOptions;
  #held: Held | undefined;
  /** Ends with what went wrong; never rejects. */
  #running: Promise<unknown> | undefined;
  #tried = -Infinity;
  #failure: unknown;

  constructor(options: KeySetOptions) {
    this.#options = options;
  }

  /** Returns the key of that kid, or throws TOKEN_KEY_UNKNOWN, or UNAVAILABLE when that cannot be found out. */
  async find(kid: string): Promise<PublicKey> {
    const now = this.#options.now();
    const key = this.#usable(kid);
    if (key !== undefined && this.#held !== undefined) {
      if (now < this.#held.renewAt) return key;
      const running = this.#begin(false);
      // Nobody waits while the keys are young, or while the last word of the server was
      // that there is none: it may hang, and each caller would hang with it.
      if (now < this.#held.oldAt || this.#failure !== undefined) return key;
      await running;
      const renewed = this.#usable(kid);
      if (renewed !== undefined) return renewed;
    }
    // The kid is unknown, or nothing is held that could know it.
    await this.#begin(true);
    const found = this.#usable(kid);
    if (found !== undefined) return found;
    if (this.#failure !== undefined) throw new TokenError("UNAVAILABLE", "the tenant's keys could not be had", this.#failure);
    throw new TokenError("TOKEN_KEY_UNKNOWN", "the tenant does not publish its key");
  }

  async refresh(): Promise<void> {
    await this.#begin(true);
    if (this.#failure !== undefined) throw new TokenError("UNAVAILABLE", "the tenant's keys could not be had", this.#failure);
  }

  #usable(kid: string): PublicKey | undefined {
    return this.#held !== undefined && this.#options.now() < this.#held.deadAt ? this.#held.keys.get(kid) : undefined;
  }

  /**
   * Starts a fetch unless one is running or one began a moment ago; returns the one
   * that runs, if one does. `past` goes by caches on the way.
   */
  #begin(past: boolean): Promise<unknown> | undefined {
    const now = this.#options.now();
    const pause = this.#held === undefined || now >= this.#held.deadAt ? emptyPauseMs : fetchPauseMs;
    if (this.#running !== undefined || now - this.#tried < pause) return this.#running;
    // A failure of long ago says nothing about now: who comes after an idle time waits.
    if (now - this.#tried > 2 * fetchPauseMs) this.#failure = undefined;
    this.#tried = now;
    this.#running = this.#get(past, now).then(
      (held) => {
        this.#held = held;
        this.#failure = undefined;
        this.#running = undefined;
      },
      (error: unknown) => {
        this.#failure = error ?? new Error("no reason given");
        this.#running = undefined;
      },
    );
    return this.#running;
  }

  /** Asks for the keys. They are as old as the question, not as the answer. */
  async #get(past: boolean, asked: number): Promise<Held> {
    const { url, timeoutMs, staleMs } = this.#options;
    const headers: Record<string, string> = { accept: "application/json" };
    if (past) headers["cache-control"] = "no-cache";
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    try {
      // A redirect would name another place to trust.
      const answer = await this.#options.fetch(url, { headers, redirect: "error", signal: abort.signal });
      if (answer.status !== 200) throw new Error(`${url} answered ${answer.status}`);
      const keys = await parseKeySet(await bounded(answer));
      const age = ageOf(answer.headers);
      // Not all at the same moment: servers of one service start together.
      const renewAt = asked + age * (0.7 + 0.2 * Math.random());
      return { keys, renewAt, oldAt: asked + age, deadAt: asked + age + staleMs };
    } finally {
      clearTimeout(timer);
    }
  }
}

async function bounded(answer: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let size = 0;
  const reader = answer.body?.getReader();
  for (;;) {
    const chunk = await reader?.read();
    if (chunk === undefined || chunk.done) return text + decoder.decode();
    size += chunk.value.length;
    if (size > maxSetBytes) {
      await reader?.cancel();
      throw new Error("a key set without end");
    }
    text += decoder.decode(chunk.value, { stream: true });
  }
}

/**
 * Reads a JWK Set (RFC 7517 §5). A key that one cannot use is left out, as the
 * standard wants it, so that a newer server may publish one. Two keys of one kid are
 * both left out: nobody could say whose a signature is; a set of two lists is none. A
 * set in which nothing is left is a set: the tenant has no key any more.
 */
async function parseKeySet(text: string): Promise<Map<string, PublicKey>> {
  const set: unknown = JSON.parse(text);
  const list = typeof set === "object" && set !== null ? (set as { keys?: unknown }).keys : undefined;
  if (!Array.isArray(list) || !distinct(text, ["keys"])) throw new Error("not a JSON Web Key Set");
  const keys = new Map<string, PublicKey>();
  const seen = new Set<string>();
  for (const jwk of list as readonly unknown[]) {
    if (typeof jwk !== "object" || jwk === null) continue;
    const { kid } = jwk as { kid?: unknown };
    if (typeof kid !== "string" || kid === "") continue;
    if (seen.has(kid)) {
      keys.delete(kid);
      continue;
    }
    seen.add(kid);
    const key = await importKey(jwk as JsonWebKey).catch(() => undefined);
    if (key !== undefined) keys.set(kid, key);
  }
  return keys;
}

/** Members of a private or symmetric key. One that the world can read signs for the world. */
const secretMembers = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

/** Takes a public key for signatures whose algorithm is one of ours and fits it. */
async function importKey(jwk: JsonWebKey): Promise<PublicKey | undefined> {
  if (secretMembers.some((name) => name in jwk) || (jwk.use !== undefined && jwk.use !== "sig")) return undefined;
  const { kty, crv, alg, x, y, n, e } = jwk;
  const take = async (members: object, algorithm: AlgorithmIdentifier | EcKeyImportParams | RsaHashedImportParams): Promise<PublicKey> => ({
    alg: alg as Algorithm,
    key: await crypto.subtle.importKey("jwk", members as JsonWebKey, algorithm, false, ["verify"]),
  });
  switch (alg) {
    case "ES256":
      return kty === "EC" && crv === "P-256" ? take({ kty, crv, x, y }, { name: "ECDSA", namedCurve: crv }) : undefined;
    case "EdDSA":
      return kty === "OKP" && crv === "Ed25519" ? take({ kty, crv, x }, { name: "Ed25519" }) : undefined;
    case "RS256": {
      if (kty !== "RSA") return undefined;
      const key = await take({ kty, n, e }, { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" });
      const bits = (key.key.algorithm as RsaKeyAlgorithm).modulusLength;
      return bits >= 2048 && bits <= 8192 ? key : undefined;
    }
    default:
      return undefined;
  }
}

/** How long an answer may be used (RFC 9111 §4.2), within our bounds. */
function ageOf(headers: Headers): number {
  let age = defaultAgeMs;
  for (const directive of (headers.get("cache-control") ?? "").toLowerCase().split(",")) {
    const [name, value] = directive.trim().split("=");
    if (name === "no-store" || name === "no-cache") return minAgeMs;
    if (name === "max-age") age = milliseconds(value ?? "");
  }
  const spent = headers.get("age");
  if (spent !== null) age -= milliseconds(spent); // it lay in a cache on the way
  return Math.min(Math.max(age, minAgeMs), maxAgeMs);
}

/** Reads a delta-seconds (RFC 9111 §1.2.2). What is none of it is 0. */
function milliseconds(text: string): number {
  const [, digits] = /^"?(\d{1,9})"?$/.exec(text.trim()) ?? [];
  return digits === undefined ? 0 : Number(digits) * 1000;
}
