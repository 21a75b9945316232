// The gate: passkeys in the field's autofill, and a button for everybody else.

import { busy, clearProblem, offersAutofill, showProblem, use } from "./page.js";

const form = document.getElementById("sign-in");
const button = document.getElementById("sign-in-button");
const field = form.elements.name;
let waiting = false;

async function signIn(mediation) {
  const { next } = await use("/signin", { next: form.dataset.next }, mediation);
  location.href = next;
}

/** Offers passkeys in the field's autofill, and waits there until one is picked. */
async function offerAutofill() {
  if (waiting) return;
  if (!(await offersAutofill())) {
    field.closest(".field").hidden = true;
    form.querySelector(".or").hidden = true;
    return;
  }
  waiting = true;
  try {
    await signIn("conditional");
  } catch (error) {
    // The person asked for nothing here: an offer that was not taken is no failure of theirs.
    if (error.tone !== "info") showProblem(form, error);
  } finally {
    waiting = false;
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  clearProblem(form);
  void busy(button, "Waiting for your passkey…", async () => {
    try {
      await signIn("optional");
    } catch (error) {
      showProblem(form, error);
    }
  });
});

// A failed offer is not repeated by itself, or a refusing server would be asked in a loop: the person's next touch does.
field.addEventListener("focus", () => void offerAutofill());
button.disabled = false;
void offerAutofill();
