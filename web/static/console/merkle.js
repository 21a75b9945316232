// The mathematics of an audit log, as docs/audit.md describes it: hashes of a Merkle tree and proofs (RFC 6962, RFC 9162), and
// checkpoints as signed notes (C2SP). Nothing of it asks anybody for anything. Hashes are Uint8Arrays of 32 bytes; sizes are
// whole numbers up to 2^53-1, so they are halved and not shifted. Each function throws Broken where something does not hold.

/** Something is not what it is said to be. Its message says what. */
export class Broken extends Error {}

const utf8 = new TextEncoder();

export function bytes(base64) {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(base64)) throw new Broken("A hash or a key is no base64.");
  return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
}

export function base64(hash) {
  return btoa(String.fromCharCode(...hash));
}

export function same(a, b) {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

async function sha256(...parts) {
  const all = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return new Uint8Array(await crypto.subtle.digest("SHA-256", all));
}

const node = (left, right) => sha256(Uint8Array.of(1), left, right);
const half = (n) => Math.floor(n / 2);
const odd = (n) => n % 2 === 1;

/** Whether text is what an entry's private part has the hash of, base64url as the entry names it. */
export async function holdsPrivate(text, hash) {
  return base64(await sha256(utf8.encode(text))).replaceAll("+", "-").replaceAll("/", "_").replace("=", "") === hash;
}

/** The hash of entry number sequence with this exact text. */
export function leafHash(sequence, entry) {
  return sha256(Uint8Array.of(0), utf8.encode(`${sequence}\n${entry}`));
}

/**
 * The root that leaf number sequence of size has by its inclusion proof (RFC 9162, 2.1.3.2). seen is told of each hash, whether it
 * stands on the left, and what comes out with it.
 */
export async function rootOf(size, sequence, leaf, hashes, seen = () => {}) {
  if (!(Number.isSafeInteger(sequence) && Number.isSafeInteger(size) && sequence >= 0 && sequence < size)) throw new Broken("The entry’s number is not of this tree.");
  let [i, last, root] = [sequence, size - 1, leaf];
  for (const hash of hashes) {
    if (last === 0) throw new Broken("The proof is too long.");
    const left = odd(i) || i === last;
    root = left ? await node(hash, root) : await node(root, hash);
    seen(hash, left, root);
    if (left) {
      while (!odd(i) && i !== 0) [i, last] = [half(i), half(last)];
    }
    [i, last] = [half(i), half(last)];
  }
  if (last !== 0) throw new Broken("The proof is too short.");
  return root;
}

/** That the tree of later ({size, root}) begins with that of earlier, by a consistency proof (RFC 9162, 2.1.4.2). */
export async function begins(earlier, later, hashes) {
  const no = new Broken(`The log of ${later.size} entries does not begin with that of ${earlier.size}: something under the earlier checkpoint was changed.`);
  if (earlier.size > later.size) throw new Broken("The earlier checkpoint is over more entries than the later one.");
  if (earlier.size === later.size) {
    if (hashes.length !== 0 || !same(earlier.root, later.root)) throw no;
    return;
  }
  if (earlier.size === 0) {
    if (hashes.length !== 0) throw no;
    return;
  }
  let [i, last] = [earlier.size - 1, later.size - 1];
  while (odd(i)) [i, last] = [half(i), half(last)];
  const [first, ...rest] = i === 0 ? [earlier.root, ...hashes] : hashes; // i is 0: a power of two
  if (first === undefined) throw no;
  let [a, b] = [first, first];
  for (const hash of rest) {
    if (last === 0) throw no;
    if (odd(i) || i === last) {
      [a, b] = [await node(hash, a), await node(hash, b)];
      while (!odd(i) && i !== 0) [i, last] = [half(i), half(last)];
    } else {
      b = await node(b, hash);
    }
    [i, last] = [half(i), half(last)];
  }
  if (last !== 0 || !same(a, earlier.root) || !same(b, later.root)) throw no;
}

/** Reads a verifier key, origin+hash+key: its name, the 4 bytes that name it in signatures, and the Ed25519 key. */
export async function parseKey(text) {
  const [, name, hash, encoded] = /^([^\s+]+)\+([0-9a-f]{8})\+(\S+)$/.exec(text.trim()) ?? [];
  if (name === undefined) throw new Broken("This is no verifier key: one is origin+hash+key.");
  const key = bytes(encoded);
  if (key.length !== 33 || key[0] !== 1) throw new Broken("The verifier key is not for Ed25519.");
  const id = (await sha256(utf8.encode(`${name}\n`), key)).slice(0, 4);
  if ([...id].map((b) => b.toString(16).padStart(2, "0")).join("") !== hash) throw new Broken("The verifier key is not whole: its own hash does not fit.");
  return { name, id, key: key.slice(1) };
}

/**
 * What a checkpoint says: {origin, size, root}, and signed: true, or false where this browser has no Ed25519, so
 * that nobody has checked the signature. Throws Broken when it is not of the key's log, or not signed by it.
 */
export async function openCheckpoint(note, key) {
  const cut = note.lastIndexOf("\n\n");
  if (cut < 0 || !note.endsWith("\n")) throw new Broken("This is no checkpoint: a signed note has text, an empty line and signatures, each line with its line feed.");
  const text = note.slice(0, cut + 1);
  const [origin, size, root] = text.split("\n");
  if (origin !== key.name) throw new Broken(`The checkpoint is of another log: ${origin}`);
  const head = { origin, size: Number(size), root: bytes(root ?? "") };
  if (!/^(0|[1-9][0-9]*)$/.test(size ?? "") || !Number.isSafeInteger(head.size) || head.root.length !== 32) throw new Broken("The checkpoint’s size or root cannot be read.");
  for (const line of note.slice(cut + 2, -1).split("\n")) {
    const [, by, encoded] = /^— (\S+) (\S+)$/.exec(line) ?? [];
    if (by !== key.name) continue;
    const signature = bytes(encoded);
    if (signature.length !== 68 || !same(signature.slice(0, 4), key.id)) continue;
    let imported;
    try {
      imported = await crypto.subtle.importKey("raw", key.key, { name: "Ed25519" }, false, ["verify"]);
    } catch {
      return { ...head, signed: false };
    }
    if (!await crypto.subtle.verify({ name: "Ed25519" }, imported, signature.slice(4), utf8.encode(text))) throw new Broken("The checkpoint’s signature is not by this key.");
    return { ...head, signed: true };
  }
  throw new Broken("The checkpoint is not signed by this key.");
}
