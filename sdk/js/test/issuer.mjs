// A tenant that signs tokens and publishes keys, for the tests of the verifier. Signatures are node:crypto's: the
// verifier's are WebCrypto's.
import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import { createVerifier } from "../dist/verifier.js";

export const issuer = "https://auth.example.com/t/acme";
export const audience = "example.com";
export const tenantId = "0193a7d2-5b1e-7000-8000-00000000acme";

export const b64 = (text) => Buffer.from(text).toString("base64url");

export function newKey(kid, alg = "ES256") {
  const [type, options] = {
    ES256: ["ec", { namedCurve: "P-256" }],
    EdDSA: ["ed25519", {}],
    RS256: ["rsa", { modulusLength: 2048 }],
  }[alg];
  const { publicKey, privateKey } = generateKeyPairSync(type, options);
  const signature = (input) => sign(alg === "EdDSA" ? null : "sha256", Buffer.from(input), { key: privateKey, dsaEncoding: "ieee-p1363" });
  const header = JSON.stringify({ alg, kid, typ: "at+jwt" });
  const signAs = (header, payload) => {
    const input = `${b64(header)}.${b64(payload)}`;
    return `${input}.${b64(signature(input))}`;
  };
  return {
    kid,
    header,
    jwk: { ...publicKey.export({ format: "jwk" }), kid, alg, use: "sig" },
    privateJwk: { ...privateKey.export({ format: "jwk" }), kid, alg, use: "sig" },
    signAs,
    sign: (claims) => signAs(header, JSON.stringify(claims)),
  };
}

export const hmac = (secret, header, payload) => {
  const input = `${b64(header)}.${payload}`;
  return `${input}.${createHmac("sha256", secret).update(input).digest("base64url")}`;
};

/** The claims of a token issued at ms since 1970. */
export function claimsAt(ms) {
  const at = Math.floor(ms / 1000);
  return {
    iss: issuer, sub: "user-1", aud: audience, sid: "session-1", tid: tenantId, amr: ["pop", "user", "mfa"], acr: "aal2",
    auth_time: at - 60, jti: "token-1", iat: at, exp: at + 600,
  };
}

/** A clock that stands until somebody moves it, and a place where keys are published. */
export class World {
  ms = Date.UTC(2030, 0, 2, 3, 4, 5);
  keys = [];
  body = undefined;
  status = 200;
  headers = { "cache-control": "public, max-age=300" };
  requests = [];
  /** While set, answers wait for it. */
  gate = undefined;
  hangs = false;

  constructor(...keys) {
    this.keys = keys;
  }

  pass(seconds) {
    this.ms += seconds * 1000;
  }

  fetch = async (url, init) => {
    this.requests.push({ url, ...init });
    const { status, headers } = this;
    const text = this.body ?? JSON.stringify({ keys: this.keys.map((k) => k.jwk) });
    if (this.hangs) await new Promise((_, reject) => init.signal.addEventListener("abort", () => reject(init.signal.reason)));
    await this.gate;
    return new Response(text, { status, headers });
  };

  verifier(more = {}) {
    return createVerifier({ issuer, audience, fetch: this.fetch, now: () => this.ms, ...more });
  }

  issue(key, change = {}) {
    return key.sign({ ...claimsAt(this.ms), ...change });
  }
}

/** Lets every promise that can go on do so: WebCrypto answers from other threads. */
export async function settle() {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
}
