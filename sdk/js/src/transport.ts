import { BiocoreError, clientError, errorFromAnswer, isRecord } from "./error.js";

/** One request and its answer, for an `onCall` hook. Bodies are whole: redact before showing them to anyone. */
export interface Call {
  method: string;
  /** Path and query, as sent. */
  path: string;
  /** The parsed JSON; undefined when there was no body. */
  request: unknown;
  /** 0 when there was no answer. */
  status: number;
  /** The parsed JSON; undefined when there was none. */
  response: unknown;
  requestId: string;
  startedAt: Date;
  durationMs: number;
  error: BiocoreError | undefined;
}

/** What both faces of the SDK take. */
export interface TransportOptions {
  /** Where Biocore answers, such as `https://auth.example.com`; a path prefix is kept. */
  baseUrl: string;
  /** For tests and unusual runtimes; the global `fetch` when absent. */
  fetch?: typeof fetch;
  /** Called after each request, whatever its outcome. What it throws is ignored. */
  onCall?: (call: Call) => void;
  /** How long to wait for an answer, in milliseconds; 15,000 when absent. */
  timeoutMs?: number;
}

/** What one call may add. */
export interface CallOptions {
  signal?: AbortSignal;
  /**
   * Makes a repeat of a mutating call answer as the first did, for 24 hours.
   * Use a fresh random value for each intended change, and the same for retries.
   */
  idempotencyKey?: string;
}

interface Request extends CallOptions {
  method: "GET" | "POST" | "PATCH" | "DELETE";
  path: string;
  query?: Record<string, string | number | undefined>;
  body?: unknown;
  ifMatch?: string | undefined;
}

/** The one place that speaks HTTP: JSON in, JSON or BiocoreError out. */
export class Transport {
  readonly #baseUrl: string;
  readonly #key: string;
  readonly #fetch: typeof fetch;
  readonly #onCall: ((call: Call) => void) | undefined;
  readonly #timeoutMs: number;

  constructor(options: TransportOptions, key: string) {
    this.#baseUrl = options.baseUrl.replace(/\/+$/, "");
    this.#key = key;
    // A bare reference would call window.fetch with the wrong `this`.
    this.#fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
    this.#onCall = options.onCall;
    this.#timeoutMs = options.timeoutMs ?? 15_000;
  }

  async send<Answer>(request: Request): Promise<Answer> {
    const path = request.path + queryString(request.query);
    const call: Call = {
      method: request.method,
      path,
      request: request.body,
      status: 0,
      response: undefined,
      requestId: "",
      startedAt: new Date(),
      durationMs: 0,
      error: undefined,
    };
    const started = performance.now();
    try {
      await this.#exchange(request, path, call);
    } catch (error) {
      call.error = error as BiocoreError;
    }
    call.durationMs = performance.now() - started;
    this.#report(call);
    if (call.error !== undefined) throw call.error;
    return call.response as Answer;
  }

  async #exchange(request: Request, path: string, call: Call): Promise<void> {
    const headers: Record<string, string> = { authorization: `Bearer ${this.#key}`, accept: "application/json" };
    const init: RequestInit = { method: request.method, headers };
    if (request.body !== undefined) {
      headers["content-type"] = "application/json";
      init.body = JSON.stringify(request.body);
    }
    if (request.idempotencyKey !== undefined) headers["idempotency-key"] = request.idempotencyKey;
    if (request.ifMatch !== undefined) headers["if-match"] = request.ifMatch;
    // The key is the whole of a call's authority: a cookie or a referrer would only leak.
    if (typeof document !== "undefined") {
      init.credentials = "omit";
      init.referrerPolicy = "no-referrer";
    }

    // AbortSignal.any is younger than the browsers that have WebAuthn.
    const controller = new AbortController();
    const abort = (): void => controller.abort();
    request.signal?.addEventListener("abort", abort, { once: true });
    if (request.signal?.aborted === true) abort();
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      abort();
    }, this.#timeoutMs);
    try {
      const answer = await this.#fetch(this.#baseUrl + path, { ...init, signal: controller.signal });
      call.status = answer.status;
      call.requestId = answer.headers.get("x-request-id") ?? "";
      const text = await answer.text();
      call.response = parse(text);
      if (!answer.ok) throw errorFromAnswer(answer.status, answer.headers, call.response);
      if (!isRecord(call.response)) {
        throw new BiocoreError({
          code: "internal",
          reason: "RESPONSE_MALFORMED",
          message: `${call.method} ${path} answered something other than a JSON object`,
          status: call.status,
          requestId: call.requestId,
        });
      }
    } catch (error) {
      if (error instanceof BiocoreError) throw error;
      if (timedOut) throw clientError("deadline_exceeded", "TIMEOUT", `no answer within ${this.#timeoutMs} ms`, error);
      if (controller.signal.aborted) throw clientError("canceled", "ABORTED", "the call was aborted", error);
      throw clientError("unavailable", "NETWORK", `${call.method} ${path} could not be sent or its answer not read`, error);
    } finally {
      clearTimeout(timer);
      request.signal?.removeEventListener("abort", abort);
    }
  }

  #report(call: Call): void {
    try {
      this.#onCall?.(call);
    } catch {
      // A broken observer must not break a sign-in.
    }
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text === "" ? undefined : text;
  }
}

function queryString(query: Request["query"]): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined) params.set(name, String(value));
  }
  const encoded = params.toString();
  return encoded === "" ? "" : `?${encoded}`;
}

/** Refuses a key of the wrong kind early, since the server could only say "unauthenticated". */
export function requireKey(key: string, prefix: "pk_" | "bk_", kind: string): string {
  if (typeof key !== "string" || !key.startsWith(prefix)) {
    throw new TypeError(`Biocore: a ${kind} key begins with "${prefix}"`);
  }
  return key;
}
