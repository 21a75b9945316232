// The palette: ⌘K or Ctrl+K opens a search for pages, objects and tenants. Without this script the same is a page.

import { element, icon } from "./page.js";

const dialog = document.getElementById("palette");
const ask = document.getElementById("palette-ask");
const list = document.getElementById("palette-hits");
const none = dialog.querySelector(".none");
const waitFor = 120; // ms without a key before the server is asked

let options = [];
let at = -1;
let timer;
let asked; // the request that is under way

function choose(index) {
  options[at]?.setAttribute("aria-selected", "false");
  at = options.length === 0 ? -1 : (index + options.length) % options.length;
  if (at < 0) {
    ask.removeAttribute("aria-activedescendant");
    return;
  }
  options[at].setAttribute("aria-selected", "true");
  options[at].scrollIntoView({ block: "nearest" });
  ask.setAttribute("aria-activedescendant", options[at].id);
}

/** The label, with what was typed marked in it. */
function marked(label, typed) {
  const line = element("span", "label");
  const from = typed === "" ? -1 : label.toLowerCase().indexOf(typed.toLowerCase());
  if (from < 0) {
    line.textContent = label;
    return line;
  }
  line.append(label.slice(0, from), element("mark", "", label.slice(from, from + typed.length)), label.slice(from + typed.length));
  return line;
}

function show(groups, typed) {
  options = [];
  const parts = groups.map(({ label, items }, number) => {
    const part = element("ul");
    part.setAttribute("role", "group");
    const head = element("li", "hits-h", label);
    head.id = `palette-group-${number}`;
    head.setAttribute("role", "presentation");
    part.setAttribute("aria-labelledby", head.id);
    part.append(head);
    for (const one of items) {
      const option = element("li");
      option.id = `palette-option-${options.length}`;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", "false");
      option.dataset.href = one.href;
      option.append(icon(one.icon), marked(one.label, typed.replace(/^@/, "")));
      if (one.note) option.append(element("small", "", one.note));
      const index = options.push(option) - 1;
      option.addEventListener("mousemove", () => choose(index));
      option.addEventListener("click", (event) => go(event.metaKey || event.ctrlKey));
      part.append(option);
    }
    return part;
  });
  list.replaceChildren(...parts);
  none.hidden = options.length > 0;
  none.textContent = none.hidden ? `${options.length} found` : "Nothing that you may see fits.";
  choose(0);
}

function go(elsewhere) {
  if (at < 0) return;
  const { href } = options[at].dataset;
  if (elsewhere) window.open(href, "_blank", "noopener");
  else location.href = href;
}

async function look() {
  asked?.abort();
  asked = new AbortController();
  const typed = ask.value.trim();
  try {
    const response = await fetch(`${dialog.dataset.search}?${new URLSearchParams({ q: typed })}`, {
      headers: { accept: "application/json" }, credentials: "same-origin", signal: asked.signal,
    });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    const { groups } = await response.json();
    if (ask.value.trim() === typed) show(groups, typed);
  } catch (error) {
    if (error.name === "AbortError") return;
    list.replaceChildren();
    options = [];
    choose(0);
    none.hidden = false;
    none.textContent = "The search does not answer. Try again in a moment.";
  }
}

function open() {
  if (dialog.open) return;
  ask.value = "";
  dialog.showModal();
  ask.focus();
  void look();
}

ask.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(look, waitFor);
});

ask.addEventListener("keydown", (event) => {
  switch (event.key) {
    case "ArrowDown": choose(at + 1); break;
    case "ArrowUp": choose(at - 1); break;
    case "Enter": go(event.metaKey || event.ctrlKey); break;
    default: return;
  }
  event.preventDefault();
});

dialog.addEventListener("click", (event) => {
  if (event.target === dialog || event.target.closest(".esc") !== null) dialog.close();
});

document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() === "k" && (event.metaKey || event.ctrlKey) && !event.altKey && !event.shiftKey) {
    event.preventDefault();
    open();
  }
});

document.querySelector("[data-palette]")?.addEventListener("click", (event) => {
  if (event.metaKey || event.ctrlKey) return;
  event.preventDefault();
  open();
});

if (!/Mac|iPhone|iPad/.test(navigator.platform)) {
  for (const key of document.querySelectorAll(".omni kbd")) key.textContent = "Ctrl K";
}
