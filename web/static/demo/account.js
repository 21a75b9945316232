// The account: add, rename and remove passkeys.

import { BiocoreError } from "../biocore.js";
import { biocore, bank, busy, clearProblem, go, showProblem } from "./page.js";
import { setStatus } from "./panel.js";

const menu = document.getElementById("passkey-menu");
let opener; // the button that opened the menu
let row; // and its passkey

for (const button of document.querySelectorAll("[popovertarget=passkey-menu]")) {
  button.addEventListener("click", () => {
    opener = button;
    row = button.closest("[data-passkey]");
    placeMenu();
  });
}
addEventListener("resize", placeMenu);
addEventListener("scroll", () => menu.hidePopover(), { passive: true });

/** Puts the menu below its button. Anchor positioning is younger than the browsers that have passkeys. */
function placeMenu() {
  if (opener === undefined) return;
  const box = opener.getBoundingClientRect();
  menu.style.top = `${box.bottom + 4}px`;
  menu.style.right = `${document.documentElement.clientWidth - box.right}px`;
}

menu.addEventListener("toggle", (event) => {
  if (event.newState === "open") menu.querySelector("button").focus();
});

/** Prepares a dialog and returns what opens it; work runs on submit, with a signal that giving up fires. */
function dialog(id, label, work) {
  const element = document.getElementById(id);
  const form = element.querySelector("form");
  let controller;
  // Not on "close": Chromium fires that with the next frame, which may be after the dialog was opened again.
  const giveUp = () => controller?.abort();
  element.addEventListener("cancel", giveUp); // Escape, or Android's back
  element.querySelector("[data-close]").addEventListener("click", () => {
    giveUp();
    element.close();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearProblem(form);
    controller = new AbortController();
    const { signal } = controller;
    void busy(form.querySelector("button.primary"), label, async () => {
      try {
        await work(form, signal);
      } catch (error) {
        if (!signal.aborted) showProblem(form, error);
      }
    });
  });
  return (prepare) => {
    menu.hidePopover();
    form.reset();
    clearProblem(form);
    prepare?.(form);
    element.showModal();
    form.querySelector("input")?.select();
  };
}

const openAdd = dialog("add-dialog", "Waiting for your device…", async (form, signal) => {
  const nickname = form.elements.nickname.value.trim();
  const { registrationToken } = await bank("POST", "/passkeys");
  setStatus("Your device makes a passkey");
  try {
    await biocore.register({ registrationToken, signal, ...(nickname === "" ? {} : { nickname }) });
  } finally {
    setStatus("Signed in");
  }
  go("#passkeys", "Passkey added");
});

const openRename = dialog("rename-dialog", "Saving…", async (form) => {
  const { next } = await bank("PATCH", `/passkeys/${encodeURIComponent(row.dataset.passkey)}`, { nickname: form.elements.nickname.value });
  go(next, "Name saved");
});

const openRemove = dialog("remove-dialog", "Removing…", async () => {
  const { next, signals } = await bank("DELETE", `/passkeys/${encodeURIComponent(row.dataset.passkey)}`);
  if (signals !== undefined) {
    try {
      await biocore.signalAllAcceptedCredentials(signals.allAcceptedCredentials);
    } catch (error) {
      // The passkey is gone whether or not this browser's password manager heard of it.
      if (!(error instanceof BiocoreError)) throw error;
    }
  }
  go(next, "Passkey removed");
});

document.getElementById("add-passkey").addEventListener("click", () => openAdd());
document.getElementById("menu-rename").addEventListener("click", () => openRename((form) => {
  form.elements.nickname.value = row.dataset.nickname;
}));
document.getElementById("menu-remove").addEventListener("click", () => openRemove((form) => {
  form.querySelector("#remove-name").textContent = `“${row.dataset.nickname}”`;
  form.querySelector("#remove-in-use").hidden = row.dataset.inUse === undefined;
}));
