// A new customer's first passkey, and the first sign-in with it.

import { biocore, bank, busy, clearProblem, openSession, showProblem } from "./page.js";
import { setStatus } from "./panel.js";

const form = document.getElementById("enroll");
const button = document.getElementById("enroll-button");
const done = document.getElementById("enrolled");
const stages = [...document.querySelectorAll("#stages li")];
let token; // {value, name, email}: good until used, so a closed prompt needs no second one
let userId;

function showStage(current) {
  stages.forEach((stage, index) => {
    stage.classList.toggle("done", index < current);
    if (index === current) stage.setAttribute("aria-current", "step");
    else stage.removeAttribute("aria-current");
  });
}

async function registrationToken(name, email) {
  if (token?.name !== name || token.email !== email) {
    const answer = await bank("POST", "/customers", { name, email });
    token = { value: answer.registrationToken, name, email };
  }
  return token.value;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  clearProblem(form);
  void busy(button, "Waiting for your device…", async () => {
    try {
      const value = await registrationToken(form.elements.name.value, form.elements.email.value);
      showStage(1);
      setStatus("Your device makes a passkey");
      const { user, credential } = await biocore.register({ registrationToken: value });
      userId = user.id;
      form.hidden = true;
      done.hidden = false;
      document.getElementById("enrolled-by").textContent = credential.authenticatorName;
      document.getElementById("enrolled-title").focus();
      showStage(2);
      setStatus("The passkey is stored");
    } catch (error) {
      if (error.reason !== "USER_CANCELLED") token = undefined;
      showStage(0);
      showProblem(form, error);
      setStatus("No passkey was made");
    }
  });
});

document.getElementById("first-sign-in").addEventListener("click", (event) => {
  clearProblem(done);
  void busy(event.currentTarget, "Waiting for your passkey…", async () => {
    setStatus("Waiting for the passkey");
    try {
      await openSession(await biocore.signIn({ userId }));
    } catch (error) {
      showProblem(done, error);
      setStatus("Not signed in");
    }
  });
});

button.disabled = false;
