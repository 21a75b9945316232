import { TokenError } from "./tokenerror.js";

/** A token taken apart, and not yet believed. */
export interface Jws {
  alg: unknown;
  kid: string;
  /** What was signed. */
  input: string;
  payload: Uint8Array<ArrayBuffer>;
  signature: Uint8Array<ArrayBuffer>;
}

/** A key of the tenant, with the one algorithm that it is for. */
export interface PublicKey {
  alg: Algorithm;
  key: CryptoKey;
}

/** Signature algorithms (RFC 7518 §3.1, RFC 8037 §3.1). What is not here cannot be asked for by a token, nor by a key. */
export type Algorithm = "ES256" | "EdDSA" | "RS256";

const verifying: Record<Algorithm, EcdsaParams | AlgorithmIdentifier> = {
  ES256: { name: "ECDSA", hash: "SHA-256" },
  EdDSA: { name: "Ed25519" },
  RS256: { name: "RSASSA-PKCS1-v1_5" },
};

/**
 * Takes a JWS in compact form apart (RFC 7515 §7.1). Its header has alg, kid and
 * typ and no more: so there is no key in it to trust (jwk, x5c) or to fetch (jku,
 * x5u), and no extension that one would have to understand (crit, b64).
 */
export function parseJws(token: string): Jws {
  const parts = token.split(".");
  const [header = "", payload = "", signature = ""] = parts;
  if (parts.length !== 3) throw new TokenError("TOKEN_MALFORMED", "not of three parts");
  const { alg, kid, typ } = parseHeader(header, ["alg", "kid", "typ"]);
  // Keeps receipts and other JWTs under the same keys from passing for an access token (RFC 8725 §3.11).
  if (typ !== "at+jwt") throw new TokenError("TOKEN_MALFORMED", "typ is not at+jwt");
  if (typeof kid !== "string" || kid === "") throw new TokenError("TOKEN_MALFORMED", "no kid");
  return { alg, kid, input: `${header}.${payload}`, payload: decode(payload), signature: decode(signature) };
}

/**
 * Checks the signature. The algorithm is the key's; the token's word for it must
 * agree, and decides nothing (RFC 8725 §3.1).
 */
export async function verifySignature(key: PublicKey, jws: Jws): Promise<void> {
  const input = new TextEncoder().encode(jws.input);
  const good = jws.alg === key.alg && (await crypto.subtle.verify(verifying[key.alg], key.key, jws.signature, input));
  if (!good) throw new TokenError("TOKEN_SIGNATURE", "the signature does not verify");
}

/**
 * Reads a header of members that are allowed. It must be spelled as JSON.stringify
 * or Go spells it: then no member is there twice, and two readers find one meaning
 * (RFC 7515 §4, RFC 8725 §2.4).
 */
export function parseHeader(segment: string, allowed: readonly string[]): Record<string, unknown> {
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(decode(segment));
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch {
    throw new TokenError("TOKEN_MALFORMED", "the header is no JSON");
  }
  if (typeof header !== "object" || header === null || Array.isArray(header) || ![text, unescapeHtml(text)].includes(JSON.stringify(header))) {
    throw new TokenError("TOKEN_MALFORMED", "the header is no object, or not in its one spelling");
  }
  const stranger = Object.keys(header).find((name) => !allowed.includes(name));
  if (stranger !== undefined) throw new TokenError("TOKEN_MALFORMED", `the header has ${JSON.stringify(stranger.slice(0, 40))}`);
  return header as Record<string, unknown>;
}

/** Go, which writes the tokens, spells three characters in JSON so that HTML may hold it; a kid may have them. */
function unescapeHtml(json: string): string {
  return json.replaceAll("\\u003c", "<").replaceAll("\\u003e", ">").replaceAll("\\u0026", "&");
}

/** base64url in its one spelling: no padding, no other alphabet, no stray bits in the last character. */
export function decode(text: string): Uint8Array<ArrayBuffer> {
  if (/^[A-Za-z0-9_-]*$/.test(text) && text.length % 4 !== 1) {
    const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    if (btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "") === text) {
      return Uint8Array.from(binary, (char) => char.charCodeAt(0));
    }
  }
  throw new TokenError("TOKEN_MALFORMED", "not base64url");
}
