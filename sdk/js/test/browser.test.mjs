import assert from "node:assert/strict";
import { test } from "node:test";
import { Biocore, BiocoreError } from "../dist/biocore.js";
import { answers, browser, bytes, refusal, until, untilAborted } from "./fake.mjs";

const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString();

const begunRegistration = () => ({
  registrationId: "reg-1",
  options: {
    rp: { id: "localhost", name: "Acme" },
    user: { id: "aGFuZGxl", name: "ada", displayName: "Ada" },
    challenge: "-_8",
    pubKeyCredParams: [{ type: "public-key", alg: -7 }],
    excludeCredentials: [{ type: "public-key", id: "b2xk", transports: ["usb"] }],
  },
  expiresAt: inAnHour(),
});

const begunAuthentication = (id = "auth-1", expiresAt = inAnHour()) => ({
  authenticationId: id,
  options: { challenge: "-_8", rpId: "localhost", allowCredentials: [{ type: "public-key", id: "b2xk" }] },
  expiresAt,
});

const allowed = { user: { id: "u" }, credential: { id: "c" }, decision: "ALLOW", code: "code-1", assurance: { aal: "AAL2" } };

const assertionJSON = { id: "b2xk", rawId: "b2xk", type: "public-key", response: { signature: "c2ln" }, clientExtensionResults: {} };
const assertion = { toJSON: () => assertionJSON };

function client(fetch, more = {}) {
  return new Biocore({ baseUrl: "https://auth.example/", publishableKey: "pk_test_1", fetch, ...more });
}

test("register runs begin, the prompt and finish, and returns what finish said", async (t) => {
  const { fetch, requests } = answers(begunRegistration(), { user: { id: "u" }, credential: { id: "c" }, attestation: { format: "none" } });
  const prompts = browser(t, {
    create: async () => ({ toJSON: () => ({ id: "bmV3", response: { attestationObject: "YQ" } }) }),
    statics: { parseCreationOptionsFromJSON: (json) => ({ parsed: json }) },
  });

  const result = await client(fetch).register({ registrationToken: "rt", nickname: "Laptop" });

  assert.equal(result.credential.id, "c");
  assert.deepEqual(requests.map((r) => [r.method, r.url, r.body]), [
    ["POST", "https://auth.example/v1/registrations:begin", { registrationToken: "rt" }],
    ["POST", "https://auth.example/v1/registrations:finish", {
      registrationId: "reg-1",
      credential: { id: "bmV3", response: { attestationObject: "YQ" } },
      nickname: "Laptop",
    }],
  ]);
  assert.equal(requests[0].headers.authorization, "Bearer pk_test_1");
  assert.equal(prompts[0].options.publicKey.parsed.challenge, "-_8");
});

test("a browser without JSON methods gets its options decoded and its answer encoded", async (t) => {
  const { fetch, requests } = answers(begunRegistration(), { credential: { id: "c" } });
  const prompts = browser(t, {
    create: async () => ({
      id: "bmV3",
      rawId: bytes("new"),
      type: "public-key",
      authenticatorAttachment: "platform",
      response: { clientDataJSON: bytes("{}"), attestationObject: new Uint8Array([0xfb, 0xff]).buffer, getTransports: () => ["internal"] },
      getClientExtensionResults: () => ({ credProps: { rk: true }, prf: { results: { first: bytes("prf") } } }),
    }),
  });

  await client(fetch).register({ registrationToken: "rt" });

  const { publicKey } = prompts[0].options;
  assert.deepEqual([...new Uint8Array(publicKey.challenge)], [0xfb, 0xff]);
  assert.deepEqual(publicKey.user.id, bytes("handle"));
  assert.deepEqual(publicKey.excludeCredentials, [{ type: "public-key", id: bytes("old"), transports: ["usb"] }]);
  assert.deepEqual(requests[1].body.credential, {
    id: "bmV3",
    rawId: "bmV3",
    type: "public-key",
    authenticatorAttachment: "platform",
    response: { clientDataJSON: "e30", attestationObject: "-_8", transports: ["internal"] },
    clientExtensionResults: { credProps: { rk: true }, prf: {} }, // the results are the page's
  });
});

test("an assertion whose toJSON throws is read member by member", async (t) => {
  const { fetch, requests } = answers(begunAuthentication(), allowed);
  const prompts = browser(t, {
    get: async () => ({
      toJSON: () => { throw new TypeError("Illegal invocation"); },
      id: "b2xk",
      rawId: bytes("old"),
      type: "public-key",
      response: { clientDataJSON: bytes("{}"), authenticatorData: bytes("data"), signature: bytes("sig"), userHandle: null },
      getClientExtensionResults: () => ({}),
    }),
  });

  await client(fetch).signIn();

  assert.deepEqual(prompts[0].options.publicKey.allowCredentials, [{ type: "public-key", id: bytes("old") }]);
  assert.deepEqual(requests[1].body.credential.response, { clientDataJSON: "e30", authenticatorData: "ZGF0YQ", signature: "c2ln" });
});

test("signIn sends only what it was given", async (t) => {
  const { fetch, requests } = answers(begunAuthentication(), allowed, begunAuthentication(), allowed);
  browser(t, { get: async () => assertion });
  const biocore = client(fetch);

  const result = await biocore.signIn();
  await biocore.signIn({ externalId: "ada", userVerification: "required" });

  assert.equal(result.code, "code-1");
  assert.deepEqual(requests.map((r) => r.body), [
    {},
    { authenticationId: "auth-1", credential: assertionJSON },
    { externalId: "ada", userVerification: "required" },
    { authenticationId: "auth-1", credential: assertionJSON },
  ]);
});

test("a click takes over from the autofill request that waits", async (t) => {
  const { fetch } = answers(begunAuthentication("waiting"), begunAuthentication("clicked"), allowed);
  let settled = false;
  const prompts = browser(t, {
    get: async (options) => {
      if (options.mediation !== "conditional") {
        assert.ok(settled, "the second get() came before the first had settled");
        return assertion;
      }
      try {
        return await untilAborted(options);
      } finally {
        settled = true;
      }
    },
  });
  const biocore = client(fetch);

  const waiting = biocore.signIn({ mediation: "conditional" });
  const refused = assert.rejects(waiting, { name: "BiocoreError", reason: "ABORTED", code: "canceled" });
  await until(() => prompts.length === 1);
  const clicked = await biocore.signIn();

  await refused;
  assert.equal(clicked.decision, "ALLOW");
  assert.deepEqual(prompts.map((p) => p.options.mediation), ["conditional", undefined]);
});

test("a waiting request gets a new challenge before the old one dies", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"], now: Date.UTC(2030, 0, 1) });
  const fiveMinutes = new Date(Date.UTC(2030, 0, 1, 0, 5)).toISOString();
  const tenMinutes = new Date(Date.UTC(2030, 0, 1, 0, 10)).toISOString();
  const { fetch, requests } = answers(begunAuthentication("first", fiveMinutes), begunAuthentication("second", tenMinutes), allowed);
  let pick;
  const prompts = browser(t, {
    get: (options) => (prompts.length === 1 ? untilAborted(options) : new Promise((resolve) => (pick = resolve))),
  });

  const signedIn = client(fetch).signIn({ mediation: "conditional" });
  await until(() => prompts.length === 1);
  t.mock.timers.tick(284_999);
  await until(() => true);
  assert.equal(prompts.length, 1, "renewed too early");
  t.mock.timers.tick(1);
  await until(() => pick !== undefined);
  pick(assertion);
  await signedIn;

  assert.equal(requests[2].body.authenticationId, "second");
});

test("the caller's signal ends a waiting request, also before it began", async (t) => {
  const { fetch, requests } = answers(begunAuthentication());
  const prompts = browser(t, { get: untilAborted });
  const biocore = client(fetch);
  const controller = new AbortController();

  const waiting = assert.rejects(biocore.signIn({ mediation: "conditional", signal: controller.signal }), { reason: "ABORTED" });
  await until(() => prompts.length === 1);
  controller.abort();
  await waiting;
  await assert.rejects(biocore.signIn({ signal: controller.signal }), { reason: "ABORTED" });

  assert.equal(requests.length, 1, "an aborted signal still sent a request");
});

test("what the browser throws becomes a reason", async (t) => {
  for (const [name, ceremony, reason] of [
    ["NotAllowedError", "signIn", "USER_CANCELLED"],
    ["AbortError", "signIn", "ABORTED"],
    ["SecurityError", "signIn", "RP_ID_MISMATCH"],
    ["NotSupportedError", "register", "WEBAUTHN_UNSUPPORTED"],
    ["InvalidStateError", "register", "CREDENTIAL_EXISTS"],
    ["InvalidStateError", "signIn", "WEBAUTHN_FAILED"],
    ["UnknownError", "register", "WEBAUTHN_FAILED"],
  ]) {
    await t.test(`${name} from ${ceremony} is ${reason}`, async (t) => {
      const fail = async () => { throw new DOMException("no", name); };
      browser(t, { create: fail, get: fail });
      const { fetch } = answers(ceremony === "register" ? begunRegistration() : begunAuthentication());
      const biocore = client(fetch);
      await assert.rejects(ceremony === "register" ? biocore.register({ registrationToken: "rt" }) : biocore.signIn(), (error) => {
        assert.ok(error instanceof BiocoreError);
        assert.equal(error.reason, reason);
        assert.equal(error.cause.name, name);
        assert.equal(error.status, 0);
        return true;
      });
    });
  }
});

test("a page without WebAuthn is told so before a prompt", async () => {
  const { fetch } = answers(begunAuthentication());
  assert.equal(Biocore.isSupported(), false);
  assert.equal(await client(fetch).isConditionalAvailable(), false);
  await assert.rejects(client(fetch).signIn(), { reason: "WEBAUTHN_UNSUPPORTED", code: "unimplemented" });
});

test("the server's refusal comes through whole", async (t) => {
  browser(t, { get: async () => assertion });
  const { fetch } = answers(refusal(429, "resource_exhausted", "RATE_LIMITED", "too many", { "retry-after": "7" }));
  await assert.rejects(client(fetch).signIn(), {
    name: "BiocoreError",
    code: "resource_exhausted",
    reason: "RATE_LIMITED",
    message: "too many",
    status: 429,
    requestId: "req-1",
    retryAfter: 7,
    metadata: { field: "user" },
  });
});

test("signals go to the browser where it has them", async (t) => {
  const seen = [];
  browser(t, { statics: { signalAllAcceptedCredentials: async (options) => void seen.push(options) } });
  const biocore = client(answers().fetch);
  const accepted = { rpId: "localhost", userId: "aGFuZGxl", allAcceptedCredentialIds: ["b2xk"] };
  const details = { rpId: "localhost", userId: "aGFuZGxl", name: "ada", displayName: "Ada" };

  assert.equal(await biocore.signalAllAcceptedCredentials(accepted), true);
  assert.equal(await biocore.signalCurrentUserDetails(details), false, "claimed a method that is missing");
  assert.equal(await biocore.signalUnknownCredential({ rpId: "localhost", credentialId: "b2xk" }), false);

  assert.deepEqual(seen, [accepted]);
});

test("keys of the wrong kind are refused at once", () => {
  assert.throws(() => new Biocore({ baseUrl: "", publishableKey: "bk_live_1" }), /begins with "pk_"/);
});

test("extensions reach the options, their results the page, and no secret the server", async (t) => {
  const prf = { prf: { eval: { first: "AAEC" } } };
  const begun = begunAuthentication();
  begun.options.extensions = { prf: { eval: { first: "AAEC" }, evalByCredential: { b2xk: { first: "-_8" } } }, largeBlob: { write: "-_8" } };
  const { fetch, requests } = answers(begun, allowed, begunRegistration(), { credential: { id: "c" } });
  const secret = bytes("secret");
  const prompts = browser(t, {
    get: async () => ({
      id: "b2xk",
      rawId: bytes("old"),
      type: "public-key",
      response: { clientDataJSON: bytes("{}"), authenticatorData: bytes("a"), signature: bytes("s"), userHandle: null },
      getClientExtensionResults: () => ({ prf: { results: { first: secret } }, largeBlob: { blob: secret, written: true } }),
    }),
    create: async () => ({
      toJSON: () => ({ id: "bmV3", response: {}, clientExtensionResults: { credProps: { rk: true }, prf: { enabled: true, results: { first: "c2VjcmV0" } } } }),
    }),
  });

  const signedIn = await client(fetch).signIn({ extensions: prf });
  const registered = await client(fetch).register({ registrationToken: "rt", extensions: { prf: {} } });

  assert.deepEqual(requests[0].body, { extensions: prf });
  const { extensions } = prompts[0].options.publicKey;
  assert.deepEqual(new Uint8Array(extensions.prf.eval.first), new Uint8Array([0, 1, 2]));
  assert.deepEqual(new Uint8Array(extensions.prf.evalByCredential.b2xk.first), new Uint8Array([0xfb, 0xff]));
  assert.deepEqual(new Uint8Array(extensions.largeBlob.write), new Uint8Array([0xfb, 0xff]));
  assert.deepEqual(requests[1].body.credential.clientExtensionResults, { prf: {}, largeBlob: { written: true } });
  assert.equal(signedIn.clientExtensionResults.prf.results.first, "c2VjcmV0");
  assert.equal(signedIn.clientExtensionResults.largeBlob.blob, "c2VjcmV0");
  assert.deepEqual(requests[2].body, { registrationToken: "rt", extensions: { prf: {} } });
  assert.deepEqual(requests[3].body.credential.clientExtensionResults, { credProps: { rk: true }, prf: { enabled: true } });
  assert.equal(registered.clientExtensionResults.prf.results.first, "c2VjcmV0");
  assert.ok(!JSON.stringify(requests).includes("c2VjcmV0"), "a secret was sent");
});

test("signals hands each part to the method of its name", async (t) => {
  const told = [];
  browser(t, {
    statics: {
      signalAllAcceptedCredentials: async (options) => void told.push(options),
      signalCurrentUserDetails: async (options) => void told.push(options),
    },
  });
  const signals = {
    allAcceptedCredentials: { rpId: "localhost", userId: "aA", allAcceptedCredentialIds: ["b2xk"] },
    currentUserDetails: { rpId: "localhost", userId: "aA", name: "ada", displayName: "Ada" },
  };
  assert.equal(await client(answers().fetch).signals(signals), true);
  assert.deepEqual(told, [signals.allAcceptedCredentials, signals.currentUserDetails]);
});
