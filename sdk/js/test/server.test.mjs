import assert from "node:assert/strict";
import { test } from "node:test";
import { BiocoreServer } from "../dist/biocore.js";
import { answers, refusal } from "./fake.mjs";

function client(fetch, more = {}) {
  return new BiocoreServer({ baseUrl: "https://auth.example/api/", secretKey: "bk_test_1", fetch, ...more });
}

test("each method is the request that the API names", async (t) => {
  const id = "0193a7d2-5b1e-7000-8000-000000000000";
  for (const [name, run, method, path, body] of [
    ["users.create", (b) => b.users.create({ externalId: "e", name: "n" }), "POST", "/v1/users", { externalId: "e", name: "n" }],
    ["users.get", (b) => b.users.get(id), "GET", `/v1/users/${id}`],
    ["users.lookup", (b) => b.users.lookup("a b&c"), "GET", "/v1/users:lookup?externalId=a+b%26c"],
    ["users.list", (b) => b.users.list({ pageSize: 2, pageToken: "t" }), "GET", "/v1/users?pageSize=2&pageToken=t"],
    ["users.update", (b) => b.users.update(id, { name: "m" }), "PATCH", `/v1/users/${id}`, { name: "m" }],
    ["users.delete", (b) => b.users.delete(id), "DELETE", `/v1/users/${id}`],
    ["users.block", (b) => b.users.block(id, { reason: "fraud" }), "POST", `/v1/users/${id}:block`, { reason: "fraud" }],
    ["users.unblock", (b) => b.users.unblock(id, { reason: "solved" }), "POST", `/v1/users/${id}:unblock`, { reason: "solved" }],
    ["users.credentials", (b) => b.users.credentials(id), "GET", `/v1/users/${id}/credentials`],
    ["users.sessions", (b) => b.users.sessions(id), "GET", `/v1/users/${id}/sessions`],
    ["users.signals", (b) => b.users.signals(id), "GET", `/v1/users/${id}/signals`],
    ["users.revokeSessions", (b) => b.users.revokeSessions(id, { reason: "lost" }), "POST", `/v1/users/${id}/sessions:revoke`, { reason: "lost" }],
    ["credentials.get", (b) => b.credentials.get("c_-"), "GET", "/v1/credentials/c_-"],
    ["credentials.rename", (b) => b.credentials.rename("c", "Key"), "PATCH", "/v1/credentials/c", { nickname: "Key" }],
    ["credentials.revoke", (b) => b.credentials.revoke("c", { reason: "lost" }), "POST", "/v1/credentials/c:revoke", { reason: "lost" }],
    ["credentials.suspend", (b) => b.credentials.suspend("c", { reason: "sold" }), "POST", "/v1/credentials/c:suspend", { reason: "sold" }],
    ["credentials.resume", (b) => b.credentials.resume("c", { reason: "sold" }), "POST", "/v1/credentials/c:resume", { reason: "sold" }],
    ["registrationTokens.create", (b) => b.registrationTokens.create({ userId: id, expiresInSeconds: 300 }), "POST", "/v1/registrationTokens", { userId: id, expiresInSeconds: 300 }],
    ["authentications.exchange", (b) => b.authentications.exchange("code"), "POST", "/v1/authentications:exchange", { code: "code" }],
    ["sessions.verify", (b) => b.sessions.verify("jwt"), "POST", "/v1/sessions:verify", { accessToken: "jwt" }],
    ["sessions.refresh", (b) => b.sessions.refresh("rt"), "POST", "/v1/sessions:refresh", { refreshToken: "rt" }],
    ["sessions.revoke", (b) => b.sessions.revoke(id, { reason: "signed out" }), "POST", `/v1/sessions/${id}:revoke`, { reason: "signed out" }],
  ]) {
    await t.test(name, async () => {
      const { fetch, requests } = answers({ session: { id: "s" } });
      await run(client(fetch));
      const [request] = requests;
      assert.deepEqual([request.method, request.url, request.body], [method, `https://auth.example/api${path}`, body]);
      assert.equal(request.headers.authorization, "Bearer bk_test_1");
    });
  }
});

test("an id cannot reach another resource", async () => {
  const { fetch, requests } = answers({});
  await client(fetch).credentials.get("../users/x?y#z");
  assert.equal(requests[0].url, "https://auth.example/api/v1/credentials/..%2Fusers%2Fx%3Fy%23z");
  assert.throws(() => client(fetch).users.get(""), /an id is empty/);
});

test("guards travel as headers", async () => {
  const { fetch, requests } = answers({}, {});
  await client(fetch).users.update("u", { name: "m" }, { ifMatch: '"e1"', idempotencyKey: "k1" });
  await client(fetch).users.get("u");
  assert.equal(requests[0].headers["if-match"], '"e1"');
  assert.equal(requests[0].headers["idempotency-key"], "k1");
  assert.deepEqual(Object.keys(requests[1].headers), ["authorization", "accept"]);
});

test("an answer that wraps one resource gives the resource", async () => {
  const { fetch } = answers(
    { session: { id: "s", accessToken: "jwt" } },
    { credential: { id: "c", state: "REVOKED" } },
    { user: { id: "u", state: "BLOCKED" } },
    { revokedCount: 3 },
  );
  const biocore = client(fetch);
  assert.deepEqual(await biocore.sessions.refresh("rt"), { id: "s", accessToken: "jwt" });
  assert.deepEqual(await biocore.credentials.revoke("c", { reason: "lost" }), { id: "c", state: "REVOKED" });
  assert.deepEqual(await biocore.users.block("u", { reason: "fraud" }), { id: "u", state: "BLOCKED" });
  assert.equal(await biocore.users.revokeSessions("u", { reason: "lost" }), 3);
});

test("failures", async (t) => {
  const at = new Date(Date.now() + 30_500).toUTCString();
  for (const [name, answer, want] of [
    ["a refusal of the server", refusal(409, "failed_precondition", "LAST_CREDENTIAL", "this is the user's last credential"), { reason: "LAST_CREDENTIAL", code: "failed_precondition", status: 409, requestId: "req-1", retryAfter: undefined }],
    ["a proxy's error page", { status: 503, text: "<html>", headers: { "retry-after": at } }, { reason: "UNKNOWN", code: "unavailable", message: "HTTP 503", status: 503 }],
    ["a proxy's empty answer", { status: 502, text: "" }, { reason: "UNKNOWN", code: "internal", status: 502 }],
    ["a success that is no JSON object", { text: "[1]" }, { reason: "RESPONSE_MALFORMED", status: 200 }],
    ["no network", new TypeError("fetch failed"), { reason: "NETWORK", code: "unavailable", status: 0 }],
    ["no answer in time", { hang: true }, { reason: "TIMEOUT", code: "deadline_exceeded", status: 0 }],
  ]) {
    await t.test(name, async () => {
      const { fetch } = answers(answer);
      await assert.rejects(client(fetch, { timeoutMs: 20 }).users.get("u"), { name: "BiocoreError", ...want });
    });
  }
});

test("Retry-After may be a date", async () => {
  const { fetch } = answers({ status: 503, text: "", headers: { "retry-after": new Date(Date.now() + 30_000).toUTCString() } });
  await assert.rejects(client(fetch).users.get("u"), (error) => error.retryAfter >= 28 && error.retryAfter <= 30);
});

test("onCall sees every call, its failure too, and cannot break one", async () => {
  const calls = [];
  const { fetch } = answers({ id: "u" }, refusal(404, "not_found", "USER_UNKNOWN", "no such user"));
  const biocore = client(fetch, { onCall: (call) => { calls.push(call); throw new Error("observer"); } });

  await biocore.users.get("u");
  await assert.rejects(biocore.users.update("v", { name: "m" }), { reason: "USER_UNKNOWN" });

  assert.deepEqual(calls.map(({ method, path, request, status }) => ({ method, path, request, status })), [
    { method: "GET", path: "/v1/users/u", request: undefined, status: 200 },
    { method: "PATCH", path: "/v1/users/v", request: { name: "m" }, status: 404 },
  ]);
  assert.deepEqual(calls[0].response, { id: "u" });
  assert.equal(calls[1].error.reason, "USER_UNKNOWN");
  assert.equal(calls[1].requestId, "req-1");
  assert.ok(calls[0].durationMs >= 0 && calls[0].startedAt instanceof Date);
});

test("a secret key is refused in a browser, and a publishable one on a server", (t) => {
  assert.throws(() => new BiocoreServer({ baseUrl: "", secretKey: "pk_test_1" }), /begins with "bk_"/);
  globalThis.document = {};
  t.after(() => delete globalThis.document);
  assert.throws(() => new BiocoreServer({ baseUrl: "", secretKey: "bk_test_1" }), /no place in a browser/);
});
