import { clientError } from "./error.js";
import type {
  AllAcceptedCredentials,
  AuthenticationResult,
  CreationExtensions,
  CurrentUserDetails,
  ExtensionResults,
  RegistrationResult,
  RequestExtensions,
  Signals,
} from "./resource.js";
import { requireKey, Transport, type TransportOptions } from "./transport.js";
import {
  createCredential,
  extensionResults,
  getCredential,
  publicKeyCredential,
  withoutSecrets,
  type PublicKeyCredentialStatics,
} from "./webauthn.js";

/** What the browser's extensions answered, beside what the server did. It stays in the page. */
export interface WithExtensionResults {
  clientExtensionResults: ExtensionResults;
}

/** How to reach Biocore from a page. */
export interface BiocoreOptions extends TransportOptions {
  /** Begins with `pk_`. It is no secret: the page's origin must be one of the tenant's. */
  publishableKey: string;
}

/** What {@link Biocore.register} takes. */
export interface RegisterOptions {
  /** Made by your server with its secret key; lets this browser enroll exactly that user, once. */
  registrationToken: string;
  /** What the person calls this passkey. */
  nickname?: string;
  /**
   * `conditional` lets a password manager add a passkey silently after a
   * password sign-in (WebAuthn L3 #dom-credentialcreationoptions-mediation).
   */
  mediation?: "conditional";
  /** What the page asks of extensions, PRF for example. */
  extensions?: CreationExtensions;
  signal?: AbortSignal;
}

/** What {@link Biocore.signIn} takes; all of it may be absent. */
export interface SignInOptions {
  /** Names the user first. Leave both out for a discoverable credential, which is what passkeys are. */
  externalId?: string;
  userId?: string;
  /**
   * `conditional` offers passkeys in the autofill of an input whose
   * `autocomplete` ends in `webauthn`, and waits there until one is picked.
   */
  mediation?: "conditional";
  userVerification?: "required" | "preferred" | "discouraged";
  purpose?: string;
  /** From an earlier answer with the decision `STEP_UP`. */
  stepUpToken?: string;
  /** What the page asks of extensions, PRF for example. */
  extensions?: RequestExtensions;
  signal?: AbortSignal;
}

interface BegunRegistration {
  registrationId: string;
  options: unknown;
  expiresAt: string;
}

interface BegunAuthentication {
  authenticationId: string;
  options: unknown;
  expiresAt: string;
}

/** A waiting request is begun anew this long before its challenge expires. */
const renewalMarginMs = 15_000;

/**
 * Bounds the wait, because expiresAt is the server's clock and the timer ours:
 * a clock that is ahead must not make the page call begin in a loop, and one
 * that is behind must not keep a challenge that is long dead.
 */
const minWaitMs = 30_000;
const maxWaitMs = 300_000;

/** The ceremony that holds the browser's one WebAuthn slot. */
interface Ceremony {
  controller: AbortController;
  released: Promise<void>;
}

/**
 * Passkeys in the browser. Make one per page and share it: a browser runs one
 * WebAuthn request at a time, and the instance is what lets a click on "Sign in"
 * take over from the autofill request that waits in the background.
 *
 * Every method throws {@link BiocoreError}.
 */
export class Biocore {
  readonly #transport: Transport;
  #current: Ceremony | undefined;

  constructor(options: BiocoreOptions) {
    this.#transport = new Transport(options, requireKey(options.publishableKey, "pk_", "publishable"));
  }

  /** Whether this browser has WebAuthn at all, which it has only on secure pages. */
  static isSupported(): boolean {
    return publicKeyCredential() !== undefined;
  }

  /** Whether `signIn({mediation: "conditional"})` can work here. Never throws. */
  async isConditionalAvailable(): Promise<boolean> {
    try {
      return (await publicKeyCredential()?.isConditionalMediationAvailable?.()) === true;
    } catch {
      return false;
    }
  }

  /**
   * Makes a passkey for the user of a registration token. A prompt that the
   * person closes (`USER_CANCELLED`) does not burn the token.
   */
  async register(options: RegisterOptions): Promise<RegistrationResult & WithExtensionResults> {
    return this.#run(options.signal, async (signal) => {
      const begun = await this.#transport.send<BegunRegistration>({
        method: "POST",
        path: "/v1/registrations:begin",
        body: {
          registrationToken: options.registrationToken,
          ...(options.mediation === "conditional" ? { conditional: true } : {}),
          ...(options.extensions === undefined ? {} : { extensions: options.extensions }),
        },
        signal,
      });
      const credential = await createCredential(begun.options, signal, options.mediation);
      // The passkey exists now: finish even if a newer ceremony wants the slot.
      const result = await this.#transport.send<RegistrationResult>({
        method: "POST",
        path: "/v1/registrations:finish",
        body: {
          registrationId: begun.registrationId,
          credential: withoutSecrets(credential),
          ...(options.nickname === undefined ? {} : { nickname: options.nickname }),
        },
      });
      return { ...result, clientExtensionResults: extensionResults(credential) };
    });
  }

  /**
   * Signs a user in by passkey. Resolves for each decision; only `ALLOW` is a
   * sign-in, and its `code` is for your server to exchange.
   *
   * With `mediation: "conditional"` it stays pending until a passkey is picked
   * from autofill, renewing its challenge as it ages, and rejects with `ABORTED`
   * when the signal fires or another ceremony of this instance begins.
   */
  async signIn(options: SignInOptions = {}): Promise<AuthenticationResult & WithExtensionResults> {
    return this.#run(options.signal, async (signal) => {
      for (;;) {
        const begun = await this.#transport.send<BegunAuthentication>({
          method: "POST",
          path: "/v1/authentications:begin",
          body: beginBody(options),
          signal,
        });
        const credential =
          options.mediation === "conditional"
            ? await waitForCredential(begun, signal)
            : await getCredential(begun.options, signal);
        if (credential === undefined) continue;
        const result = await this.#transport.send<AuthenticationResult>({
          method: "POST",
          path: "/v1/authentications:finish",
          body: { authenticationId: begun.authenticationId, credential: withoutSecrets(credential) },
        });
        return { ...result, clientExtensionResults: extensionResults(credential) };
      }
    });
  }

  /**
   * Tells the authenticator that the server does not know a credential any
   * more, so that it is no longer offered (WebAuthn L3 #sctn-signalUnknownCredential).
   * Resolves to whether this browser has the Signal API; nothing is learnt of the outcome.
   */
  async signalUnknownCredential(options: { rpId: string; credentialId: string }): Promise<boolean> {
    return signal("signalUnknownCredential", options);
  }

  /**
   * Tells the authenticator which of a user's credentials still work, so that
   * it hides the others. Call it only with the server's whole list.
   */
  async signalAllAcceptedCredentials(options: AllAcceptedCredentials): Promise<boolean> {
    return signal("signalAllAcceptedCredentials", options);
  }

  /**
   * Brings the authenticators up to date with what your server read of a user
   * (`GET /v1/users/{userId}/signals`): which credentials work, and the current names.
   * Resolves to whether this browser has both methods.
   */
  async signals(options: Signals): Promise<boolean> {
    const [accepted, details] = await Promise.all([
      this.signalAllAcceptedCredentials(options.allAcceptedCredentials),
      this.signalCurrentUserDetails(options.currentUserDetails),
    ]);
    return accepted && details;
  }

  /** Tells the authenticator a user's current names, to show in its picker. */
  async signalCurrentUserDetails(options: CurrentUserDetails): Promise<boolean> {
    return signal("signalCurrentUserDetails", options);
  }

  /**
   * Runs a ceremony in the browser's one slot. The one before is aborted and
   * waited for: Chromium answers "A request is already pending" to a get() that
   * comes before the aborted one has settled.
   */
  async #run<Result>(outer: AbortSignal | undefined, ceremony: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    const previous = this.#current;
    const controller = new AbortController();
    let release: () => void = () => undefined;
    const current: Ceremony = { controller, released: new Promise((resolve) => (release = resolve)) };
    this.#current = current;
    const abort = (): void => controller.abort();
    outer?.addEventListener("abort", abort, { once: true });
    if (outer?.aborted === true) abort();
    try {
      previous?.controller.abort();
      await previous?.released;
      if (controller.signal.aborted) throw clientError("canceled", "ABORTED", "the ceremony was aborted");
      return await ceremony(controller.signal);
    } finally {
      outer?.removeEventListener("abort", abort);
      if (this.#current === current) this.#current = undefined;
      release();
    }
  }
}

function beginBody(options: SignInOptions): Record<string, unknown> {
  const body: Record<string, unknown> = {};
  for (const name of ["externalId", "userId", "userVerification", "purpose", "stepUpToken"] as const) {
    const value = options[name];
    if (value !== undefined) body[name] = value;
  }
  if (options.extensions !== undefined) body["extensions"] = options.extensions;
  return body;
}

/**
 * Waits for a pick from autofill. Resolves to undefined when the challenge grew
 * old first: the caller begins again, and the person notices nothing.
 */
async function waitForCredential(begun: BegunAuthentication, signal: AbortSignal): Promise<Record<string, unknown> | undefined> {
  const attempt = new AbortController();
  const abort = (): void => attempt.abort();
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  let aged = false;
  const timer = setTimeout(() => {
    aged = true;
    abort();
  }, waitMs(begun.expiresAt));
  try {
    return await getCredential(begun.options, attempt.signal, "conditional");
  } catch (error) {
    if (aged && !signal.aborted) return undefined;
    throw error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }
}

function waitMs(expiresAt: string): number {
  const left = Date.parse(expiresAt) - Date.now() - renewalMarginMs;
  return Number.isNaN(left) ? minWaitMs : Math.min(Math.max(left, minWaitMs), maxWaitMs);
}

async function signal<Name extends "signalUnknownCredential" | "signalAllAcceptedCredentials" | "signalCurrentUserDetails">(
  name: Name,
  options: Parameters<NonNullable<PublicKeyCredentialStatics[Name]>>[0],
): Promise<boolean> {
  const statics = publicKeyCredential();
  const method = statics?.[name] as ((options: unknown) => Promise<void>) | undefined;
  if (method === undefined) return false;
  try {
    await method.call(statics, options);
  } catch (error) {
    throw clientError("invalid_argument", "WEBAUTHN_FAILED", `${name} was refused`, error);
  }
  return true;
}
