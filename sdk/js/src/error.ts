/**
 * What every method of this SDK throws, whether the server refused, the
 * browser did, or the network failed. Branch on `reason`: it is stable API.
 * `message` is English prose for developers and may change.
 */
export class BiocoreError extends Error {
  override readonly name = "BiocoreError";

  /** The class of failure, as the server spells it: `not_found`, `invalid_argument`, `unavailable` … */
  readonly code: string;

  /**
   * Why, in UPPER_SNAKE. From the server: an entry of its error catalogue, such
   * as `CREDENTIAL_REVOKED`. From this SDK: one of {@link ClientReason}.
   * `UNKNOWN` when an answer carried none (a proxy's error page, say).
   */
  readonly reason: string;

  /** The HTTP status; 0 when there was no answer. */
  readonly status: number;

  /** The server's id for the request, to quote to an operator; empty when unknown. */
  readonly requestId: string;

  /** Seconds to wait before another try; undefined when the server named none. */
  readonly retryAfter: number | undefined;

  /** Facts beside the reason; the catalogue says which. */
  readonly metadata: Readonly<Record<string, string>>;

  constructor(init: BiocoreErrorInit) {
    super(init.message, init.cause === undefined ? undefined : { cause: init.cause });
    this.code = init.code;
    this.reason = init.reason;
    this.status = init.status ?? 0;
    this.requestId = init.requestId ?? "";
    this.retryAfter = init.retryAfter;
    this.metadata = init.metadata ?? {};
  }
}

/** What {@link BiocoreError} is made of. */
export interface BiocoreErrorInit {
  code: string;
  reason: string;
  message: string;
  status?: number;
  requestId?: string;
  retryAfter?: number | undefined;
  metadata?: Readonly<Record<string, string>>;
  cause?: unknown;
}

/**
 * Reasons that never come from the server.
 *
 * - `ABORTED`: the caller's signal, or a newer ceremony, ended this one.
 * - `USER_CANCELLED`: the person closed the prompt, it timed out, or no passkey
 *   fitted. Browsers tell these apart on purpose from nothing (WebAuthn L3
 *   #sctn-assertion-privacy), so neither can a page.
 * - `CREDENTIAL_EXISTS`: this authenticator already holds a passkey of the user.
 * - `RP_ID_MISMATCH`: the page's origin may not use the tenant's RP ID.
 * - `WEBAUTHN_UNSUPPORTED`: no WebAuthn here, or not this kind of request.
 * - `WEBAUTHN_FAILED`: the browser failed in another way; see `cause`.
 * - `NETWORK`: no answer. `TIMEOUT`: none in time.
 * - `RESPONSE_MALFORMED`: an answer that is not Biocore's.
 */
export type ClientReason =
  | "ABORTED"
  | "USER_CANCELLED"
  | "CREDENTIAL_EXISTS"
  | "RP_ID_MISMATCH"
  | "WEBAUTHN_UNSUPPORTED"
  | "WEBAUTHN_FAILED"
  | "NETWORK"
  | "TIMEOUT"
  | "RESPONSE_MALFORMED";

/** Makes an error whose reason is one of ours, so that the compiler checks the spelling. */
export function clientError(code: string, reason: ClientReason, message: string, cause?: unknown): BiocoreError {
  return new BiocoreError({ code, reason, message, cause });
}

/** Makes an error of a REST answer that is not 200. */
export function errorFromAnswer(status: number, headers: Headers, body: unknown): BiocoreError {
  const answer = isRecord(body) ? body : {};
  const info = errorInfo(answer["details"]);
  return new BiocoreError({
    code: typeof answer["code"] === "string" ? answer["code"] : codeOfStatus(status),
    reason: info.reason,
    message: typeof answer["message"] === "string" && answer["message"] !== "" ? answer["message"] : `HTTP ${status}`,
    status,
    requestId: headers.get("x-request-id") ?? "",
    retryAfter: retryAfterSeconds(headers.get("retry-after")),
    metadata: info.metadata,
  });
}

function errorInfo(details: unknown): { reason: string; metadata: Record<string, string> } {
  for (const detail of Array.isArray(details) ? details : []) {
    if (isRecord(detail) && typeof detail["reason"] === "string" && detail["reason"] !== "") {
      const metadata: Record<string, string> = {};
      for (const [key, value] of Object.entries(isRecord(detail["metadata"]) ? detail["metadata"] : {})) {
        metadata[key] = String(value);
      }
      return { reason: detail["reason"], metadata };
    }
  }
  return { reason: "UNKNOWN", metadata: {} };
}

/** Retry-After in seconds; its other form is a date (RFC 9110 §10.2.3). */
function retryAfterSeconds(header: string | null): number | undefined {
  if (header === null) return undefined;
  if (/^\d+$/.test(header)) return Number(header);
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, Math.ceil((at - Date.now()) / 1000));
}

/** For answers that did not come from Biocore itself: a load balancer's 503 has no body of ours. */
function codeOfStatus(status: number): string {
  switch (status) {
    case 400: return "invalid_argument";
    case 401: return "unauthenticated";
    case 403: return "permission_denied";
    case 404: return "not_found";
    case 409: return "aborted";
    case 413:
    case 429: return "resource_exhausted";
    case 499: return "canceled";
    case 501: return "unimplemented";
    case 503: return "unavailable";
    case 504: return "deadline_exceeded";
    default: return status >= 500 ? "internal" : "unknown";
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
