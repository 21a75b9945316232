import { decode, parseHeader } from "./jws.js";
import { TokenError } from "./tokenerror.js";

/**
 * The private half of the key that the tenant registered to have its tokens
 * encrypted: a JWK, or a key of WebCrypto (RSA-OAEP with SHA-256, or ECDH on
 * P-256, P-384 or P-521). Without a `kid` it is tried on every token.
 */
export type DecryptionKey = (JsonWebKey & { kid?: string }) | { kid?: string; key: CryptoKey };

export interface ImportedKey {
  kid: string | undefined;
  /** An EC key's curve; undefined of an RSA key. */
  curve: string | undefined;
  key: CryptoKey;
}

const curves = ["P-256", "P-384", "P-521"];

/** Throws a TypeError of a key that cannot decrypt: it says nothing of the key. */
export async function importDecryptionKey(given: DecryptionKey): Promise<ImportedKey> {
  const kid = given.kid;
  if ("key" in given) {
    const algorithm = given.key.algorithm as KeyAlgorithm & { namedCurve?: string; hash?: KeyAlgorithm };
    const ec = algorithm.name === "ECDH" && curves.includes(algorithm.namedCurve ?? "");
    if (given.key.type !== "private" || !(ec || (algorithm.name === "RSA-OAEP" && algorithm.hash?.name === "SHA-256"))) throw unusable();
    return { kid, curve: ec ? algorithm.namedCurve : undefined, key: given.key };
  }
  const { kty, crv = "", d, x, y, n, e, p, q, dp, dq, qi } = given;
  try {
    if (kty === "EC" && curves.includes(crv) && d !== undefined) {
      const jwk = { kty, crv, d, x, y } as JsonWebKey;
      return { kid, curve: crv, key: await crypto.subtle.importKey("jwk", jwk, { name: "ECDH", namedCurve: crv }, false, ["deriveBits"]) };
    }
    if (kty === "RSA" && d !== undefined) {
      const jwk = { kty, n, e, d, p, q, dp, dq, qi } as JsonWebKey;
      const key = await crypto.subtle.importKey("jwk", jwk, { name: "RSA-OAEP", hash: "SHA-256" }, false, ["decrypt"]);
      if ((key.algorithm as RsaKeyAlgorithm).modulusLength >= 2048) return { kid, curve: undefined, key };
    }
  } catch {
    // What is wrong with it may be the key itself.
  }
  throw unusable();
}

function unusable(): TypeError {
  return new TypeError("Biocore: a decryption key is private, and RSA of 2048 bits or more, or EC on P-256, P-384 or P-521");
}

/** Tells a JWE in compact form (RFC 7516 §7.1) from a JWS. */
export function isJwe(token: string): boolean {
  return token.split(".").length === 5;
}

/**
 * Returns the JWS inside a token that was encrypted to one of keys. Everything that
 * goes wrong behind the header is TOKEN_UNDECRYPTABLE, whatever it was.
 */
export async function decrypt(keys: readonly ImportedKey[], token: string): Promise<string> {
  const [protectedHeader = "", ...rest] = token.split(".");
  // zip is not among the members: a few bytes that become gigabytes are refused unread
  // (RFC 8725 §3.6). Nor are p2c and the like.
  const header = parseHeader(protectedHeader, ["alg", "enc", "kid", "typ", "cty", "epk", "apu", "apv"]);
  if (header["cty"] !== "JWT") throw new TokenError("TOKEN_MALFORMED", "no JWT inside");
  const [encryptedKey, iv, ciphertext, tag] = rest.map(decode) as [Bytes, Bytes, Bytes, Bytes];
  if (header["enc"] === "A256GCM" && iv.length === 12 && tag.length === 16) {
    for (const key of keys) {
      if (key.kid !== undefined && header["kid"] !== undefined && key.kid !== header["kid"]) continue;
      try {
        const content = await contentKey(key, header, encryptedKey);
        const aes = { name: "AES-GCM", iv, tagLength: 128, additionalData: new TextEncoder().encode(protectedHeader) };
        return new TextDecoder().decode(await crypto.subtle.decrypt(aes, content, concat(ciphertext, tag)));
      } catch {
        // The next key may be it.
      }
    }
  }
  throw new TokenError("TOKEN_UNDECRYPTABLE", "not encrypted for a key that is here");
}

type Bytes = Uint8Array<ArrayBuffer>;

/** Opens or agrees on the key of the content (RFC 7518 §4.3, §4.6). Throws whatever went wrong. */
async function contentKey(own: ImportedKey, header: Record<string, unknown>, encryptedKey: Bytes): Promise<CryptoKey> {
  const { alg, epk, apu, apv } = header;
  if (own.curve === undefined) {
    if (alg !== "RSA-OAEP-256") throw new Error("alg");
    return gcmKey(await crypto.subtle.decrypt({ name: "RSA-OAEP" }, own.key, encryptedKey));
  }
  if ((alg !== "ECDH-ES" && alg !== "ECDH-ES+A256KW") || typeof epk !== "object" || epk === null) throw new Error("alg");
  const { crv, x, y } = epk as JsonWebKey;
  if (crv !== own.curve) throw new Error("crv");
  // importKey refuses a point that is not on the curve.
  const theirs = await crypto.subtle.importKey("jwk", { kty: "EC", crv, x, y } as JsonWebKey, { name: "ECDH", namedCurve: crv }, false, []);
  const secret = await crypto.subtle.deriveBits({ name: "ECDH", public: theirs }, own.key, curveBytes(crv) * 8);
  const agreed = await concatKdf(new Uint8Array(secret), alg === "ECDH-ES" ? "A256GCM" : alg, apu, apv);
  if (alg === "ECDH-ES") {
    if (encryptedKey.length !== 0) throw new Error("encrypted key");
    return gcmKey(agreed);
  }
  const wrapping = await crypto.subtle.importKey("raw", agreed, "AES-KW", false, ["unwrapKey"]);
  return crypto.subtle.unwrapKey("raw", encryptedKey, wrapping, "AES-KW", { name: "AES-GCM", length: 256 }, false, ["decrypt"]);
}

async function gcmKey(raw: ArrayBuffer): Promise<CryptoKey> {
  if (raw.byteLength !== 32) throw new Error("length");
  return crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["decrypt"]);
}

function curveBytes(curve: string): number {
  return curve === "P-256" ? 32 : curve === "P-384" ? 48 : 66;
}

/** One round of the Concat KDF with SHA-256 gives the 256 bits that are needed (RFC 7518 §4.6.2). */
async function concatKdf(secret: Bytes, algorithm: string, apu: unknown, apv: unknown): Promise<ArrayBuffer> {
  const info = [new TextEncoder().encode(algorithm), party(apu), party(apv)].flatMap((part) => [uint32(part.length), part]);
  return crypto.subtle.digest("SHA-256", concat(uint32(1), secret, ...info, uint32(256)));
}

function party(value: unknown): Bytes {
  if (value === undefined) return new Uint8Array();
  if (typeof value !== "string") throw new Error("party");
  return decode(value);
}

function uint32(value: number): Bytes {
  return new Uint8Array([value >>> 24, value >>> 16, value >>> 8, value]);
}

function concat(...parts: Bytes[]): Bytes {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
