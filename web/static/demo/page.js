// What every page of the bank shares: the SDK, the bank's own server part, and how a page says what happens.

import { Biocore } from "../biocore.js";
import { addBrowserCall, addServerCalls, element, icon, setStatus } from "./panel.js";
import { explain } from "./words.js";

const { bank: bankPath, publishableKey } = document.body.dataset;
const toastKey = "northwind.toast";

/** One for the page: it is what lets a click take over from the autofill request that waits. */
export const biocore = new Biocore({ baseUrl: location.origin, publishableKey, onCall: addBrowserCall });

/** A refusal of the bank's server part, already in words. */
class Problem extends Error {
  constructor({ title, message, reason, field }) {
    super(message);
    Object.assign(this, { title, reason, field });
  }
}

/** Calls the bank's server part and shows in the panel what it did. */
export async function bank(method, path, body) {
  const response = await fetch(bankPath + path, {
    method,
    headers: body === undefined ? {} : { "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  }).catch((error) => {
    throw Object.assign(new Error("no connection", { cause: error }), { reason: "NETWORK" });
  });
  const answer = await response.json().catch((error) => {
    throw new Error(`the bank answered HTTP ${response.status}`, { cause: error });
  });
  addServerCalls(answer.calls ?? []);
  if (answer.problem?.reason === "SIGNED_OUT") go(`${bankPath}?after=end`);
  if (answer.problem !== undefined) throw new Problem(answer.problem);
  return answer;
}

/** Turns what Biocore said of a sign-in into a session at the bank, and goes there. */
export async function openSession(result, triedStepUp = false) {
  if (result.decision === "STEP_UP" && !triedStepUp) {
    setStatus("Biocore asks for one more check");
    return openSession(await biocore.signIn({ stepUpToken: result.stepUp.token }), true);
  }
  if (result.decision !== "ALLOW") {
    throw Object.assign(new Error("the sign-in was refused"), { reason: result.decisionReason ?? "SIGN_IN_REFUSED" });
  }
  setStatus("The bank exchanges the code");
  const { next } = await bank("POST", "/session", { code: result.code });
  go(next);
}

/** Goes to a page of the bank, and loads it anew if it is this one. */
export function go(next, toastText = "") {
  if (toastText !== "") sessionStorage.setItem(toastKey, toastText);
  const target = new URL(next, location.href);
  const samePage = target.pathname === location.pathname && target.search === location.search;
  location.href = target.href;
  if (samePage) location.reload();
}

/** Runs work while its button shows that it waits. A second click does nothing. */
export async function busy(button, label, work) {
  if (button.getAttribute("aria-busy") === "true") return;
  const text = button.querySelector("span");
  const before = text.textContent;
  const spinner = icon("spin", "icon spin");
  const old = button.querySelector(".icon");
  button.setAttribute("aria-busy", "true");
  text.textContent = label;
  if (old === null) button.prepend(spinner);
  else old.replaceWith(spinner);
  try {
    await work();
  } finally {
    button.removeAttribute("aria-busy");
    text.textContent = before;
    if (old === null) spinner.remove();
    else spinner.replaceWith(old);
  }
}

/** Says what went wrong in the problem box of a form, and marks the input that is wrong. */
export function showProblem(scope, error) {
  clearProblem(scope);
  const { title, message, reason, field, tone } = explain(error);
  const input = field === "" ? null : scope.querySelector(`[name="${field}"]`);
  if (input !== null) {
    const line = element("span", "err");
    line.id = `${input.id}-error`;
    line.append(icon("warn"), element("span", "", `${title}. ${message}`));
    hintOf(input)?.replaceWith(line);
    if (!line.isConnected) input.after(line);
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", line.id);
    input.focus();
    return;
  }
  const box = element("div", `callout ${tone}`);
  box.append(icon(tone === "bad" ? "warn" : "info"), element("b", "", title), element("p", "", message));
  if (reason !== "") box.append(element("code", "reason", reason));
  scope.querySelector(".problem").replaceChildren(box);
}

/** Takes back what showProblem said, and what the page said when it came. */
export function clearProblem(scope) {
  scope.querySelector(".notice")?.remove();
  scope.querySelector(".problem").replaceChildren();
  for (const input of scope.querySelectorAll("[aria-invalid]")) {
    const line = document.getElementById(`${input.id}-error`);
    const hint = hintOf(input);
    input.removeAttribute("aria-invalid");
    input.removeAttribute("aria-describedby");
    if (hint === undefined) {
      line.remove();
      continue;
    }
    line.replaceWith(hint);
    input.setAttribute("aria-describedby", hint.id);
  }
}

const hints = new Map();

/** The hint below an input, whose place an error takes meanwhile. */
function hintOf(input) {
  const hint = input.parentElement.querySelector(".hint");
  if (hint !== null) hints.set(input, hint);
  return hints.get(input);
}

function toast(text) {
  const box = element("div", "toast");
  box.append(icon("okc"), element("p", "", text));
  document.getElementById("toasts").append(box);
  setTimeout(() => box.remove(), 5000);
}

const waitingToast = sessionStorage.getItem(toastKey);
if (waitingToast !== null) {
  sessionStorage.removeItem(toastKey);
  toast(waitingToast);
}

document.getElementById("sign-out")?.addEventListener("click", async () => {
  try {
    go((await bank("DELETE", "/session")).next);
  } catch (error) {
    toast(explain(error).message);
  }
});
