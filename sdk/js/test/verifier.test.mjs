import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { createVerifier, TokenError } from "../dist/verifier.js";
import { audience, b64, claimsAt, hmac, issuer, newKey, tenantId, World } from "./issuer.mjs";

const vectors = JSON.parse(readFileSync(new URL("../../go/testdata/vectors.json", import.meta.url), "utf8"));
const fromVectors = (more = {}) =>
  createVerifier({
    issuer: vectors.issuer, audience: vectors.audience, now: () => vectors.at * 1000, decryptionKeys: vectors.decryptionKeys,
    fetch: async () => new Response(JSON.stringify(vectors.jwks)), ...more,
  });
const nested = (suffix) => vectors.tokens.find(({ name }) => name.endsWith(suffix)).token;

test("tokens that another language signed and encrypted", async (t) => {
  const verifier = fromVectors();
  assert.equal(vectors.tokens.length, 12);
  for (const { name, token } of vectors.tokens) {
    await t.test(name, async () => assert.deepEqual(await verifier.verify(token), vectors.claims));
  }
});

test("what two readers would read in two ways is refused, as by sdk/go", async (t) => {
  const verifier = fromVectors();
  assert.equal(vectors.refused.length, 20);
  for (const { name, token } of vectors.refused) {
    await t.test(name, () => assert.rejects(verifier.verify(token), { reason: "TOKEN_MALFORMED", status: 401 }));
  }
  assert.equal(vectors.refusedKeys.length, 4);
  for (const { name, jwks } of vectors.refusedKeys) {
    const verifier = fromVectors({ fetch: async () => new Response(jwks) });
    await t.test(name, () => assert.rejects(verifier.verify(vectors.tokens[0].token), { reason: "UNAVAILABLE", status: 503 }));
  }
});

test("claims", async (t) => {
  const key = newKey("k1");
  const world = new World(key);
  const at = world.ms / 1000;
  for (const [name, change, want, options] of [
    ["good", {}],
    ["aud is a list", { aud: ["other.example", audience] }],
    ["a claim of a newer server", { cnf: { jkt: "x" } }],
    ["names of claims inside of others", { act: { sub: "user-2", aud: ["aud", "}"] }, note: '"sub":"user-2"' }],
    ["iss of another tenant", { iss: "https://auth.example.com/t/globex" }, "TOKEN_ISSUER"],
    ["iss with a slash", { iss: `${issuer}/` }, "TOKEN_ISSUER"],
    ["no iss", { iss: undefined }, "TOKEN_ISSUER"],
    ["aud of another", { aud: "other.example" }, "TOKEN_AUDIENCE"],
    ["aud is a longer name", { aud: `login.${audience}` }, "TOKEN_AUDIENCE"],
    ["aud is a list in a list", { aud: [[audience]] }, "TOKEN_MALFORMED"],
    ["no aud", { aud: undefined }, "TOKEN_AUDIENCE"],
    ["tid as wanted", {}, undefined, { tenantId }],
    ["tid of another", { tid: "other" }, "TOKEN_TENANT", { tenantId }],
    ["no tid", { tid: undefined }, "TOKEN_MALFORMED"],
    ["no sub", { sub: undefined }, "TOKEN_MALFORMED"],
    ["sub is a number", { sub: 1 }, "TOKEN_MALFORMED"],
    ["no sid", { sid: "" }, "TOKEN_MALFORMED"],
    ["no jti", { jti: undefined }, "TOKEN_MALFORMED"],
    ["acr of no level", { acr: "aal9" }, "TOKEN_MALFORMED"],
    ["amr is a text", { amr: "mfa" }, "TOKEN_MALFORMED"],
    ["the last second", { exp: at + 1 }],
    ["the second of exp", { exp: at }, "TOKEN_EXPIRED"],
    ["expired, within the leeway", { exp: at - 29 }, undefined, { leewaySeconds: 30 }],
    ["expired, at the end of the leeway", { exp: at - 30 }, "TOKEN_EXPIRED", { leewaySeconds: 30 }],
    ["no exp", { exp: undefined }, "TOKEN_EXPIRED"],
    ["exp is null", { exp: null }, "TOKEN_EXPIRED"],
    ["exp is a text", { exp: "9999999999" }, "TOKEN_MALFORMED"],
    ["nbf is to come", { nbf: at + 1 }, "TOKEN_NOT_YET"],
    ["nbf is a text", { nbf: "9999999999" }, "TOKEN_MALFORMED"],
  ]) {
    await t.test(name, async () => {
      const verified = world.verifier(options).verify(world.issue(key, change));
      if (want === undefined) assert.equal((await verified).sub, "user-1");
      else await assert.rejects(verified, { name: "TokenError", reason: want, status: 401 });
    });
  }
});

test("a kid that Go writes with escapes is found", async () => {
  const key = newKey("a<b>&c");
  const world = new World(key);
  const token = key.signAs(key.header.replace("a<b>&c", "a\\u003cb\\u003e\\u0026c"), JSON.stringify(claimsAt(world.ms)));
  assert.equal((await world.verifier().verify(token)).sub, "user-1");
});

// RFC 8725 as a table: what has been done to JWT libraries. No attack makes a verifier ask anybody but the tenant's keys.
test("attacks", async (t) => {
  const es = newKey("es");
  const ed = newKey("ed", "EdDSA");
  const rs = newKey("rs", "RS256");
  const evil = newKey("es");
  const world = new World(es, ed, rs);
  const verifier = world.verifier({ decryptionKeys: vectors.decryptionKeys });
  const good = world.issue(es);
  await verifier.verify(good);
  const payload = JSON.stringify(claimsAt(world.ms));
  const [head, body, signature] = good.split(".");
  const signed = (header) => es.signAs(header, payload);
  const more = (members) => es.header.replace(/}$/, `,${members}}`);
  const rsaDer = Buffer.from(rs.jwk.n, "base64url");
  const last = good.at(-1);
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const respelled = good.slice(0, -1) + alphabet[alphabet.indexOf(last) ^ 1];
  const jwe = nested("ES256 in ECDH-ES+A256KW").split(".");
  const jweWith = (change) => [b64(JSON.stringify({ ...JSON.parse(Buffer.from(jwe[0], "base64url")), ...change })), ...jwe.slice(1)].join(".");

  for (const [name, token, want] of [
    // §2.1, §3.1: no signature, and confusion of algorithms.
    ["alg none, no signature", `${b64('{"alg":"none","kid":"es","typ":"at+jwt"}')}.${body}.`, "TOKEN_SIGNATURE"],
    ["alg nOnE, our signature", signed('{"alg":"nOnE","kid":"es","typ":"at+jwt"}'), "TOKEN_SIGNATURE"],
    ["our header, no signature", `${head}.${body}.`, "TOKEN_SIGNATURE"],
    ["HS256 with the public key", hmac(rsaDer, '{"alg":"HS256","kid":"rs","typ":"at+jwt"}', body), "TOKEN_SIGNATURE"],
    ["HS256 under the header of RS256", hmac(rsaDer, rs.header, body), "TOKEN_SIGNATURE"],
    ["RS256 over a signature of ES256", signed('{"alg":"RS256","kid":"es","typ":"at+jwt"}'), "TOKEN_SIGNATURE"],
    ["ES256 over the kid of RS256", signed('{"alg":"ES256","kid":"rs","typ":"at+jwt"}'), "TOKEN_SIGNATURE"],
    ["PS256 over the kid of RS256", rs.signAs('{"alg":"PS256","kid":"rs","typ":"at+jwt"}', payload), "TOKEN_SIGNATURE"],
    ["no alg", signed('{"kid":"es","typ":"at+jwt"}'), "TOKEN_SIGNATURE"],
    ["alg is a list", signed('{"alg":["ES256"],"kid":"es","typ":"at+jwt"}'), "TOKEN_SIGNATURE"],
    // §2.9, §3.10: keys that the token brings or points to.
    ["a key of its own under our kid", world.issue(evil), "TOKEN_SIGNATURE"],
    ["jwk, signed by it", evil.signAs(more(`"jwk":${JSON.stringify(evil.jwk)}`), payload), "TOKEN_MALFORMED"],
    ["jku under our signature", signed(more('"jku":"https://evil.example/jwks.json"')), "TOKEN_MALFORMED"],
    ["x5u", signed(more('"x5u":"https://evil.example/cert.pem"')), "TOKEN_MALFORMED"],
    ["x5c", signed(more('"x5c":["MIIB"]')), "TOKEN_MALFORMED"],
    ["kid that is a member of every object", signed('{"alg":"ES256","kid":"__proto__","typ":"at+jwt"}'), "TOKEN_KEY_UNKNOWN"],
    ["kid that is a URL", signed('{"alg":"ES256","kid":"https://evil.example/key","typ":"at+jwt"}'), "TOKEN_KEY_UNKNOWN"],
    ["kid that is a number", signed('{"alg":"ES256","kid":1,"typ":"at+jwt"}'), "TOKEN_MALFORMED"],
    ["no kid", signed('{"alg":"ES256","typ":"at+jwt"}'), "TOKEN_MALFORMED"],
    // Extensions that must be understood, and two readers with two meanings.
    ["crit", signed(more('"crit":["exp"]')), "TOKEN_MALFORMED"],
    ["b64 false", signed(more('"b64":false,"crit":["b64"]')), "TOKEN_MALFORMED"],
    ["zip", signed(more('"zip":"DEF"')), "TOKEN_MALFORMED"],
    ["alg twice", signed(es.header.replace("{", '{"alg":"none",')), "TOKEN_MALFORMED"],
    ["kid twice", signed(more('"kid":"es"')), "TOKEN_MALFORMED"],
    ["alg twice, once escaped", signed(more('"\\u0061lg":"none"')), "TOKEN_MALFORMED"],
    ["alg in capitals beside it", signed(more('"ALG":"none"')), "TOKEN_MALFORMED"],
    ["__proto__ in the header", signed(more('"__proto__":{"alg":"none"}')), "TOKEN_MALFORMED"],
    ["something after the header", signed(`${es.header}{}`), "TOKEN_MALFORMED"],
    ["a space in the header", signed(es.header.replace(":", ": ")), "TOKEN_MALFORMED"],
    ["a header that is deep", signed(more(`"x":${"[".repeat(5000)}`)), "TOKEN_MALFORMED"],
    ["a header that is null", signed("null"), "TOKEN_MALFORMED"],
    ["a byte order mark", signed(`\ufeff${es.header}`), "TOKEN_MALFORMED"],
    // §3.11: another type of token under the same key.
    ["typ JWT", signed('{"alg":"ES256","kid":"es","typ":"JWT"}'), "TOKEN_MALFORMED"],
    ["typ of a receipt", signed('{"alg":"ES256","kid":"es","typ":"receipt+jws"}'), "TOKEN_MALFORMED"],
    ["no typ", signed('{"alg":"ES256","kid":"es"}'), "TOKEN_MALFORMED"],
    // Forms, and one spelling of each.
    ["empty", "", "TOKEN_MALFORMED"],
    ["no text", undefined, "TOKEN_MALFORMED"],
    ["dots", "..", "TOKEN_MALFORMED"],
    ["four parts", `${good}.AAAA`, "TOKEN_MALFORMED"],
    ["oversized", good + "A".repeat(16 * 1024), "TOKEN_MALFORMED"],
    ["oversized and signed", world.issue(es, { more: "x".repeat(16 * 1024) }), "TOKEN_MALFORMED"],
    ["padding", `${good}==`, "TOKEN_MALFORMED"],
    ["a line break in the signature", `${good.slice(0, -4)}\n${good.slice(-4)}`, "TOKEN_MALFORMED"],
    ["spare bits of the signature", respelled, "TOKEN_MALFORMED"],
    // The signature itself.
    ["another payload", `${head}.${b64(payload.replace("aal2", "aal3"))}.${signature}`, "TOKEN_SIGNATURE"],
    ["all zero (r = s = 0)", `${head}.${body}.${b64(new Uint8Array(64))}`, "TOKEN_SIGNATURE"],
    ["cut", good.slice(0, -2), "TOKEN_SIGNATURE"],
    ["payload that is no JSON", es.signAs(es.header, "hello"), "TOKEN_MALFORMED"],
    ["payload that is a list", es.signAs(es.header, "[]"), "TOKEN_MALFORMED"],
    ["payload that is null", es.signAs(es.header, "null"), "TOKEN_MALFORMED"],
    // Encryption: it proves nothing.
    ["JWE with zip", jweWith({ zip: "DEF" }), "TOKEN_MALFORMED"],
    ["JWE without cty", jweWith({ cty: undefined }), "TOKEN_MALFORMED"],
    ["JWE with a changed header", jweWith({ apu: "AAAA" }), "TOKEN_UNDECRYPTABLE"],
    ["JWE to another kid", jweWith({ kid: "other" }), "TOKEN_UNDECRYPTABLE"],
    ["JWE with RSA1_5", jweWith({ alg: "RSA1_5" }), "TOKEN_UNDECRYPTABLE"],
    ["JWE with dir", jweWith({ alg: "dir" }), "TOKEN_UNDECRYPTABLE"],
    ["JWE with a password", jweWith({ alg: "PBES2-HS256+A128KW", p2c: 1e9 }), "TOKEN_MALFORMED"],
    ["JWE with another enc", jweWith({ enc: "A128CBC-HS256" }), "TOKEN_UNDECRYPTABLE"],
    ["JWE with a point off the curve", jweWith({ epk: { kty: "EC", crv: "P-256", x: b64(new Uint8Array(32)), y: b64(new Uint8Array(32)) } }), "TOKEN_UNDECRYPTABLE"],
    ["JWE with a changed tag", [...jwe.slice(0, 4), b64(new Uint8Array(16))].join("."), "TOKEN_UNDECRYPTABLE"],
    ["JWE with a short tag", [...jwe.slice(0, 4), jwe[4].slice(0, 16)].join("."), "TOKEN_UNDECRYPTABLE"],
    ["JWE of a stranger's token", jwe.join("."), "TOKEN_KEY_UNKNOWN"], // it opens, and nobody here signed it
    ["JWE of nothing", "....", "TOKEN_MALFORMED"],
  ]) {
    await t.test(name, () => assert.rejects(verifier.verify(token), { name: "TokenError", reason: want, status: 401 }));
  }
  assert.deepEqual([...new Set(world.requests.map(({ url }) => url))], [`${issuer}/.well-known/jwks.json`]);
});

test("decryption keys", async (t) => {
  const [ec, rsa] = vectors.decryptionKeys;
  const token = nested("ES256 in RSA-OAEP-256");
  const imported = await crypto.subtle.importKey("jwk", { ...rsa, kid: undefined }, { name: "RSA-OAEP", hash: "SHA-256" }, false, ["decrypt"]);
  const { privateKey: short } = generateKeyPairSync("rsa", { modulusLength: 1024 });

  await t.test("one of WebCrypto", async () => {
    assert.equal((await fromVectors({ decryptionKeys: [{ kid: "rsa", key: imported }] }).verify(token)).sub, "user-1");
  });
  await t.test("one without a kid is tried, after another's", async () => {
    assert.equal((await fromVectors({ decryptionKeys: [{ ...ec, kid: undefined }, { key: imported }] }).verify(token)).sub, "user-1");
  });
  await t.test("none: an encrypted token is refused, another is not", async () => {
    const verifier = fromVectors({ decryptionKeys: [] });
    await assert.rejects(verifier.verify(token), { reason: "TOKEN_UNDECRYPTABLE" });
    assert.equal((await verifier.verify(vectors.tokens[0].token)).sub, "user-1");
  });
  for (const [name, key] of [
    ["a public one", { ...rsa, d: undefined }],
    ["a short one", short.export({ format: "jwk" })],
    ["a symmetric one", { kty: "oct", k: "AAAA" }],
    ["half a key", { kty: "EC", crv: "P-256", d: "AAAA" }],
  ]) {
    await t.test(`${name} is a mistake that is told, without the key`, async () => {
      await assert.rejects(fromVectors({ decryptionKeys: [key] }).verify(token), (error) => error instanceof TypeError && /decryption key/.test(error.message) && error.cause === undefined);
    });
  }
});

test("options that cannot be used are named", () => {
  for (const [change, want] of [
    [{ issuer: "" }, /issuer "" is no/],
    [{ issuer: `${issuer}/` }, /is no https:\/\/host\/t\/slug/],
    [{ issuer: "http://auth.example.com/t/acme" }, /is not https; name keysUrl/],
    [{ audience: "" }, /audience is required/],
    [{ keysUrl: "file:///keys" }, /keysUrl file:\/\/\/keys is no/],
    [{ leewaySeconds: 3600 }, /leewaySeconds is 3600, at most 60/],
    [{ leewaySeconds: NaN }, /leewaySeconds is NaN/],
    [{ staleSeconds: 1e6 }, /staleSeconds is 1000000/],
    [{ require: { minAal: 4 } }, /minAal is 4/],
    [{ require: { maxAgeSeconds: 0 } }, /maxAgeSeconds is 0/],
    [{ require: { live: true } }, /live needs sessions/],
  ]) {
    assert.throws(() => createVerifier({ issuer, audience, ...change }), want);
  }
  createVerifier({ issuer: "http://localhost:8080/t/acme", audience });
  createVerifier({ issuer: "http://auth.example.com/t/acme", audience, keysUrl: "http://biocore.internal/jwks.json" });
});

test("requests", async (t) => {
  const key = newKey("k1");
  const world = new World(key);
  const at = world.ms / 1000;
  const bearer = (change) => `Bearer ${world.issue(key, change)}`;
  const good = bearer({});
  const stands = (active) => ({ verify: async () => ({ active }) });
  const invalid = 'Bearer error="invalid_token"';
  const stepUp = (more) => `Bearer error="insufficient_user_authentication"${more}`;
  for (const [name, authorization, status, challenge, reason, require = {}, more = {}] of [
    ["good", good, 200],
    ["the scheme in small letters", good.replace("Bearer", "bearer"), 200],
    ["no token", undefined, 401, "Bearer", "TOKEN_MISSING"],
    ["another scheme", "Basic YTpi", 401, "Bearer", "TOKEN_MISSING"],
    ["two tokens", [good, good], 400, 'Bearer error="invalid_request"', "TOKEN_TWICE"],
    ["an empty token", "Bearer ", 401, invalid, "TOKEN_MALFORMED"],
    ["another audience", bearer({ aud: "other" }), 401, invalid, "TOKEN_AUDIENCE"],
    ["expired", bearer({ exp: at }), 401, `${invalid}, error_description="The access token expired"`, "TOKEN_EXPIRED"],
    ["no keys", good, 503, null, "UNAVAILABLE", {}, { fetch: async () => { throw new TypeError("fetch failed"); } }],
    ["as strong as required", good, 200, undefined, undefined, { minAal: 2 }],
    ["too weak", good, 401, stepUp(', acr_values="aal3"'), "STEP_UP", { minAal: 3 }],
    ["too weak, and two would do", bearer({ acr: "aal1" }), 401, stepUp(', acr_values="aal2 aal3"'), "STEP_UP", { minAal: 2 }],
    ["just recent enough", bearer({ auth_time: at - 300 }), 200, undefined, undefined, { maxAgeSeconds: 300 }],
    ["too long ago", bearer({ auth_time: at - 301 }), 401, stepUp(', max_age="300"'), "STEP_UP", { maxAgeSeconds: 300 }],
    ["no auth_time", bearer({ auth_time: undefined }), 401, stepUp(', max_age="300"'), "STEP_UP", { maxAgeSeconds: 300 }],
    ["the session stands", good, 200, undefined, undefined, { live: true }, { sessions: stands(true) }],
    ["the session has ended", good, 401, invalid, "SESSION_ENDED", { live: true }, { sessions: stands(false) }],
    ["nobody there to ask", good, 503, null, "UNAVAILABLE", { live: true }, { sessions: { verify: async () => { throw new Error("down"); } } }],
  ]) {
    await t.test(`${name}, by the Fetch API`, async () => {
      const headers = new Headers();
      for (const value of [authorization ?? []].flat()) headers.append("authorization", value);
      const request = new Request("https://api.example.com/?access_token=x", { headers });
      const verified = world.verifier(more).authenticate(request, require);
      if (status === 200) return assert.equal((await verified).sub, "user-1");
      const error = await verified.then(() => assert.fail("let in"), (error) => error);
      assert.ok(error instanceof TokenError);
      const response = error.toResponse();
      assert.deepEqual([response.status, response.headers.get("www-authenticate"), error.reason], [status, challenge, reason]);
      assert.equal(response.headers.has("retry-after"), status === 503);
    });
    for (const where of ["everywhere", "on one route", "on one route behind the middleware"]) {
      await t.test(`${name}, by middleware ${where}`, async () => {
        const heard = [];
        const verifier = world.verifier({ onRefuse: (error) => heard.push(error.reason), ...more, ...(where === "everywhere" && { require }) });
        const chain = where === "everywhere" ? [{}] : where === "on one route" ? [require] : [{}, require];
        const values = [authorization ?? []].flat();
        const request = { headers: { authorization: values[0] }, rawHeaders: values.flatMap((value) => ["Authorization", value]) };
        const response = { statusCode: 200, headers: {}, ended: 0, setHeader(name, value) { this.headers[name] = value; }, end() { this.ended++; } };
        let passed = 0;
        for (const requirement of chain) {
          if (response.ended > 0) break;
          await verifier.middleware(requirement)(request, response, (error) => { assert.equal(error, undefined); passed++; });
        }
        assert.equal(response.statusCode, status);
        if (status === 200) {
          assert.equal(request.claims.sub, "user-1");
          assert.deepEqual([passed, response.ended, heard], [chain.length, 0, []]);
        } else {
          assert.equal(response.headers["WWW-Authenticate"] ?? null, challenge);
          assert.deepEqual([response.ended, heard], [1, [reason]]);
          assert.ok(passed < chain.length);
        }
      });
    }
  }
});

test("what one tenant's verifier found good means nothing to another's", async () => {
  const key = newKey("k1");
  const world = new World(key);
  const request = { headers: { authorization: `Bearer ${world.issue(key)}` } };
  const response = { setHeader() {}, end() {} };
  await world.verifier().middleware()(request, response, () => {});
  assert.equal(request.claims.sub, "user-1");
  let passed = false;
  await world.verifier({ issuer: "https://auth.example.com/t/globex" }).middleware()(request, response, () => { passed = true; });
  assert.deepEqual([passed, response.statusCode], [false, 401]);
});

test("a mistake in the options goes to the error handler, not to the caller", async () => {
  const verifier = fromVectors({ decryptionKeys: [{ kty: "oct", k: "AAAA" }] });
  let given;
  await verifier.middleware()({ headers: { authorization: `Bearer ${nested("ES256 in ECDH-ES")}` } }, {}, (error) => { given = error; });
  assert.ok(given instanceof TypeError);
});
