/**
 * Checks Biocore's access tokens in your own services, offline (Node 20, Deno,
 * Bun, workers), without dependencies. What is promised of tokens and keys
 * stands in docs/verify-tokens.md.
 */
import { decrypt, importDecryptionKey, isJwe, type DecryptionKey, type ImportedKey } from "./jwe.js";
import { distinct } from "./distinct.js";
import { parseJws, verifySignature } from "./jws.js";
import { KeySet } from "./keyset.js";
import type { AccessTokenClaims } from "./server.js";
import { TokenError } from "./tokenerror.js";

export { TokenError } from "./tokenerror.js";
export type { TokenReason } from "./tokenerror.js";
export type { DecryptionKey } from "./jwe.js";
export type { AccessTokenClaims } from "./server.js";

/** What is looked at. What Biocore issues is well below it. */
const maxTokenLength = 16 * 1024;
const maxLeewaySeconds = 60;
const maxStaleSeconds = 24 * 3600;

/** What a request asks of a sign-in, beside a token that is valid. */
export interface Requirement {
  /** The least assurance level, 1 to 3 (NIST SP 800-63B-4). */
  minAal?: number;
  /** How long ago the user may have signed in. Refreshing a session does not count as signing in. */
  maxAgeSeconds?: number;
  /**
   * Asks Biocore whether the session still stands: a revocation counts at once
   * instead of when the token expires, for one call each request. It needs `sessions`.
   */
  live?: boolean;
}

export interface VerifierOptions {
  /** The tenant at its installation, `https://auth.example.com/t/acme`: what `iss` says, to the byte. */
  issuer: string;
  /** Who the tokens must be meant for: the RP ID, unless the tenant set another. */
  audience: string;
  /** What `tid` must say; any of the issuer's when absent. */
  tenantId?: string;
  /** Asked of every token, beside being valid. */
  require?: Requirement;
  /**
   * Open the tokens of a tenant that has them encrypted. Hold the old and the new
   * one while the registered key changes. Tokens that are not encrypted stay good:
   * encryption hides the claims, and the signature is what proves them.
   */
  decryptionKeys?: readonly DecryptionKey[];
  /** Whom `live` asks: the `sessions` of a `BiocoreServer`. */
  sessions?: { verify(accessToken: string): Promise<{ active: boolean }> };
  /**
   * Where the tenant's keys are, where that is not `issuer` + `/.well-known/jwks.json`.
   * Whoever can answer there in Biocore's place can sign in as anybody, so it is
   * https, or a network that you trust.
   */
  keysUrl?: string;
  /** How long keys are used past their age while they cannot be fetched; 3600 when absent, at most 86,400. */
  staleSeconds?: number;
  /** For clocks that disagree; 0 when absent, 60 at most. */
  leewaySeconds?: number;
  /** Hears of every request that the middleware refused, and why: for the log. */
  onRefuse?: (error: TokenError) => void;
  /** For tests and unusual runtimes; the global `fetch` when absent. */
  fetch?: typeof fetch;
  /** How long to wait for the keys, in milliseconds; 5,000 when absent. */
  timeoutMs?: number;
  /** Milliseconds since 1970; `Date.now` when absent. */
  now?: () => number;
}

/** A request as Node, Express and Connect have it. */
export interface NodeRequest {
  headers: Readonly<Record<string, string | string[] | undefined>>;
  rawHeaders?: readonly string[];
  /** What the token says: there behind the middleware. */
  claims?: AccessTokenClaims;
}

/** An answer as Node, Express and Connect have it. */
export interface NodeResponse {
  statusCode: number;
  setHeader(name: string, value: string): unknown;
  end(body?: string): unknown;
}

/** Makes a verifier, or throws a TypeError that names the option it cannot use. It fetches nothing yet. */
export function createVerifier(options: VerifierOptions): Verifier {
  return new Verifier(options);
}

/** A token that was found good, without encryption around it. */
interface Verified {
  claims: AccessTokenClaims;
  jws: string;
}

/** One tenant's tokens. Make one for a service and keep it, since it holds the keys. */
export class Verifier {
  readonly #options: VerifierOptions;
  readonly #require: Requirement;
  readonly #keys: KeySet;
  readonly #decryption: Promise<readonly ImportedKey[]>;
  readonly #now: () => number;
  /** Requests whose token this verifier found good: nobody else's word counts. */
  readonly #seen = new WeakMap<object, Verified>();

  constructor(options: VerifierOptions) {
    const issuer = parseUrl(options.issuer);
    if (issuer === undefined || options.issuer.endsWith("/") || issuer.search + issuer.hash + issuer.username !== "") {
      throw new TypeError(`Biocore: issuer ${JSON.stringify(options.issuer)} is no https://host/t/slug`);
    }
    if (typeof options.audience !== "string" || options.audience === "") {
      throw new TypeError("Biocore: audience is required: without it every token of the tenant would do");
    }
    // What nobody chose must be safe: keys over plain HTTP are anybody's on the way.
    if (options.keysUrl === undefined && issuer.protocol !== "https:" && !isLoopback(issuer.hostname)) {
      throw new TypeError(`Biocore: issuer ${options.issuer} is not https; name keysUrl if its keys can be trusted all the same`);
    }
    const keysUrl = options.keysUrl ?? `${options.issuer}/.well-known/jwks.json`;
    if (parseUrl(keysUrl) === undefined) throw new TypeError(`Biocore: keysUrl ${keysUrl} is no http or https URL`);
    const leeway = options.leewaySeconds ?? 0;
    if (!(leeway >= 0 && leeway <= maxLeewaySeconds)) throw new TypeError(`Biocore: leewaySeconds is ${leeway}, at most ${maxLeewaySeconds}`);
    const stale = options.staleSeconds ?? 3600;
    if (!(stale >= 0 && stale <= maxStaleSeconds)) throw new TypeError(`Biocore: staleSeconds is ${stale}, at most ${maxStaleSeconds}`);
    this.#options = options;
    this.#require = this.#check(options.require ?? {});
    this.#now = options.now ?? Date.now;
    this.#keys = new KeySet({
      url: keysUrl,
      // A bare reference would call the global fetch with the wrong `this`.
      fetch: options.fetch ?? ((input, init) => globalThis.fetch(input, init)),
      timeoutMs: options.timeoutMs ?? 5000,
      staleMs: stale * 1000,
      now: this.#now,
    });
    this.#decryption = Promise.all((options.decryptionKeys ?? []).map(importDecryptionKey));
    this.#decryption.catch(() => undefined); // told to whoever verifies
  }

  /**
   * Returns the claims of an access token that the tenant signed, that is meant
   * for the audience and good now, and that meets what is required. Throws
   * {@link TokenError}. Unless `live` is required, a session that was revoked goes
   * on until its token expires.
   */
  async verify(token: string, requirement: Requirement = {}): Promise<AccessTokenClaims> {
    this.#check(requirement);
    return (await this.#judge(token, requirement)).claims;
  }

  /** Fetches the tenant's keys, unless it was tried a moment ago: for a service that should not start without. */
  async refresh(): Promise<void> {
    await this.#keys.refresh();
  }

  /**
   * Verifies the Bearer token of a Fetch API request. Throws {@link TokenError},
   * whose `toResponse()` is the refusal in the words of RFC 6750 and RFC 9470.
   */
  async authenticate(request: Request, requirement: Requirement = {}): Promise<AccessTokenClaims> {
    this.#check(requirement);
    return (await this.#judge(bearer(request.headers.get("authorization") ?? undefined), requirement)).claims;
  }

  /**
   * Middleware for Express, Connect and the like: lets requests through that bring a
   * good token, with `request.claims`, and refuses the others. On single routes it
   * may ask for more, behind another of the same verifier or without.
   */
  middleware(requirement: Requirement = {}): (request: NodeRequest, response: NodeResponse, next: (error?: unknown) => void) => Promise<void> {
    this.#check(requirement);
    return async (request, response, next) => {
      try {
        let good = this.#seen.get(request);
        if (good === undefined) {
          good = await this.#judge(bearerOf(request), requirement);
        } else {
          await this.#meet(good, requirement);
        }
        this.#seen.set(request, good);
        request.claims = good.claims;
      } catch (error) {
        if (!(error instanceof TokenError)) return next(error); // a mistake in the options, say
        this.#options.onRefuse?.(error);
        response.statusCode = error.status;
        for (const [name, value] of Object.entries(error.headers)) response.setHeader(name, value);
        response.end();
        return;
      }
      next();
    };
  }

  async #judge(token: string, requirement: Requirement): Promise<Verified> {
    const good = await this.#verify(token);
    await this.#meet(good, this.#require);
    if (requirement !== this.#require) await this.#meet(good, requirement);
    return good;
  }

  async #verify(token: string): Promise<Verified> {
    if (typeof token !== "string" || token.length > maxTokenLength) throw new TokenError("TOKEN_MALFORMED", "no text, or too long");
    const jws = isJwe(token) ? await decrypt(await this.#decryption, token) : token;
    const parsed = parseJws(jws);
    await verifySignature(await this.#keys.find(parsed.kid), parsed);
    // From here on the bytes are what a holder of the tenant's key wrote.
    const claims = parseClaims(parsed.payload);
    const now = this.#now() / 1000;
    const leeway = this.#options.leewaySeconds ?? 0;
    // The keys are the tenant's own; iss and tid are held against the expected all the
    // same, for the day on which two tenants' keys are mixed up.
    if (claims.iss !== this.#options.issuer) throw new TokenError("TOKEN_ISSUER", "another issuer's");
    if (this.#options.tenantId !== undefined && claims.tid !== this.#options.tenantId) throw new TokenError("TOKEN_TENANT", "another tenant's");
    if (![claims.aud].flat().includes(this.#options.audience)) throw new TokenError("TOKEN_AUDIENCE", "for another audience");
    // exp is the first instant at which the token must not be accepted (RFC 7519 §4.1.4).
    if (!(now - leeway < claims.exp)) throw new TokenError("TOKEN_EXPIRED", "expired");
    if (typeof claims["nbf"] === "number" && now + leeway < claims["nbf"]) throw new TokenError("TOKEN_NOT_YET", "not valid yet");
    return { claims, jws };
  }

  async #meet(good: Verified, requirement: Requirement): Promise<void> {
    const { minAal = 0, maxAgeSeconds, live = false } = requirement;
    const age = this.#now() / 1000 - (this.#options.leewaySeconds ?? 0) - (good.claims.auth_time ?? 0);
    if (levelOf(good.claims) < minAal || (maxAgeSeconds !== undefined && age > maxAgeSeconds)) {
      throw TokenError.stepUp(minAal, maxAgeSeconds);
    }
    if (!live) return;
    let answer: { active: boolean } | undefined;
    try {
      answer = await this.#options.sessions?.verify(good.jws);
    } catch (error) {
      throw new TokenError("UNAVAILABLE", "Biocore cannot be asked about the session", error);
    }
    if (answer?.active !== true) throw new TokenError("SESSION_ENDED", "the session has ended");
  }

  /** Finds the mistakes of a programmer. */
  #check(requirement: Requirement): Requirement {
    const { minAal = 0, maxAgeSeconds = 1, live = false } = requirement;
    if (![0, 1, 2, 3].includes(minAal)) throw new TypeError(`Biocore: minAal is ${minAal}, and there are 1 to 3`);
    if (!(maxAgeSeconds >= 1)) throw new TypeError(`Biocore: maxAgeSeconds is ${maxAgeSeconds}, and auth_time has whole seconds`);
    if (live && this.#options.sessions === undefined) throw new TypeError("Biocore: live needs sessions");
    return requirement;
  }
}

const claimNames = ["iss", "sub", "aud", "sid", "tid", "amr", "acr", "auth_time", "jti", "iat", "nbf", "exp"];

/** Reads a payload whose signature was good. Claims that are not known may be there: a newer server wrote them. */
function parseClaims(payload: Uint8Array): AccessTokenClaims {
  let text: string;
  let claims: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(payload);
    claims = JSON.parse(text);
  } catch {
    throw new TokenError("TOKEN_MALFORMED", "unreadable claims");
  }
  if (typeof claims !== "object" || claims === null || Array.isArray(claims)) throw new TokenError("TOKEN_MALFORMED", "no claims");
  if (!distinct(text, claimNames)) throw new TokenError("TOKEN_MALFORMED", "a claim stands twice, or in another case");
  const c = claims as AccessTokenClaims;
  const isText = (value: unknown): boolean => typeof value === "string" && value !== "";
  const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every((v) => typeof v === "string");
  const good =
    isText(c.sub) && isText(c.sid) && isText(c.tid) && isText(c.jti) && levelOf(c) > 0 &&
    (c.amr === undefined || isTexts(c.amr)) &&
    (c.aud === undefined || typeof c.aud === "string" || isTexts(c.aud)) &&
    [c.exp, c.iat, c.auth_time, c["nbf"]].every((time) => time === undefined || time === null || Number.isSafeInteger(time));
  if (!good) throw new TokenError("TOKEN_MALFORMED", "a claim is missing, or none of its kind");
  return c;
}

/** `aal1` to `aal3`; 0 of anything else. */
function levelOf(claims: AccessTokenClaims): number {
  return typeof claims.acr === "string" && /^aal[123]$/.test(claims.acr) ? Number(claims.acr.slice(3)) : 0;
}

/** The Authorization header of a Node request, which keeps the first of two to itself and drops the second. */
function bearerOf(request: NodeRequest): string {
  const count = (request.rawHeaders ?? []).filter((name, i) => i % 2 === 0 && name.toLowerCase() === "authorization").length;
  const header = request.headers["authorization"];
  if (count > 1 || Array.isArray(header)) throw TokenError.twice();
  return bearer(header);
}

/** Takes the token of a header. Tokens in a query or a form would end in logs (RFC 9700 §4.3.2), and are not looked for. */
function bearer(header: string | undefined): string {
  const [scheme = "", token = ""] = split(header ?? "", " ");
  if (scheme.toLowerCase() !== "bearer") throw TokenError.missing();
  if (token.includes(",")) throw TokenError.twice(); // how the Fetch API joins two headers
  return token;
}

function split(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

function parseUrl(text: string): URL | undefined {
  try {
    const url = new URL(text);
    return url.protocol === "https:" || url.protocol === "http:" ? url : undefined;
  } catch {
    return undefined;
  }
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(host);
}
