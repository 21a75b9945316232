// What a page in the shell does beside what forms and links do: it copies, puts times into the reader's own, and asks for a
// passkey before a form that needs a fresh one goes out.

import { lists, refreshes } from "./list.js";
import { lives } from "./live.js";
import { busy, clearProblem, create, element, icon, localTime, showProblem, use } from "./page.js";
import "./chart.js";
import "./palette.js";

const toastFor = 6000;

function fade(box) {
  setTimeout(() => box.remove(), toastFor);
}

function toast(words) {
  const box = element("div", "toast");
  box.append(icon("okc"), element("p", "", words));
  document.getElementById("toasts").append(box);
  fade(box);
}

document.querySelectorAll("#toasts .toast").forEach(fade);

/** Makes what stands in a page, or in a part of it that came later, do what it says. */
function ready(scope) {
  for (const time of scope.querySelectorAll("time")) {
    const local = localTime(time.dateTime);
    time.title = `${local} (${time.title})`;
    if ("clock" in time.dataset) time.textContent = local;
  }
  lists(scope);
  for (const form of scope.querySelectorAll("form[data-fresh-until]")) confirms(form);
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (button === null) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    toast("Copied");
  } catch {
    getSelection().selectAllChildren(button.querySelector("[data-text]") ?? button.closest(".code-box")?.querySelector("pre") ?? button);
    toast("Press Ctrl+C or ⌘C to copy");
  }
});

const fresh = (scope) => Date.now() < Date.parse(scope.dataset.freshUntil);

function asks(form) {
  if ("ask" in form.dataset) return true;
  const roles = form.dataset.askRoles?.split(" ") ?? [];
  return roles.includes(form.elements.role?.value);
}

/** Has a form ask for a passkey before it goes out, where the last one is too long ago, unless by a button that saves nothing. */
function confirms(form) {
  let confirmed = false; // it goes out now
  form.addEventListener("submit", (event) => {
    if (confirmed || !asks(form) || fresh(form) || "draft" in (event.submitter?.dataset ?? {})) return;
    event.preventDefault();
    clearProblem(form);
    void busy(event.submitter ?? form.querySelector("button:not([type=button])"), "Waiting for your passkey…", async () => {
      try {
        await use("/stepup");
        confirmed = true;
        form.requestSubmit(event.submitter); // with the button's own address, name and value, which submit() leaves out
      } catch (error) {
        showProblem(form, error);
      } finally {
        confirmed = false;
      }
    });
  });
}

ready(document);
refreshes(document, ready);
lives(document, ready);

const add = document.getElementById("add-passkey");
if (add !== null) {
  const card = document.getElementById("passkeys");
  add.disabled = false;
  add.addEventListener("click", () => {
    clearProblem(card);
    void busy(add, "Waiting for your device…", async () => {
      try {
        if (!fresh(card)) await use("/stepup");
        const { next } = await create("/account/passkeys", {});
        location.href = next;
      } catch (error) {
        showProblem(card, error);
      }
    });
  });
}

// After a refusal the first field that is wrong has the focus; where none is, what is said of the form.
document.querySelector("main [aria-invalid=true]")?.focus();

// How long something still lasts, by the second. What is over goes, and so does a page that was only lent.
for (const clock of document.querySelectorAll("[data-until]")) {
  const end = Date.parse(clock.dataset.until);
  const tick = () => {
    const left = Math.max(0, Math.ceil((end - Date.now()) / 1000));
    clock.querySelector("[data-left]").textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    if (left > 0) return;
    clearInterval(timer);
    if ("leaves" in clock.dataset) location.reload();
  };
  const timer = setInterval(tick, 1000);
}

// A page that is slow to come shows that it does, once it is late.
const late = 300;

function going() {
  setTimeout(() => document.body.setAttribute("data-going", ""), late);
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href]");
  if (link === null || event.defaultPrevented || event.metaKey || event.ctrlKey || event.shiftKey) return;
  if (link.target === "" && !link.hasAttribute("download") && link.origin === location.origin && link.pathname + link.search !== location.pathname + location.search) going();
});
document.addEventListener("submit", (event) => {
  if (!event.defaultPrevented && !("file" in event.target.dataset)) going(); // a file leaves the page where it is
});
addEventListener("pageshow", () => document.body.removeAttribute("data-going"));
