import { BiocoreError, clientError, isRecord } from "./error.js";

// The browser's side of a ceremony: options out of JSON, a credential into JSON
// (WebAuthn L3 #sctn-parseCreationOptionsFromJSON and #sctn-public-key-credential-json).
// Browsers have done both themselves since 2024–25; the fallbacks below serve the
// older ones, and password managers that answer with an object of their own whose
// toJSON is missing or throws.

/** The static side of PublicKeyCredential, where every member may be missing. */
export interface PublicKeyCredentialStatics {
  parseCreationOptionsFromJSON?(options: unknown): PublicKeyCredentialCreationOptions;
  parseRequestOptionsFromJSON?(options: unknown): PublicKeyCredentialRequestOptions;
  isConditionalMediationAvailable?(): Promise<boolean>;
  signalUnknownCredential?(options: { rpId: string; credentialId: string }): Promise<void>;
  signalAllAcceptedCredentials?(options: { rpId: string; userId: string; allAcceptedCredentialIds: string[] }): Promise<void>;
  signalCurrentUserDetails?(options: { rpId: string; userId: string; name: string; displayName: string }): Promise<void>;
}

/** PublicKeyCredential's static side, or undefined where there is no WebAuthn. */
export function publicKeyCredential(): PublicKeyCredentialStatics | undefined {
  return (globalThis as { PublicKeyCredential?: PublicKeyCredentialStatics }).PublicKeyCredential;
}

type JSONObject = Record<string, unknown>;

/** Runs the registration half in the browser and returns the credential as JSON. */
export async function createCredential(options: unknown, signal: AbortSignal, mediation?: "conditional"): Promise<JSONObject> {
  const init = { publicKey: parseCreationOptions(options), signal } as CredentialCreationOptions & { mediation?: string };
  if (mediation !== undefined) init.mediation = mediation;
  try {
    return registrationJSON(await container().create(init));
  } catch (error) {
    throw explain(error, signal, "create");
  }
}

/** Runs the authentication half in the browser and returns the credential as JSON. */
export async function getCredential(options: unknown, signal: AbortSignal, mediation?: "conditional"): Promise<JSONObject> {
  const init: CredentialRequestOptions = { publicKey: parseRequestOptions(options), signal };
  if (mediation !== undefined) init.mediation = mediation;
  try {
    return authenticationJSON(await container().get(init));
  } catch (error) {
    throw explain(error, signal, "get");
  }
}

function container(): CredentialsContainer {
  const credentials = (globalThis as { navigator?: Navigator }).navigator?.credentials;
  if (publicKeyCredential() === undefined || credentials === undefined) {
    throw clientError("unimplemented", "WEBAUTHN_UNSUPPORTED", "this browser, or this insecure page, has no WebAuthn");
  }
  return credentials;
}

function parseCreationOptions(options: unknown): PublicKeyCredentialCreationOptions {
  const statics = publicKeyCredential();
  if (statics?.parseCreationOptionsFromJSON !== undefined) return statics.parseCreationOptionsFromJSON(options);
  const json = requireRecord(options, "options");
  const user = requireRecord(json["user"], "options.user");
  return {
    ...json,
    challenge: decode(json["challenge"]),
    user: { ...user, id: decode(user["id"]) },
    excludeCredentials: descriptors(json["excludeCredentials"]),
    ...(json["extensions"] === undefined ? {} : { extensions: decodeExtensions(json["extensions"]) }),
  } as unknown as PublicKeyCredentialCreationOptions;
}

function parseRequestOptions(options: unknown): PublicKeyCredentialRequestOptions {
  const statics = publicKeyCredential();
  if (statics?.parseRequestOptionsFromJSON !== undefined) return statics.parseRequestOptionsFromJSON(options);
  const json = requireRecord(options, "options");
  return {
    ...json,
    challenge: decode(json["challenge"]),
    allowCredentials: descriptors(json["allowCredentials"]),
    ...(json["extensions"] === undefined ? {} : { extensions: decodeExtensions(json["extensions"]) }),
  } as unknown as PublicKeyCredentialRequestOptions;
}

function descriptors(list: unknown): JSONObject[] {
  return (Array.isArray(list) ? list : []).map((item) => {
    const descriptor = requireRecord(item, "credential descriptor");
    return { ...descriptor, id: decode(descriptor["id"]) };
  });
}

function requireRecord(value: unknown, what: string): JSONObject {
  if (!isRecord(value)) throw new TypeError(`${what} is not an object`);
  return value;
}

function registrationJSON(credential: Credential | null): JSONObject {
  return toJSON(credential, (response: AuthenticatorAttestationResponse) => ({
    clientDataJSON: encode(response.clientDataJSON),
    attestationObject: encode(response.attestationObject),
    transports: response.getTransports?.() ?? [],
  }));
}

function authenticationJSON(credential: Credential | null): JSONObject {
  return toJSON(credential, (response: AuthenticatorAssertionResponse) => ({
    clientDataJSON: encode(response.clientDataJSON),
    authenticatorData: encode(response.authenticatorData),
    signature: encode(response.signature),
    // Absent and empty differ: the server refuses an empty user handle.
    ...(response.userHandle === null ? {} : { userHandle: encode(response.userHandle) }),
  }));
}

function toJSON<Response>(credential: Credential | null, response: (response: Response) => JSONObject): JSONObject {
  if (credential === null) throw clientError("canceled", "USER_CANCELLED", "the browser returned no credential");
  try {
    const json: unknown = (credential as unknown as { toJSON(): unknown }).toJSON();
    if (isRecord(json) && isRecord(json["response"])) return json;
  } catch {
    // Not the browser's own object; read it member by member.
  }
  const own = credential as PublicKeyCredential;
  return {
    id: own.id,
    rawId: encode(own.rawId),
    type: own.type,
    response: response(own.response as Response),
    clientExtensionResults: encodeBuffers(own.getClientExtensionResults?.() ?? {}),
    ...(own.authenticatorAttachment ? { authenticatorAttachment: own.authenticatorAttachment } : {}),
  };
}

/**
 * Takes the user's secrets out of a credential that is about to be sent: PRF results
 * and blobs are for the page, and no server needs them.
 */
export function withoutSecrets(credential: JSONObject): JSONObject {
  const results = credential["clientExtensionResults"];
  if (!isRecord(results)) return credential;
  const kept = { ...results };
  for (const [extension, secret] of [["prf", "results"], ["largeBlob", "blob"]] as const) {
    const output = kept[extension];
    if (!isRecord(output)) continue;
    const { [secret]: _, ...rest } = output;
    kept[extension] = rest;
  }
  return { ...credential, clientExtensionResults: kept };
}

/** What the extensions answered. */
export function extensionResults(credential: JSONObject): JSONObject {
  const results = credential["clientExtensionResults"];
  return isRecord(results) ? results : {};
}

/** Extension inputs are JSON but for the buffers in some, which browsers that parse no JSON want as such. */
function decodeExtensions(value: unknown): unknown {
  if (!isRecord(value)) return value;
  const values = (pair: unknown): unknown =>
    isRecord(pair) ? Object.fromEntries(Object.entries(pair).map(([name, text]) => [name, decode(text)])) : pair;
  const out: JSONObject = { ...value };
  const prf = out["prf"];
  if (isRecord(prf)) {
    out["prf"] = {
      ...prf,
      ...(prf["eval"] === undefined ? {} : { eval: values(prf["eval"]) }),
      ...(isRecord(prf["evalByCredential"])
        ? { evalByCredential: Object.fromEntries(Object.entries(prf["evalByCredential"]).map(([id, pair]) => [id, values(pair)])) }
        : {}),
    };
  }
  const blob = out["largeBlob"];
  if (isRecord(blob) && blob["write"] !== undefined) out["largeBlob"] = { ...blob, write: decode(blob["write"]) };
  return out;
}

/** Extension outputs are JSON but for the buffers in some (prf, largeBlob). */
function encodeBuffers(value: unknown): unknown {
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return encode(value);
  if (Array.isArray(value)) return value.map(encodeBuffers);
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, encodeBuffers(member)]));
}

/** Base64url without padding to bytes (RFC 4648 §5). */
function decode(text: unknown): ArrayBuffer {
  if (typeof text !== "string") throw new TypeError("expected a base64url string");
  const binary = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  return Uint8Array.from(binary, (char) => char.charCodeAt(0)).buffer;
}

/** Bytes to base64url without padding. */
function encode(data: ArrayBuffer | ArrayBufferView): string {
  const bytes = ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

/** What a DOMException means depends on the ceremony (WebAuthn L3 #sctn-createCredential, #sctn-getAssertion). */
function explain(error: unknown, signal: AbortSignal, ceremony: "create" | "get"): BiocoreError {
  if (error instanceof BiocoreError) return error;
  // Some browsers reject with the signal's reason, some with NotAllowedError.
  if (signal.aborted) return clientError("canceled", "ABORTED", "the ceremony was aborted", error);
  switch (error instanceof Error ? error.name : "") {
    case "AbortError":
      return clientError("canceled", "ABORTED", "the ceremony was aborted", error);
    case "NotAllowedError":
      return clientError("canceled", "USER_CANCELLED", "the prompt was closed, timed out, or found no passkey", error);
    case "InvalidStateError":
      if (ceremony === "create") {
        return clientError("already_exists", "CREDENTIAL_EXISTS", "this authenticator already holds a passkey of the user", error);
      }
      break;
    case "SecurityError":
      return clientError("failed_precondition", "RP_ID_MISMATCH", "this page's origin may not use the tenant's RP ID", error);
    case "NotSupportedError":
    case "ConstraintError":
      return clientError("unimplemented", "WEBAUTHN_UNSUPPORTED", "no authenticator here can do what was asked", error);
  }
  return clientError("internal", "WEBAUTHN_FAILED", "the browser could not finish the ceremony", error);
}
