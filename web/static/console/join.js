// Where an invitation's link leads. The token stays in the address's fragment, which no server sees, and is posted when needed.

import { busy, clearProblem, create, localTime, post, showProblem, supported, use } from "./page.js";

const card = document.getElementById("join");
const title = document.getElementById("join-title");
const lead = document.getElementById("join-lead");
const [newcomer, member, first] = ["newcomer", "member", "first"].map((id) => document.getElementById(id));
const stages = [...document.querySelectorAll("#stages li")];
const token = location.hash.slice(1);

function showStage(current) {
  stages.forEach((stage, index) => {
    stage.classList.toggle("done", index < current);
    if (index === current) stage.setAttribute("aria-current", "step");
    else stage.removeAttribute("aria-current");
  });
}

function show(form) {
  for (const one of [newcomer, member, first]) one.hidden = one !== form;
}

function showInvitations(list) {
  const to = document.getElementById("invitations");
  const template = document.getElementById("invitation");
  for (const one of list) {
    const made = template.content.cloneNode(true);
    for (const [name, value] of Object.entries({ ...one, expires: localTime(one.expiresAt) })) {
      const at = made.querySelector(`[data-of="${name}"]`);
      if (at !== null) at.textContent = value;
    }
    to.append(made);
  }
  to.hidden = false;
}

async function look() {
  if (token === "") {
    title.textContent = "This is no invitation";
    lead.textContent = "The link is not whole. Copy all of it, or ask for it again.";
    return;
  }
  try {
    const { invitations, signedIn } = await post("/join/look", { token });
    const names = invitations.map((one) => one.tenant).join(" and ");
    title.textContent = `Join ${names}`;
    document.title = `Join ${names} · Biocore`;
    showInvitations(invitations);
    if (signedIn) {
      lead.textContent = "You are signed in. Join with this account, or sign out first to use another one.";
      showStage(1);
      show(member);
    } else if (supported()) {
      lead.textContent = "Your passkey is the only way in: your device makes it, and asks for your face, finger or PIN.";
      show(newcomer);
      newcomer.elements.name.focus();
    } else {
      lead.textContent = "This browser has no passkeys here. Open the link in a current browser, on https.";
    }
  } catch (error) {
    title.textContent = error.title ?? "That did not work";
    lead.textContent = error.message;
  }
}

async function accept() {
  const { next } = await post("/join/accept", { token });
  showStage(3);
  location.href = next;
}

newcomer.addEventListener("submit", (event) => {
  event.preventDefault();
  clearProblem(card);
  void busy(document.getElementById("create"), "Waiting for your device…", async () => {
    try {
      await create("/join", { token, name: newcomer.elements.name.value }, { token });
    } catch (error) {
      showProblem(card, error);
      return;
    }
    showStage(2);
    title.textContent = "Your passkey is ready";
    lead.textContent = "Sign in with it once, and you are in.";
    show(first);
    title.focus();
  });
});

first.addEventListener("submit", (event) => {
  event.preventDefault();
  clearProblem(card);
  void busy(document.getElementById("first-sign-in"), "Waiting for your passkey…", async () => {
    try {
      await use("/signin");
      await accept();
    } catch (error) {
      showProblem(card, error);
    }
  });
});

member.addEventListener("submit", (event) => {
  event.preventDefault();
  clearProblem(card);
  void busy(document.getElementById("accept"), "Joining…", async () => {
    try {
      await accept();
    } catch (error) {
      showProblem(card, error);
    }
  });
});

document.getElementById("have-account").addEventListener("click", () => {
  clearProblem(card);
  title.textContent = "Sign in and join";
  lead.textContent = "With the account that you have. It joins as it is, with its name.";
  showStage(1);
  show(first);
  title.focus();
});

// Another link in the same tab changes the fragment alone.
addEventListener("hashchange", () => location.reload());
void look();
