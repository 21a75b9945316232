/**
 * Why a request was refused: for logs and tests. Whoever sent the token learns no
 * more than that it is not good, or that it has expired.
 *
 * - `TOKEN_MISSING`, `TOKEN_TWICE`: none, or more than one, in the request.
 * - `TOKEN_MALFORMED`, `TOKEN_UNDECRYPTABLE`, `TOKEN_KEY_UNKNOWN`, `TOKEN_SIGNATURE`,
 *   `TOKEN_ISSUER`, `TOKEN_TENANT`, `TOKEN_AUDIENCE`, `TOKEN_EXPIRED`,
 *   `TOKEN_NOT_YET`, `SESSION_ENDED`: the token is not valid.
 * - `STEP_UP`: the token is good, and the sign-in behind it too weak or too long ago.
 * - `UNAVAILABLE`: nobody can say now. A 401 would sign everybody out.
 */
export type TokenReason =
  | "TOKEN_MISSING"
  | "TOKEN_TWICE"
  | "TOKEN_MALFORMED"
  | "TOKEN_UNDECRYPTABLE"
  | "TOKEN_KEY_UNKNOWN"
  | "TOKEN_SIGNATURE"
  | "TOKEN_ISSUER"
  | "TOKEN_TENANT"
  | "TOKEN_AUDIENCE"
  | "TOKEN_EXPIRED"
  | "TOKEN_NOT_YET"
  | "SESSION_ENDED"
  | "STEP_UP"
  | "UNAVAILABLE";

/** What a verifier throws. Branch on `reason` or `status`. */
export class TokenError extends Error {
  override readonly name = "TokenError";
  readonly reason: TokenReason;
  /** What to answer: 401, 400 for two tokens, 503 when nobody can say now. */
  readonly status: 400 | 401 | 503;
  /** What belongs to the answer: `WWW-Authenticate` (RFC 6750 §3, RFC 9470 §3) or `Retry-After`. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(reason: TokenReason, message: string, cause?: unknown, challenge?: string) {
    super(`Biocore: the token is not accepted: ${message}`, cause === undefined ? undefined : { cause });
    this.reason = reason;
    this.status = reason === "UNAVAILABLE" ? 503 : reason === "TOKEN_TWICE" ? 400 : 401;
    this.headers = reason === "UNAVAILABLE" ? { "Retry-After": "1" } : { "WWW-Authenticate": challenge ?? challengeOf(reason) };
  }

  static missing(): TokenError {
    return new TokenError("TOKEN_MISSING", "there is none", undefined, "Bearer"); // no error code for who did not know
  }

  static twice(): TokenError {
    return new TokenError("TOKEN_TWICE", "there are two", undefined, 'Bearer error="invalid_request"');
  }

  /** Says what a sign-in must be for the request to be good (RFC 9470 §3). */
  static stepUp(minAal: number, maxAgeSeconds: number | undefined): TokenError {
    let challenge = 'Bearer error="insufficient_user_authentication"';
    const levels = minAal > 0 ? [1, 2, 3].filter((aal) => aal >= minAal) : [];
    if (levels.length > 0) challenge += `, acr_values="${levels.map((aal) => `aal${aal}`).join(" ")}"`;
    if (maxAgeSeconds !== undefined) challenge += `, max_age="${Math.floor(maxAgeSeconds)}"`;
    return new TokenError("STEP_UP", "the user must sign in again", undefined, challenge);
  }

  /** The refusal, for the Fetch API. */
  toResponse(): Response {
    return new Response(null, { status: this.status, headers: this.headers });
  }
}

function challengeOf(reason: TokenReason): string {
  return reason === "TOKEN_EXPIRED" ? 'Bearer error="invalid_token", error_description="The access token expired"' : 'Bearer error="invalid_token"';
}
