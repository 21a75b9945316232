// Reads tokens in the browser alone. What is pasted goes into no request, no address and no storage: the only thing
// that this page asks for is the tenant's key set, whose address does not depend on the token.

import { element, icon, localTime } from "./page.js";

const page = document.getElementById("decoder");
const field = document.getElementById("token");
const parts = document.getElementById("token-parts");
const verdict = document.getElementById("token-verdict");
const times = document.getElementById("token-times");

const skew = 60; // seconds that clocks may differ

const algorithms = {
  ES256: { import: { name: "ECDSA", namedCurve: "P-256" }, verify: { name: "ECDSA", hash: "SHA-256" } },
  RS256: { import: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }, verify: { name: "RSASSA-PKCS1-v1_5" } },
  EdDSA: { import: { name: "Ed25519" }, verify: { name: "Ed25519" } },
};

const claims = {
  iss: "Who issued it", sub: "The user", aud: "Whom it is for", sid: "The session", tid: "The tenant", amr: "How the user signed in",
  acr: "How much the sign-in is worth", auth_time: "When the user signed in", jti: "Its own id", iat: "When it was made",
  nbf: "Not good before", exp: "Not good after", cnf: "The key that its holder has to prove",
};

const clocks = { auth_time: "Signed in", iat: "Made", nbf: "Good from", exp: "Good until" };

let keySet; // of the tenant, asked for once

async function keysOf() {
  keySet ??= fetch(page.dataset.jwks, { credentials: "omit", referrerPolicy: "no-referrer" }).then((response) => {
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    return response.json();
  });
  try {
    return (await keySet).keys;
  } catch (error) {
    keySet = undefined;
    throw error;
  }
}

function bytes(text) {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) throw new Error("not base64url");
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
}

function decoded(text) {
  const value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes(text)));
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw new Error("not an object");
  return value;
}

/** A callout: what is so, and why. */
function callout(tone, title, words) {
  const box = element("div", `callout ${tone}`);
  box.append(icon({ ok: "okc", bad: "badc", info: "info" }[tone] ?? "info"), element("b", "", title), element("p", "", words));
  return box;
}

function span(seconds) {
  const units = [["day", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const [unit, size] = units.find(([, size]) => seconds >= size) ?? units.at(-1);
  const n = Math.floor(seconds / size);
  return `${n} ${unit}${unit === "day" && n !== 1 ? "s" : ""}`;
}

function relative(at, now) {
  const seconds = Math.round(at - now);
  return seconds >= 0 ? `in ${span(seconds)}` : `${span(-seconds)} ago`;
}

function part(title, note, value) {
  const card = element("section", "card");
  const head = element("div", "card-h");
  const words = element("div");
  words.append(element("h2", "", title), element("p", "", note));
  head.append(words);
  const list = element("dl", "kv pad");
  for (const [name, one] of Object.entries(value)) {
    const dt = element("dt");
    dt.append(element("code", "", name));
    const dd = element("dd");
    dd.append(element("code", "each", typeof one === "string" ? one : JSON.stringify(one)));
    if (Object.hasOwn(claims, name)) dd.append(element("small", "", claims[name]));
    list.append(dt, dd);
  }
  card.append(head, list);
  return card;
}

function showTimes(body) {
  const now = Date.now() / 1000;
  const list = element("dl", "kv");
  for (const [name, label] of Object.entries(clocks)) {
    if (!Number.isFinite(body[name])) continue;
    const dd = element("dd", "", `${relative(body[name], now)} `);
    dd.append(element("small", "", localTime(new Date(body[name] * 1000).toISOString())));
    list.append(element("dt", "", label), dd);
  }
  if (list.childElementCount === 0) list.append(element("dt", "", "None"), element("dd", "", "It names no time."));
  times.replaceChildren(list);
}

/** What is wrong beside the signature, in words. */
function doubts(body) {
  const now = Date.now() / 1000;
  const out = [];
  if (body.iss !== page.dataset.issuer) out.push(`It was issued by ${String(body.iss ?? "nobody")}, not by this tenant.`);
  if (Number.isFinite(body.exp) && now > body.exp) out.push(`It ended ${relative(body.exp, now)}.`);
  if (!Number.isFinite(body.exp)) out.push("It names no end.");
  if (Number.isFinite(body.nbf) && now + skew < body.nbf) out.push(`It is good only ${relative(body.nbf, now)}.`);
  return out;
}

async function verified(header, text) {
  const how = Object.hasOwn(algorithms, header.alg) ? algorithms[header.alg] : undefined;
  if (how === undefined) return callout("bad", "Not verified", `Biocore signs with ES256, EdDSA and RS256, never with ${String(header.alg)}.`);
  let keys;
  try {
    keys = await keysOf();
  } catch (error) {
    return callout("info", "Not verified", `The key set could not be read: ${error.message}.`);
  }
  const key = keys.find((one) => one.kid === header.kid);
  if (key === undefined) return callout("bad", "No key fits", `The key set has no key ${String(header.kid)}: it was revoked, or is another tenant’s.`);
  if (key.alg !== undefined && key.alg !== header.alg) return callout("bad", "Another algorithm", `That key is for ${key.alg}.`);
  let good;
  try {
    const { kty, crv, x, y, n, e } = key;
    const imported = await crypto.subtle.importKey("jwk", { kty, crv, x, y, n, e }, how.import, false, ["verify"]);
    const [head, body, signature] = text.split(".");
    good = await crypto.subtle.verify(how.verify, imported, bytes(signature), new TextEncoder().encode(`${head}.${body}`));
  } catch {
    return callout("info", "Not verified", `This browser cannot verify ${header.alg}.`);
  }
  return good
    ? callout("ok", "The signature is good", `By key ${header.kid}, which the key set has.`)
    : callout("bad", "The signature is wrong", "The token was changed, or another key signed it.");
}

let latest = 0;

async function read() {
  const turn = ++latest;
  const text = field.value.trim().replace(/^Bearer\s+/i, "");
  parts.replaceChildren();
  times.replaceChildren(element("p", "muted", "When it was made, and until when it is good."));
  if (text === "") {
    verdict.replaceChildren(element("p", "muted", "Nothing was pasted yet."));
    return;
  }
  const pieces = text.split(".");
  try {
    if (pieces.length === 5) {
      parts.replaceChildren(part("Header", "How it is encrypted", decoded(pieces[0])));
      verdict.replaceChildren(callout("info", "It is encrypted", "A JWE: only who has its key reads what is inside. Decrypt it there, then paste the signed token that it holds."));
      return;
    }
    if (pieces.length !== 3) throw new Error(`${pieces.length} parts`);
    const header = decoded(pieces[0]);
    const body = decoded(pieces[1]);
    parts.replaceChildren(part("Header", "How it is signed", header), part("Claims", "What it says", body));
    showTimes(body);
    verdict.replaceChildren(element("p", "muted", "Reading the key set…"));
    const box = await verified(header, text);
    if (turn !== latest) return; // something else was pasted meanwhile
    verdict.replaceChildren(box, ...doubts(body).map((one) => callout("bad", "But", one)));
  } catch {
    verdict.replaceChildren(callout("bad", "This is no token", "A signed token is three parts of base64url with dots between, an encrypted one five."));
  }
}

field.addEventListener("input", () => void read());
if (field.value !== "") void read(); // the browser kept it over a reload
