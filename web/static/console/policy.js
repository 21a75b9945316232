// The editor of a policy: colours for what is typed, and what is wrong with it, as the server's parser says it.

import { element, icon, post } from "./page.js";

const form = document.getElementById("draft");
const field = document.getElementById("document");
const shown = document.getElementById("document-shown");
const error = document.getElementById("document-error");
const verdict = document.getElementById("document-verdict");
const { console: path } = document.body.dataset;

const tokens = /("(?:[^"\\\n]|\\.)*"?)(?=(\s*:)?)|(-?\d[\d.eE+-]*|true|false|null)|([{}[\],:]+)|([^"{}[\],:\d-]+|-)/g;

function colour(line) {
  const out = document.createDocumentFragment();
  for (const [whole, text, colon, word, mark] of line.matchAll(tokens)) {
    const kind = text !== undefined ? (colon !== undefined ? "tk" : "ts") : word !== undefined ? "tn" : mark !== undefined ? "tc" : "";
    out.append(element("span", kind, whole));
  }
  return out;
}

function draw(wrong) {
  const lines = field.value.split("\n").map((line, i) => {
    const row = element("span", i + 1 === wrong ? "line wrong" : "line");
    row.append(colour(line), "\n");
    return row;
  });
  shown.replaceChildren(...lines);
  follow();
}

function follow() {
  shown.scrollTop = field.scrollTop;
  shown.scrollLeft = field.scrollLeft;
}

const pause = 300; // milliseconds without typing before the server is asked
let waits;
let turn = 0;

async function check() {
  const mine = ++turn;
  let answer;
  try {
    answer = await post(form.dataset.check.slice(path.length), { document: field.value });
  } catch {
    if (mine === turn) verdict.replaceChildren(); // the form says it when it is sent
    return;
  }
  if (mine !== turn) return;
  const good = answer.message === undefined;
  verdict.replaceChildren(icon(good ? "okc" : "badc"), good ? "Valid" : `Line ${answer.line}`);
  verdict.classList.toggle("good", good);
  verdict.classList.toggle("bad", !good);
  error.replaceChildren();
  if (good) {
    field.removeAttribute("aria-invalid");
  } else {
    field.setAttribute("aria-invalid", "true");
    error.append(icon("warn"), `Line ${answer.line}, column ${answer.column}: ${answer.field ? `${answer.field}. ` : ""}${answer.message}`);
  }
  draw(good ? 0 : answer.line);
}

if (field !== null) {
  field.parentElement.classList.add("live");
  draw(0);
  void check();
  field.addEventListener("scroll", follow, { passive: true });
  field.addEventListener("input", () => {
    draw(0);
    clearTimeout(waits);
    waits = setTimeout(() => void check(), pause);
  });
}
