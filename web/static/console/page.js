// What every page of the console shares: how it calls the server, how it asks for a passkey, and how it says what happens.

const { console: path, icons } = document.body.dataset;

/** A refusal in words: of the server, or of the browser. */
class Problem extends Error {
  constructor({ title, message, reason = "", field = "", tone = "bad" }) {
    super(message);
    Object.assign(this, { title, reason, field, tone });
  }
}

/** Posts JSON to a path of the console and returns the answer. Throws what was refused. */
export async function post(to, body = {}) {
  const response = await fetch(path + to, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    credentials: "same-origin",
  }).catch((cause) => {
    throw Object.assign(new Problem({ title: "No connection", message: "The console could not be reached. Check your connection, then try again." }), { cause });
  });
  const answer = await response.json().catch((cause) => {
    throw Object.assign(new Problem({ title: "That did not work", message: `The console answered HTTP ${response.status}. Try again in a moment.` }), { cause });
  });
  if (answer.problem?.reason === "SIGNED_OUT") {
    location.href = `${path}/signin?after=end`;
    await new Promise(() => {}); // the page is being left
  }
  if (answer.problem !== undefined) throw new Problem(answer.problem);
  return answer;
}

export function supported() {
  return window.isSecureContext && typeof window.PublicKeyCredential === "function";
}

/** Reports whether the browser offers passkeys in a field's autofill. */
export async function offersAutofill() {
  return supported() && (await PublicKeyCredential.isConditionalMediationAvailable?.()) === true;
}

let waiting; // the request that waits in autofill: a browser takes one at a time

/** Begins a ceremony at `${to}/begin`, asks the device, and returns what `${to}/finish` says. */
async function ceremony(to, begin, finish, ask) {
  if (!supported()) {
    throw new Problem({ title: "No passkeys in this browser", message: "Use a current browser, on https or on localhost, or another device." });
  }
  const begun = await post(`${to}/begin`, begin);
  waiting?.abort();
  const controller = new AbortController();
  waiting = controller;
  let made;
  try {
    made = await ask(begun.options, controller.signal);
  } catch (error) {
    throw explain(error);
  } finally {
    if (waiting === controller) waiting = undefined;
  }
  return post(`${to}/finish`, { ...finish, id: begun.id, response: serialise(made) });
}

/** Makes a passkey. */
export function create(to, begin, finish = {}) {
  return ceremony(to, begin, finish, (options, signal) =>
    navigator.credentials.create({ publicKey: creationOptions(options), signal }));
}

/** Uses a passkey; mediation "conditional" waits until one is picked in a field's autofill. */
export function use(to, finish = {}, mediation = "optional") {
  return ceremony(to, {}, finish, (options, signal) =>
    navigator.credentials.get({ publicKey: requestOptions(options), mediation, signal }));
}

function explain(error) {
  switch (error.name) {
    case "AbortError":
      return new Problem({ title: "Another request took over", message: "Try again.", reason: "ABORTED", tone: "info" });
    case "NotAllowedError":
      return new Problem({ title: "No passkey was used", message: "The prompt was closed, or no passkey fitted. Nothing has changed; try again when you like.", reason: "CANCELLED", tone: "info" });
    case "InvalidStateError":
      return new Problem({ title: "This device has one already", message: "A passkey of yours is kept here. Choose another device." });
    case "SecurityError":
      return new Problem({ title: "Passkeys do not work at this address", message: "They belong to one site. Open the console at its own address." });
    default:
      return new Problem({ title: "Your device could not do it", message: "It gave no reason. Try again, or use another device." });
  }
}

// What parseCreationOptionsFromJSON and toJSON do (WebAuthn L3), for browsers from before them.

const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const descriptors = (list) => list?.map((one) => ({ ...one, id: bytes(one.id) }));

function creationOptions(json) {
  if (PublicKeyCredential.parseCreationOptionsFromJSON) return PublicKeyCredential.parseCreationOptionsFromJSON(json);
  return { ...json, challenge: bytes(json.challenge), user: { ...json.user, id: bytes(json.user.id) }, excludeCredentials: descriptors(json.excludeCredentials) };
}

function requestOptions(json) {
  if (PublicKeyCredential.parseRequestOptionsFromJSON) return PublicKeyCredential.parseRequestOptionsFromJSON(json);
  return { ...json, challenge: bytes(json.challenge), allowCredentials: descriptors(json.allowCredentials) };
}

function serialise(made) {
  if (made.toJSON) return made.toJSON();
  const { response } = made;
  const out = { clientDataJSON: text(response.clientDataJSON) };
  if (response.attestationObject) {
    out.attestationObject = text(response.attestationObject);
    out.transports = response.getTransports?.() ?? [];
  } else {
    out.authenticatorData = text(response.authenticatorData);
    out.signature = text(response.signature);
    if (response.userHandle) out.userHandle = text(response.userHandle);
  }
  return {
    id: made.id, rawId: text(made.rawId), type: made.type, response: out,
    authenticatorAttachment: made.authenticatorAttachment ?? undefined, clientExtensionResults: made.getClientExtensionResults(),
  };
}

export function element(name, className = "", content = "") {
  const made = document.createElement(name);
  if (className !== "") made.className = className;
  made.textContent = content;
  return made;
}

export function icon(name, className = "icon") {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", className);
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${icons}#${name}`);
  svg.append(use);
  return svg;
}

/** Runs work while its button shows that it waits. A second click does nothing. */
export async function busy(button, label, work) {
  if (button.getAttribute("aria-busy") === "true") return;
  const words = button.querySelector("span");
  const before = words.textContent;
  const spinner = icon("spin", "icon spin");
  const old = button.querySelector(".icon");
  button.setAttribute("aria-busy", "true");
  words.textContent = label;
  if (old === null) button.prepend(spinner);
  else old.replaceWith(spinner);
  try {
    await work();
  } finally {
    button.removeAttribute("aria-busy");
    words.textContent = before;
    if (old === null) spinner.remove();
    else spinner.replaceWith(old);
  }
}

/** Says what went wrong: at the field it is about, or in the problem box of a part of the page. */
export function showProblem(scope, error) {
  clearProblem(scope);
  const { title = "That did not work", message, field = "", reason = "", tone = "bad" } = error;
  if (error.title === undefined) console.error(error); // a mistake of ours
  const input = field === "" ? null : scope.querySelector(`[name="${field}"]`);
  if (input !== null) {
    const line = element("span", "err");
    line.id = `${input.id}-problem`;
    line.append(icon("warn"), element("span", "", message));
    const hint = document.getElementById(`${input.id}-hint`);
    if (hint !== null) hint.hidden = true;
    input.after(line);
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", line.id);
    input.focus();
    return;
  }
  const box = element("div", `callout ${tone}`);
  box.append(icon(tone === "bad" ? "warn" : "info"), element("b", "", title), element("p", "", message));
  if (tone === "bad" && reason !== "") box.append(element("code", "reason", reason));
  scope.querySelector(".problem").replaceChildren(box);
}

/** Takes back what showProblem said, and what the page said when it came. */
export function clearProblem(scope) {
  scope.querySelector(".notice")?.remove();
  scope.querySelector(".problem").replaceChildren();
  for (const input of scope.querySelectorAll("[aria-invalid]")) {
    document.getElementById(`${input.id}-problem`)?.remove();
    input.removeAttribute("aria-invalid");
    const hint = document.getElementById(`${input.id}-hint`);
    if (hint === null) {
      input.removeAttribute("aria-describedby");
      continue;
    }
    hint.hidden = false;
    input.setAttribute("aria-describedby", hint.id);
  }
}

const clock = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" });

/** A point in time, in the reader's own. */
export function localTime(iso) {
  return clock.format(new Date(iso));
}
