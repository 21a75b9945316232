// The front page: passkeys in the email field's autofill, and a button for everybody else.

import { Biocore } from "../biocore.js";
import { biocore, busy, clearProblem, openSession, showProblem } from "./page.js";
import { setStatus } from "./panel.js";

const form = document.getElementById("sign-in");
const button = document.getElementById("sign-in-button");
const email = form.elements.email;
let waiting = false;

/** Offers passkeys in the field's autofill, and waits there until one is picked. */
async function offerAutofill() {
  if (waiting) return;
  if (!(await biocore.isConditionalAvailable())) {
    email.placeholder = "name@example.com";
    setStatus(Biocore.isSupported() ? "Ready" : "This browser has no passkeys");
    return;
  }
  waiting = true;
  setStatus("Waiting for the passkey");
  try {
    const result = await biocore.signIn({ mediation: "conditional" });
    clearProblem(form);
    await openSession(result);
  } catch (error) {
    // The person asked for nothing here: an offer that was not taken is no failure of theirs.
    if (error.reason === "USER_CANCELLED") setStatus("Ready");
    else if (error.reason !== "ABORTED") {
      showProblem(form, error);
      setStatus("Not signed in");
    }
  } finally {
    waiting = false;
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  clearProblem(form);
  void busy(button, "Waiting for your passkey…", async () => {
    const externalId = email.value.trim().toLowerCase();
    setStatus("Waiting for the passkey");
    try {
      await openSession(await biocore.signIn(externalId === "" ? {} : { externalId }));
    } catch (error) {
      showProblem(form, error);
      void offerAutofill();
    }
  });
});

// A failed offer is not repeated by itself, or a refusing server would be asked in a loop: the person's next touch does.
email.addEventListener("focus", () => void offerAutofill());
button.disabled = false;
void offerAutofill();
