// The panel "Under the hood": every call to Biocore, of this page and of the bank's server part, in the order they were
// made. It lives in the tab's session storage, so that a sign-in can be read whole on the page it leads to.

const storageKey = "northwind.calls";

/** Past it the oldest go: a tab that stays open for days must not fill its storage. */
const maxCalls = 50;

/** Longer strings (keys, signatures) are cut on screen; a copied curl command has them whole. */
const maxShownChars = 44;

const secrets = new Set(["accessToken", "code", "refreshToken", "registrationToken", "stepUpToken", "token"]);

const panel = document.querySelector(".api");
const list = document.getElementById("calls");
const count = document.getElementById("call-count");
const status = document.getElementById("panel-status");
const copyButton = document.getElementById("copy-curl");

let calls = load();
let chosen; // the <details> that was opened last

/** The SDK's onCall hook. */
export function addBrowserCall(call) {
  add([{
    origin: "browser",
    method: call.method,
    path: call.path,
    request: hideSecrets(call.request),
    status: call.status,
    response: hideSecrets(call.response),
    requestId: call.requestId,
    ms: Math.round(call.durationMs * 10) / 10,
    at: call.startedAt.toISOString(),
  }]);
}

/** Calls that the server part reports, its secrets already hidden. */
export function addServerCalls(made) {
  add(made);
}

/** Says in the last line what the page is waiting for. */
export function setStatus(text) {
  status.textContent = text;
}

function add(made) {
  if (made.length === 0) return;
  calls = [...calls, ...made].slice(-maxCalls);
  try {
    sessionStorage.setItem(storageKey, JSON.stringify(calls));
  } catch {
    // A full or forbidden storage costs the history, not the page.
  }
  for (const call of made) list.append(callElement(call));
  while (list.children.length > maxCalls) list.firstElementChild.remove();
  refresh();
  open(list.lastElementChild);
}

function load() {
  try {
    return JSON.parse(sessionStorage.getItem(storageKey)) ?? [];
  } catch {
    return [];
  }
}

function refresh() {
  count.textContent = calls.length === 1 ? "1 call" : `${calls.length} calls`;
  copyButton.disabled = calls.length === 0;
  list.querySelector(".none")?.remove();
  if (calls.length === 0) list.append(element("p", "none", "Nothing yet. Sign in, or create a passkey, and each request shows here with its answer."));
}

/** Shows the newest call open and the others as lines, but for a refusal: that is what a reader looks for. */
function open(details) {
  for (const other of list.querySelectorAll("details[open]")) other.open = isRefusal(other.call);
  draw(details);
  details.open = true;
  // The line before it stays in sight, so that the order can be seen.
  const before = details.previousElementSibling?.offsetHeight ?? 0;
  list.scrollTop = details.offsetTop - list.offsetTop - before;
}

/** That nobody is found by a name is an answer, no refusal. */
function isRefusal({ method, status, response }) {
  if (status === 200) return ["DENY", "STEP_UP"].includes(response?.decision);
  return !(method === "GET" && status === 404);
}

function callElement(call) {
  const details = element("details", "call");
  details.call = call;
  const summary = element("summary");
  const path = element("span", "path");
  path.append(element("i", "", call.method), ` ${shortPath(call.path)}`);
  path.title = `${call.method} ${call.path}`;
  const ms = element("span", "ms");
  ms.append(`${call.ms < 10 ? call.ms : Math.round(call.ms)} ms`, statusBadge(call));
  summary.append(icon("right"), path, ms, element("small", "", call.origin === "server" ? "server, secret key" : "browser, publishable key"));
  details.append(summary);
  details.addEventListener("toggle", () => {
    if (details.open) draw(details);
  });
  return details;
}

/** Draws a call's bodies when it is first opened: most never are. */
function draw(details) {
  chosen = details;
  if (details.children.length === 1) details.append(callBody(details.call));
}

function callBody(call) {
  const body = element("div", "in");
  if (call.request !== undefined && call.request !== null) body.append(element("h3", "", "Request"), jsonElement(call.request));
  body.append(element("h3", "", "Response"), call.response === undefined || call.response === null
    ? element("p", "muted", call.status === 0 ? "No answer came." : "Empty.")
    : jsonElement(call.response));
  if (call.requestId) body.append(element("p", "id", `Request id ${call.requestId}`));
  return body;
}

function statusBadge(call) {
  const kind = isRefusal(call) ? "bad" : call.status === 200 ? "ok" : "";
  return element("span", `badge plain ${kind}`, call.status === 0 ? "none" : String(call.status));
}

/** Ids in the middle of a path are cut, and the query, so that its verb stays in sight. */
function shortPath(path) {
  return path.replace(/\?.*/, "?…").replace(/([0-9A-Za-z_-]{8})[0-9A-Za-z_-]{12,}/g, "$1…");
}

function jsonElement(value) {
  const pre = element("pre", "code fold");
  pre.tabIndex = 0; // long ones scroll, and keys must reach that
  pre.append(...tokens(value, ""));
  return pre;
}

/** JSON as text nodes and coloured spans; nothing is ever parsed as HTML. */
function tokens(value, indent) {
  if (value === null || typeof value === "boolean") return [element("span", "tn", String(value))];
  if (typeof value === "number") return [element("span", "tn", String(value))];
  if (typeof value === "string") return [element("span", "ts", JSON.stringify(cut(value)))];
  const isList = Array.isArray(value);
  const entries = isList ? value.map((item) => [undefined, item]) : Object.entries(value);
  const [before, after] = isList ? ["[", "]"] : ["{", "}"];
  if (entries.length === 0) return [before + after];
  const deeper = `${indent}  `;
  const out = [before];
  entries.forEach(([name, item], index) => {
    out.push(`\n${deeper}`);
    if (name !== undefined) out.push(element("span", "tk", JSON.stringify(name)), ": ");
    out.push(...tokens(item, deeper));
    if (index < entries.length - 1) out.push(",");
  });
  out.push(`\n${indent}${after}`);
  return out;
}

function cut(text) {
  return text.length > maxShownChars ? `${text.slice(0, maxShownChars - 1)}…` : text;
}

function hideSecrets(value) {
  if (Array.isArray(value)) return value.map(hideSecrets);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => {
    // An error's code is a word everybody may read; it stands beside a message.
    const secret = secrets.has(name) && typeof member === "string" && !(name === "code" && "message" in value);
    return [name, secret ? "[hidden]" : hideSecrets(member)];
  }));
}

/** The call as a command for a shell. The secret key is left to the reader's environment. */
function curl(call) {
  const server = call.origin === "server";
  const lines = [`curl -X ${call.method} ${quote((server ? panel.dataset.apiUrl : location.origin) + call.path)}`];
  if (server) {
    lines.push('-H "Authorization: Bearer $BIOCORE_SECRET_KEY"');
  } else {
    lines.push(`-H ${quote(`Authorization: Bearer ${document.body.dataset.publishableKey}`)}`, `-H ${quote(`Origin: ${location.origin}`)}`);
  }
  if (call.request !== undefined && call.request !== null) {
    lines.push("-H 'Content-Type: application/json'", `-d ${quote(JSON.stringify(call.request))}`);
  }
  return lines.join(" \\\n  ");
}

function quote(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Makes an element with text in it. */
export function element(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className !== "") made.className = className;
  if (text !== "") made.textContent = text;
  return made;
}

/** Makes an icon of the sprite. */
export function icon(name, className = "icon") {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", className);
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${document.body.dataset.icons}#${name}`);
  svg.append(use);
  return svg;
}

copyButton.addEventListener("click", async () => {
  const call = (chosen?.isConnected ? chosen : list.lastElementChild)?.call;
  if (call === undefined) return;
  const before = status.textContent;
  try {
    await navigator.clipboard.writeText(curl(call));
    setStatus("Copied");
  } catch {
    setStatus("The browser did not allow copying");
  }
  setTimeout(() => setStatus(before), 2500);
});

document.getElementById("forget-calls").addEventListener("click", () => {
  calls = [];
  sessionStorage.removeItem(storageKey);
  list.replaceChildren();
  refresh();
});

list.replaceChildren(...calls.map(callElement));
list.scrollTop = list.scrollHeight;
refresh();
addServerCalls(JSON.parse(panel.dataset.calls) ?? []);
