// Verifies an entry of the audit log in the browser: by its text, its number, the proof and the signed checkpoint, which the
// server sends, and by the log's key and a checkpoint that somebody has kept, which it does not. Says each step, and what
// it has not checked.

import { element, icon } from "./page.js";
import { Broken, base64, begins, bytes, holdsPrivate, leafHash, openCheckpoint, parseKey, rootOf, same } from "./merkle.js";

const part = document.getElementById("proof");
const keptOf = (origin) => `biocore.audit.${origin}`; // where this browser keeps a log's key and a checkpoint
const number = new Intl.NumberFormat("en");
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

async function ask(address) {
  const response = await fetch(address, { headers: { accept: "application/json" }, credentials: "same-origin" }).catch(() => null);
  if (response === null) throw new Error("The console could not be reached. Check your connection, then try again.");
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw Object.assign(new Error(answer.problem?.message ?? `The console answered HTTP ${response.status}.`), { title: answer.problem?.title, reason: answer.problem?.reason ?? "" });
  return answer;
}

function kept(origin) {
  try {
    const one = JSON.parse(localStorage.getItem(keptOf(origin)));
    return typeof one?.key === "string" && typeof one.note === "string" ? one : null;
  } catch {
    return null; // nothing that we have written, or no storage
  }
}

function line(state, name, detail) {
  const [mark, says] = { ok: ["okc", "holds"], bad: ["badc", "does not hold"], info: ["minus", "not checked"] }[state];
  const item = element("li", { ok: "pass", bad: "fail", info: "skip-step" }[state]);
  const words = element("div");
  const title = element("b", "", name);
  words.append(title, element("span", "vh", `: ${says}`), element("small", "", detail));
  item.append(icon(mark, "icon st"), words);
  return item;
}

function verdict(tone, title, words) {
  const box = element("div", `callout ${tone}`);
  box.append(icon({ ok: "shieldok", bad: "shieldbad", info: "info" }[tone]), element("b", "", title), element("p", "", words));
  part.querySelector("[data-verdict]").replaceChildren(box);
  part.dataset.verified = tone;
}

function shape(name, attributes, content = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = content;
  return made;
}

const short = (hash, wide) => {
  const hex = [...hash.slice(0, 2), ...hash.slice(-2)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return wide ? `${hex.slice(0, 4)}…${hex.slice(4)}` : hex.slice(0, 4);
};

/** Draws the lowest levels of what was computed: the path from the leaf up, and the hashes that were sent for it. */
function draw(leaf, levels) {
  const drawn = levels.slice(0, 3);
  const [width, high] = [436, 46];
  const svg = shape("svg", { class: "merkle", viewBox: `0 0 ${width} ${drawn.length * high + 26}`, "aria-hidden": "true" });
  const x = (row, i) => (width / 2 ** row) * (i + .5);
  const y = (row) => row * high + 2;
  const path = [0]; // of each row, from the top, the node on the path
  for (let row = 1; row <= drawn.length; row++) path.push(2 * path[row - 1] + (drawn[drawn.length - row].left ? 1 : 0));
  const box = (row, i, kind, hash) => {
    const w = Math.min(92, width / 2 ** row - 8);
    svg.append(shape("rect", { class: kind, x: x(row, i) - w / 2, y: y(row), width: w, height: 22, rx: 5 }));
    if (hash) svg.append(shape("text", { class: kind === "leaf" ? "inv" : "", x: x(row, i), y: y(row) + 15 }, short(hash, w > 80)));
  };
  for (let row = 1; row <= drawn.length; row++) {
    for (let i = 0; i < 2 ** row; i++) {
      svg.append(shape("line", { class: i === path[row] ? "on" : "", x1: x(row, i), y1: y(row), x2: x(row - 1, Math.floor(i / 2)), y2: y(row - 1) + 22 }));
    }
  }
  for (let row = 0; row <= drawn.length; row++) {
    const level = drawn.length - row; // of the path's node, above the leaf
    for (let i = 0; i < 2 ** row; i++) {
      if (i === path[row]) box(row, i, level === 0 ? "leaf" : "path", level === 0 ? leaf : levels[level - 1].root);
      else if (row > 0 && i === (path[row] ^ 1)) box(row, i, "sib", levels[level].hash);
      else box(row, i, "rest");
    }
  }
  part.querySelector("[data-tree]").replaceChildren(svg);
  part.querySelector("[data-levels]").textContent = levels.length > drawn.length ? `${drawn.length} of ${levels.length} levels drawn` : "";
  part.querySelector("[data-drawn]").hidden = false;
}

/** Holds what is private of an entry against the hashes that its text names. */
async function heldApart(named, parts) {
  const count = { kept: 0, erased: 0 };
  for (const [i, { subject, hash }] of named.entries()) {
    const part = parts[i];
    const who = subject ? "of a person" : "of nobody in particular";
    if (part?.state === "ERASED") count.erased++;
    else if (part?.state === "KEPT" && await holdsPrivate(part.text, hash)) count.kept++;
    else throw new Broken(`The part ${who} is not what the entry has the hash of.`);
  }
  if (parts.length !== named.length) throw new Broken("There are more parts than the entry names.");
  return count;
}

/** Verifies, and adds a line for each step. given are the key and the checkpoint of the form; empty for none. */
async function verify(steps, given) {
  const add = (...all) => steps.append(line(...all));
  const proof = await ask(part.dataset.proof);
  const mine = given.key === "" && given.note === "" ? kept(proof.checkpoint.origin) : null;
  const trusted = given.key || mine?.key || "";
  const early = given.note || mine?.note || "";
  const entry = `Entry ${number.format(proof.sequence)}`;
  const step = async (name, work, says) => {
    try {
      const out = await work();
      add("ok", name, says(out));
      return out;
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      add("bad", name, error.message);
      throw Object.assign(error, { title: `${entry} does not verify` });
    }
  };

  const key = await step("Key of the log", async () => {
    const one = await parseKey(trusted || proof.verifierKey);
    if (trusted !== "" && trusted.trim() !== proof.verifierKey) throw new Broken("The server shows another key than the one that was kept.");
    return one;
  }, (one) => `${one.name}. ${given.key ? "The one that you gave." : mine ? `Kept in this browser since ${day.format(new Date(mine.at))}.` : "As this server sends it; you have kept none."}`);
  let about;
  const leaf = await step("Leaf hash", async () => {
    const hash = await leafHash(proof.sequence, proof.entry);
    try {
      about = JSON.parse(proof.entry);
    } catch {
      throw new Broken("The entry’s text cannot be read.");
    }
    if (about.id !== part.dataset.entry || about.tenantId !== part.dataset.tenant) throw new Broken("The text is of another entry than the one on this page.");
    return hash;
  }, (hash) => base64(hash));
  if (about.private?.length) {
    await step("What is kept apart", () => heldApart(about.private, proof.private ?? []), ({ kept, erased }) => [
      kept && `Names, address and words, in ${kept === 1 ? "one part" : `${kept} parts`}: exactly what the entry has the hash of.`,
      erased && `${erased === 1 ? "One part was" : `${erased} parts were`} erased with the person: the hash is left.`,
    ].filter(Boolean).join(" "));
  }
  const signed = await step("Signature of the checkpoint", () => openCheckpoint(proof.checkpoint.note, key),
    (c) => `${number.format(c.size)} entries, root ${base64(c.root)}. ${c.signed ? "Ed25519, by that key." : ""}`);
  if (!signed.signed) {
    steps.lastChild.replaceWith(line("info", "Signature of the checkpoint", "This browser has no Ed25519, so nobody has checked it here."));
  }
  const levels = [];
  await step("Inclusion", async () => {
    const root = await rootOf(signed.size, proof.sequence, leaf, proof.hashes.map(bytes), (hash, left, out) => levels.push({ hash, left, root: out }));
    if (!same(root, signed.root)) throw new Broken(`${entry}: its text, its place or its proof is not what was signed. Computed root: ${base64(root)}`);
    return root;
  }, (root) => `From ${number.format(proof.hashes.length)} hashes the same root comes out: ${base64(root)}`);
  if (early === "") {
    add("info", "An earlier checkpoint", "You have kept none. With one it shows that nothing has changed since then.");
  } else {
    await step("An earlier checkpoint", async () => {
      const before = await openCheckpoint(early.endsWith("\n") ? early : `${early}\n`, key);
      const [earlier, later] = before.size <= signed.size ? [before, signed] : [signed, before];
      const growth = await ask(`${part.dataset.growth}?from=${earlier.size}&to=${later.size}`);
      await begins(earlier, later, growth.hashes.map(bytes));
      return before;
    }, (c) => `The log still begins with those ${number.format(c.size)} entries.`);
  }
  draw(leaf, levels);
  part.querySelector("[data-keep]").hidden = trusted !== "" && mine !== null;
  remember = () => localStorage.setItem(keptOf(proof.checkpoint.origin), JSON.stringify({ key: proof.verifierKey, note: proof.checkpoint.note, at: new Date().toISOString() }));

  const how = `Recomputed from ${number.format(proof.hashes.length)} hashes and held against the checkpoint over ${number.format(signed.size)} entries`;
  if (!signed.signed) {
    verdict("info", "Verified but for the signature", `${how}. This browser cannot check its signature: use a current one, or biocore audit verify.`);
  } else if (trusted === "") {
    verdict("info", "Verified, by the server’s own key", `${how}. The key is the one that this server shows: keep it, and later visits are held against it.`);
  } else {
    verdict("ok", "Verified in your browser", `${how}, by the key that ${given.key ? "you gave" : "you have kept here"}. This server’s word was not needed for that.`);
  }
}

let remember;

async function run(given = { key: "", note: "" }) {
  const button = part.querySelector("[data-verify]");
  if (button.getAttribute("aria-busy") === "true") return;
  button.setAttribute("aria-busy", "true");
  const steps = element("ol", "steps");
  for (const one of part.querySelectorAll("[data-drawn], [data-keep]")) one.hidden = true;
  try {
    await verify(steps, given);
  } catch (error) {
    if (error instanceof Broken) {
      verdict("bad", error.title ?? "This entry does not verify", error.message);
    } else if (error.reason === "AUDIT_EVENT_WAITING") {
      verdict("info", "Not under a checkpoint yet", "That takes a second or so. Verify again.");
    } else {
      verdict("bad", error.title ?? "Not verified", error.message);
    }
  } finally {
    part.querySelector("[data-steps]").replaceChildren(steps);
    button.removeAttribute("aria-busy");
  }
}

if (part !== null) {
  for (const one of part.querySelectorAll("[data-script]")) one.hidden = false;
  part.querySelector("[data-verify]").addEventListener("click", () => run());
  part.querySelector("[data-keep]").addEventListener("click", () => {
    try {
      remember();
      part.querySelector("[data-verify]").focus(); // this button goes away
      void run();
    } catch {
      verdict("bad", "Not kept", "This browser keeps nothing for this site. Keep the key and the checkpoint in a file.");
    }
  });
  part.querySelector("[data-given]").addEventListener("submit", (event) => {
    event.preventDefault();
    const { key, note } = event.target.elements;
    void run({ key: key.value.trim(), note: note.value.replaceAll("\r\n", "\n").trimStart() });
  });
  void run();
}
