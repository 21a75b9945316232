import type {
  Credential,
  CredentialPage,
  ExchangeResult,
  Session,
  SessionPage,
  Signals,
  User,
  UserInit,
  UserPage,
} from "./resource.js";
import { requireKey, Transport, type CallOptions, type TransportOptions } from "./transport.js";

/** How to reach Biocore from a server. */
export interface BiocoreServerOptions extends TransportOptions {
  /** Begins with `bk_`. It is a secret: read it from the environment, keep it from pages and logs. */
  secretKey: string;
}

/** Which page of a list. */
export interface ListOptions extends CallOptions {
  /** 50 when absent, at most 200. */
  pageSize?: number;
  pageToken?: string;
  /** AIP-160 subset: `field (=|!=|<|<=|>|>=) literal`, joined by AND. */
  filter?: string;
}

/** Guards an update against one in between. */
export interface UpdateOptions extends CallOptions {
  /** The etag of what was read. */
  ifMatch?: string;
}

/** Goes into the audit log: up to 256 characters. */
export interface Why {
  reason: string;
}

/** What a verified access token says; a bad token is `active: false`, not an error. */
export interface VerifyResult {
  active: boolean;
  claims?: AccessTokenClaims;
}

/** The claims of an access token (RFC 7519, RFC 8176). */
export interface AccessTokenClaims {
  iss: string;
  /** The user's id. */
  sub: string;
  aud: string | string[];
  /** The session's id. */
  sid: string;
  /** The tenant's id. */
  tid: string;
  amr: string[];
  acr: string;
  auth_time: number;
  jti: string;
  iat: number;
  exp: number;
  [claim: string]: unknown;
}

/**
 * Biocore from your server (Node 20, Deno, Bun, workers), with the secret key.
 * Safe to share; keeps no state. Every method throws {@link BiocoreError}.
 */
export class BiocoreServer {
  readonly users: Users;
  readonly credentials: Credentials;
  readonly registrationTokens: RegistrationTokens;
  readonly authentications: Authentications;
  readonly sessions: Sessions;

  constructor(options: BiocoreServerOptions) {
    if (typeof document !== "undefined") {
      throw new TypeError("Biocore: a secret key has no place in a browser; use Biocore with a publishable key");
    }
    const transport = new Transport(options, requireKey(options.secretKey, "bk_", "secret"));
    this.users = new Users(transport);
    this.credentials = new Credentials(transport);
    this.registrationTokens = new RegistrationTokens(transport);
    this.authentications = new Authentications(transport);
    this.sessions = new Sessions(transport);
  }
}

class Users {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  create(user: UserInit, options: CallOptions = {}): Promise<User> {
    return this.#transport.send({ method: "POST", path: "/v1/users", body: user, ...options });
  }

  get(userId: string, options: CallOptions = {}): Promise<User> {
    return this.#transport.send({ method: "GET", path: `/v1/users/${segment(userId)}`, ...options });
  }

  /** Finds a user by your own id for them. */
  lookup(externalId: string, options: CallOptions = {}): Promise<User> {
    return this.#transport.send({ method: "GET", path: "/v1/users:lookup", query: { externalId }, ...options });
  }

  list(options: ListOptions = {}): Promise<UserPage> {
    return this.#transport.send({ method: "GET", path: "/v1/users", ...list(options) });
  }

  /** Changes the fields that are present. */
  update(userId: string, change: Partial<UserInit>, options: UpdateOptions = {}): Promise<User> {
    return this.#transport.send({ method: "PATCH", path: `/v1/users/${segment(userId)}`, body: change, ...options });
  }

  /** Erases the user, for good, with everything personal about them. */
  async delete(userId: string, options: CallOptions = {}): Promise<void> {
    await this.#transport.send({ method: "DELETE", path: `/v1/users/${segment(userId)}`, ...options });
  }

  /** Refuses sign-ins and ends the open sessions. */
  block(userId: string, why: Why, options: CallOptions = {}): Promise<User> {
    return this.#act(`/v1/users/${segment(userId)}:block`, why, options);
  }

  unblock(userId: string, why: Why, options: CallOptions = {}): Promise<User> {
    return this.#act(`/v1/users/${segment(userId)}:unblock`, why, options);
  }

  credentials(userId: string, options: ListOptions = {}): Promise<CredentialPage> {
    return this.#transport.send({ method: "GET", path: `/v1/users/${segment(userId)}/credentials`, ...list(options) });
  }

  sessions(userId: string, options: ListOptions = {}): Promise<SessionPage> {
    return this.#transport.send({ method: "GET", path: `/v1/users/${segment(userId)}/sessions`, ...list(options) });
  }

  /** What to pass to the browser's Signal API after this user signed in. */
  signals(userId: string, options: CallOptions = {}): Promise<Signals> {
    return this.#transport.send({ method: "GET", path: `/v1/users/${segment(userId)}/signals`, ...options });
  }

  /** Signs the user out everywhere; answers how many sessions that ended. */
  async revokeSessions(userId: string, why: Why, options: CallOptions = {}): Promise<number> {
    const answer = await this.#transport.send<{ revokedCount: number }>({
      method: "POST",
      path: `/v1/users/${segment(userId)}/sessions:revoke`,
      body: why,
      ...options,
    });
    return answer.revokedCount;
  }

  async #act(path: string, why: Why, options: CallOptions): Promise<User> {
    const answer = await this.#transport.send<{ user: User }>({ method: "POST", path, body: why, ...options });
    return answer.user;
  }
}

class Credentials {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  get(credentialId: string, options: CallOptions = {}): Promise<Credential> {
    return this.#transport.send({ method: "GET", path: `/v1/credentials/${segment(credentialId)}`, ...options });
  }

  rename(credentialId: string, nickname: string, options: UpdateOptions = {}): Promise<Credential> {
    return this.#transport.send({ method: "PATCH", path: `/v1/credentials/${segment(credentialId)}`, body: { nickname }, ...options });
  }

  /**
   * Ends a credential for good, and the sessions it opened. The user's last one
   * is `LAST_CREDENTIAL` unless `allowLast`. Afterwards the page should call
   * `signalUnknownCredential`.
   */
  revoke(credentialId: string, why: Why & { allowLast?: boolean }, options: CallOptions = {}): Promise<Credential> {
    return this.#act(`/v1/credentials/${segment(credentialId)}:revoke`, why, options);
  }

  /** Refuses the credential until it is resumed. */
  suspend(credentialId: string, why: Why, options: CallOptions = {}): Promise<Credential> {
    return this.#act(`/v1/credentials/${segment(credentialId)}:suspend`, why, options);
  }

  resume(credentialId: string, why: Why, options: CallOptions = {}): Promise<Credential> {
    return this.#act(`/v1/credentials/${segment(credentialId)}:resume`, why, options);
  }

  async #act(path: string, why: Why, options: CallOptions): Promise<Credential> {
    const answer = await this.#transport.send<{ credential: Credential }>({ method: "POST", path, body: why, ...options });
    return answer.credential;
  }
}

class RegistrationTokens {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /**
   * Lets one browser enroll exactly this user, once, within 60 to 86,400
   * seconds (an hour when absent). An `externalId` that exists means that user,
   * so make sure who is asking before you call this.
   */
  create(
    init: ({ userId: string } | { user: UserInit }) & { expiresInSeconds?: number },
    options: CallOptions = {},
  ): Promise<{ token: string; expiresAt: string }> {
    return this.#transport.send({ method: "POST", path: "/v1/registrationTokens", body: init, ...options });
  }
}

class Authentications {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Turns the code of a browser's sign-in into the session it stands for; works once, within 60 s. */
  exchange(code: string, options: Omit<CallOptions, "idempotencyKey"> = {}): Promise<ExchangeResult> {
    return this.#transport.send({ method: "POST", path: "/v1/authentications:exchange", body: { code }, ...options });
  }
}

class Sessions {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Asks whether a token's session still stands; a check by JWKS alone cannot see a revocation. */
  verify(accessToken: string, options: Omit<CallOptions, "idempotencyKey"> = {}): Promise<VerifyResult> {
    return this.#transport.send({ method: "POST", path: "/v1/sessions:verify", body: { accessToken }, ...options });
  }

  /** Rotates: the old refresh token is dead, and using it again revokes the whole session. */
  async refresh(refreshToken: string, options: Omit<CallOptions, "idempotencyKey"> = {}): Promise<Session> {
    const answer = await this.#transport.send<{ session: Session }>({
      method: "POST",
      path: "/v1/sessions:refresh",
      body: { refreshToken },
      ...options,
    });
    return answer.session;
  }

  /** Ends one session. Access tokens checked by JWKS alone live on until they expire. */
  async revoke(sessionId: string, why: Why, options: CallOptions = {}): Promise<Session> {
    const answer = await this.#transport.send<{ session: Session }>({
      method: "POST",
      path: `/v1/sessions/${segment(sessionId)}:revoke`,
      body: why,
      ...options,
    });
    return answer.session;
  }
}

export type { Authentications, Credentials, RegistrationTokens, Sessions, Users };

/** One path segment: an id with a slash in it must not reach another resource. */
function segment(id: string): string {
  if (id === "") throw new TypeError("Biocore: an id is empty");
  return encodeURIComponent(id);
}

function list(options: ListOptions): CallOptions & { query: Record<string, string | number | undefined> } {
  const { pageSize, pageToken, filter, ...rest } = options;
  return { query: { pageSize, pageToken, filter }, ...rest };
}
