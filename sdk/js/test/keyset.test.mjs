import assert from "node:assert/strict";
import { test } from "node:test";
import { b64, newKey, settle, World } from "./issuer.mjs";

// The next key is published ten minutes before it signs, the last one stays until its tokens have expired. Nothing
// fails, nobody waits after the first fetch, and the server is asked about as often as the keys' age says.
test("half a day of rotations under continuous verification", async () => {
  const world = new World();
  const verifier = world.verifier();
  let [previous, current, next] = [undefined, newKey("key-0"), undefined];
  world.keys = [current];
  await verifier.verify(world.issue(current));
  const [start, hour] = [world.ms, 3600];
  let [changed, verified, fetches, n] = [start, 0, 1, 1];
  while (world.ms - start < 12 * hour * 1000) {
    const since = (world.ms - changed) / 1000;
    if (since >= hour) {
      [previous, current, next, changed] = [current, next, undefined, world.ms];
    } else if (since >= hour - 600 && next === undefined) {
      next = newKey(`key-${n}`, n++ % 2 === 0 ? "ES256" : "EdDSA");
      world.keys = [current, next];
    } else if (since >= 600 && previous !== undefined) {
      previous = undefined;
      world.keys = [current];
    }
    const tokens = [world.issue(current)];
    if (previous !== undefined && (world.ms - changed) / 1000 < 590) tokens.push(previous.sign({ ...JSON.parse(atob(tokens[0].split(".")[1])), exp: changed / 1000 + 599 }));
    // No answer comes until the callers have theirs: who waits for one never ends.
    let open;
    world.gate = new Promise((resolve) => { open = resolve; });
    await Promise.all([...tokens, ...tokens].map((token) => verifier.verify(token)));
    verified += 2 * tokens.length;
    open();
    if (world.requests.length > fetches) await settle();
    fetches = world.requests.length;
    world.pass(30); // keys are renewed before 90 % of five minutes have passed, and old after all of them
  }
  assert.ok(verified > 2 * 12 * 120 && fetches >= 12 * 60 / 5 && fetches <= 12 * 60 / 3.5 + 1, `${verified} verifications, ${fetches} fetches`);
});

test("a key that signs without having been published ahead is found by the first token that names it", async () => {
  const [stolen, fresh] = [newKey("stolen"), newKey("fresh")];
  const world = new World(stolen);
  const verifier = world.verifier();
  await verifier.verify(world.issue(stolen));
  world.pass(11);
  world.keys = [fresh];
  await verifier.verify(world.issue(fresh));
  assert.equal(world.requests.at(-1).headers["cache-control"], "no-cache");
  await assert.rejects(verifier.verify(world.issue(stolen)), { reason: "TOKEN_KEY_UNKNOWN" });
});

test("whoever invents kids makes the verifier ask once in ten seconds", async () => {
  const key = newKey("k1");
  const evil = newKey("x", "EdDSA");
  const world = new World(key);
  const verifier = world.verifier();
  await verifier.verify(world.issue(key));
  for (let second = 0; second < 60; second++) {
    const invented = Array.from({ length: 20 }, (_, i) => evil.signAs(JSON.stringify({ alg: "EdDSA", kid: `invented-${second}-${i}`, typ: "at+jwt" }), "{}"));
    await Promise.all(invented.map((token) => assert.rejects(verifier.verify(token), { reason: "TOKEN_KEY_UNKNOWN" })));
    world.pass(1);
  }
  assert.ok(world.requests.length >= 6 && world.requests.length <= 7, `${world.requests.length} fetches`);
});

test("a service that starts under load asks once", async () => {
  const key = newKey("k1");
  const world = new World(key);
  const verifier = world.verifier();
  const token = world.issue(key);
  await Promise.all(Array.from({ length: 100 }, () => verifier.verify(token)));
  assert.equal(world.requests.length, 1);
  assert.equal(world.requests[0].redirect, "error");
});

test("outages", async (t) => {
  for (const [name, down] of [
    ["the server answers 503", (world) => { world.status = 503; }],
    ["the server hangs", (world) => { world.hangs = true; }],
    ["a proxy's page of 200", (world) => { world.body = "<html>sorry</html>"; }],
    ["a set that is none", (world) => { world.body = "{}"; }],
    ["a set without end", (world) => { world.body = JSON.stringify({ keys: world.keys.map((k) => k.jwk), more: "x".repeat(64 * 1024) }); }],
  ]) {
    await t.test(name, async () => {
      const [key, unknown] = [newKey("k1"), newKey("k2")];
      const world = new World(key);
      const verifier = world.verifier({ timeoutMs: 2 });
      await verifier.verify(world.issue(key));
      const start = world.ms;
      down(world);
      while (world.ms - start < (65 * 60 - 30) * 1000) {
        await verifier.verify(world.issue(key)); // never refused
        await settle();
        world.pass(30);
      }
      await assert.rejects(verifier.verify(world.issue(unknown)), { reason: "UNAVAILABLE", status: 503 });
      assert.ok(world.requests.length < 65 * 6, `${world.requests.length} tries`);
      world.pass(60);
      await assert.rejects(verifier.verify(world.issue(key)), { reason: "UNAVAILABLE", status: 503 });
      await assert.rejects(verifier.refresh(), { reason: "UNAVAILABLE" });
      Object.assign(world, { status: 200, hangs: false, body: undefined });
      world.pass(10);
      await verifier.verify(world.issue(key));
    });
  }
});

test("nobody waits for a server whose last word was that it has no keys", async () => {
  const key = newKey("k1");
  const world = new World(key);
  const verifier = world.verifier();
  await verifier.verify(world.issue(key));
  world.status = 503;
  world.pass(290);
  await verifier.verify(world.issue(key)); // renews in the background, and fails
  await settle();
  world.pass(15); // old by now
  let open;
  world.gate = new Promise((resolve) => { open = resolve; });
  await verifier.verify(world.issue(key));
  assert.equal(world.requests.length, 3);
  open();
});

// A key that was revoked meanwhile is good one second before and not one after.
test("keys are asked for again when they are as old as the server lets them be", async (t) => {
  for (const [name, headers, seconds] of [
    ["as the server sends", { "cache-control": "public, max-age=300" }, 300],
    ["nothing is said", {}, 300],
    ["half an hour", { "cache-control": "Max-Age=1800" }, 1800],
    ["a year", { "cache-control": "max-age=31536000" }, 3600],
    ["beyond numbers", { "cache-control": "max-age=99999999999999999999" }, 60],
    ["negative", { "cache-control": "max-age=-5" }, 60],
    ["no-store", { "cache-control": "no-store, max-age=300" }, 60],
    ["it lay in a cache", { "cache-control": "max-age=300", age: "120" }, 180],
  ]) {
    await t.test(name, async () => {
      const [revoked, other] = [newKey("revoked"), newKey("other")];
      for (const late of [false, true]) {
        const world = new World(revoked);
        world.headers = headers;
        const verifier = world.verifier();
        await verifier.verify(world.issue(revoked));
        world.keys = [other];
        world.pass(late ? seconds : seconds - 1);
        const verified = verifier.verify(world.issue(revoked));
        if (late) await assert.rejects(verified, { reason: "TOKEN_KEY_UNKNOWN" });
        else await verified;
      }
    });
  }
});

test("a key that must not be used is as if it were not there, and takes no other with it", async (t) => {
  const good = newKey("good");
  const [es, ed, rs] = [newKey("k"), newKey("k", "EdDSA"), newKey("k", "RS256")];
  const off = { ...es.jwk, x: b64(new Uint8Array(32)), y: b64(new Uint8Array(32)) };
  for (const [name, keys, by, accepted = false] of [
    ["ES256", [es.jwk], es, true],
    ["EdDSA", [ed.jwk], ed, true],
    ["RS256", [rs.jwk], rs, true],
    ["without use", [{ ...es.jwk, use: undefined }], es, true],
    ["private", [es.privateJwk], es],
    ["private RSA", [rs.privateJwk], rs],
    ["private Ed25519", [ed.privateJwk], ed],
    ["symmetric", [{ kty: "oct", alg: "HS256", kid: "k", k: "AAAA" }], es],
    ["alg none", [{ ...es.jwk, alg: "none" }], es],
    ["alg of another type", [{ ...es.jwk, alg: "RS256" }], es],
    ["alg of a larger hash", [{ ...rs.jwk, alg: "RS512" }], rs],
    ["no alg", [{ ...es.jwk, alg: undefined }], es],
    ["alg of every object", [{ ...es.jwk, alg: "constructor" }], es],
    ["for encryption", [{ ...es.jwk, use: "enc" }], es],
    ["short RSA", [{ ...rs.jwk, n: b64(new Uint8Array(128).fill(255)) }], rs],
    ["twice", [es.jwk, es.jwk], es],
    ["two of one kid", [es.jwk, ed.jwk], ed],
    ["its kid used by one that is refused", [{ kty: "oct", kid: "k", k: "AAAA" }, es.jwk], es],
    ["no kid", [{ ...es.jwk, kid: undefined }], es],
    ["a point off the curve", [off], es],
    ["no object", ["k", null, 1], es],
  ]) {
    await t.test(name, async () => {
      const world = new World();
      world.body = JSON.stringify({ keys: [...keys, good.jwk] });
      const verifier = world.verifier();
      await verifier.verify(world.issue(good));
      const verified = verifier.verify(world.issue(by));
      if (accepted) await verified;
      else await assert.rejects(verified, { reason: "TOKEN_KEY_UNKNOWN" });
    });
  }
});
