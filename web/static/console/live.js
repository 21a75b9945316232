// Lists that are told what happens, as it happens. A page without EventSource, or whose stream was refused, reads itself
// anew instead where it has data-refresh.

const maxRows = 100; // of a list; a table says how many
const maxBegun = 10; // anybody may begin
const maxHeld = 100; // rows that wait while somebody reads
const hiddenFor = 30_000; // then a page that nobody looks at lets its stream go
const sayEvery = 5_000;

export function lives(scope, ready) {
  if (!("EventSource" in window)) return;
  for (const list of scope.querySelectorAll("[data-live]")) live(list, ready);
}

function live(list, ready) {
  const part = list.closest("section");
  const rows = list.querySelector("tbody") ?? list.querySelector("ul") ?? document.createElement("ul");
  const most = Number(list.dataset.liveRows ?? maxRows);
  const state = part.querySelector("[data-live-state]");
  const more = part.querySelector("[data-live-new]");
  const says = part.querySelector("[data-live-says]");
  const pause = part.querySelector("[data-live-pause]");
  const scroller = list.closest(".pane") ?? list;
  let source;
  let paused = false;
  let last = ""; // id of the last event
  let held = []; // the oldest first
  let said = 0;

  const show = (words, badge) => {
    state.firstElementChild.className = `badge ${badge}`;
    state.firstElementChild.textContent = words;
  };
  const reads = () => paused || scroller.scrollTop > 8 || list.contains(document.activeElement);
  const count = () => held.filter((row) => row.name === "finished").length;

  /** Says how many wait, to the eye at once and to the ear now and then. */
  const tell = () => {
    more.hidden = held.length === 0;
    more.textContent = `${held.length} new`;
    if (count() === 0 || Date.now() - said < sayEvery) return;
    said = Date.now();
    says.textContent = `${count()} new`;
  };

  const find = (key) => [...rows.children].find((row) => row.dataset.key === key);

  const put = ({ key, replaces, html }) => {
    if (rows.parentNode === null) list.replaceChildren(rows); // it was empty, and said so
    const box = document.createElement("template");
    box.innerHTML = html; // as the server draws it: every text in it is escaped
    const row = box.content.firstElementChild;
    for (const was of [find(key), find(replaces)]) {
      if (was?.querySelector("[aria-current]")) row.querySelector("a").setAttribute("aria-current", "true");
      was?.remove();
    }
    row.classList.add("fresh");
    rows.prepend(row);
    ready(row);
    left(rows);
    const begun = [...rows.children].filter((one) => "begun" in one.dataset);
    begun.slice(maxBegun).forEach((one) => one.remove());
    while (rows.children.length > most) rows.lastElementChild.remove();
  };

  const take = (name, data) => {
    if (!reads()) {
      put(data);
      return;
    }
    held = held.filter((row) => row.data.key !== data.key && row.data.key !== data.replaces);
    held.push({ name, data });
    if (held.length > maxHeld) held.shift();
    tell();
  };

  const release = () => {
    const waiting = held;
    held = [];
    for (const row of waiting) put(row.data);
    tell();
  };

  const close = () => {
    source?.close();
    source = undefined;
  };

  const open = () => {
    const address = new URL(list.dataset.live, location.href);
    if (last !== "") address.searchParams.set("after", last);
    source = new EventSource(address);
    list.dataset.paused = ""; // no need to read the page anew
    source.addEventListener("open", () => {
      show(paused ? "Paused" : "Live", paused ? "idle" : "ok");
    });
    for (const name of ["begun", "finished"]) {
      source.addEventListener(name, (event) => {
        if (event.lastEventId !== "") last = event.lastEventId;
        take(name, JSON.parse(event.data));
      });
    }
    source.addEventListener("gap", () => {
      says.textContent = "Some were left out: load the page anew to see them";
      show("Live, with gaps", "warn");
    });
    source.addEventListener("end", (event) => {
      const { reason } = JSON.parse(event.data);
      if (reason === "SERVER_STOPPING" || reason === "STREAM_TOO_SLOW") return; // the browser comes back by itself
      close();
      show("Ended", "idle");
      delete list.dataset.paused;
    });
    source.addEventListener("error", () => {
      if (source?.readyState === EventSource.CLOSED) {
        close();
        show("Not live", "idle");
        delete list.dataset.paused;
      } else if (source !== undefined) {
        show("Connecting", "idle");
      }
    });
  };

  more.addEventListener("click", () => {
    scroller.scrollTop = 0;
    release();
    rows.querySelector("a")?.focus({ preventScroll: true });
  });
  scroller.addEventListener("scroll", () => {
    if (!reads()) release();
  }, { passive: true });
  list.addEventListener("focusout", () => queueMicrotask(() => {
    if (!reads()) release();
  }));
  pause?.addEventListener("click", (event) => {
    event.preventDefault();
    paused = !paused;
    const label = pause.dataset.livePause;
    pause.dataset.livePause = pause.getAttribute("aria-label");
    pause.setAttribute("aria-label", label);
    pause.title = label;
    const use = pause.querySelector("use");
    use.setAttribute("href", use.getAttribute("href").replace(/#.*/u, paused ? "#play" : "#pause"));
    show(paused ? "Paused" : "Live", paused ? "idle" : "ok");
    if (!reads()) release();
  });
  let away;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(away);
    if (document.hidden) away = setTimeout(close, hiddenFor);
    else if (source === undefined && "paused" in list.dataset) open();
  });
  addEventListener("pagehide", close); // a connection that is kept keeps others waiting
  setInterval(() => left(rows), 1000);
  open();
}

/** How long what has begun may still be finished. */
function left(rows) {
  for (const row of rows.querySelectorAll("[data-begun]")) {
    const seconds = Math.ceil((Date.parse(row.dataset.begun) - Date.now()) / 1000);
    row.querySelector("[data-live-left]").textContent = seconds > 0
      ? `Challenge live for ${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`
      : "Never finished";
  }
}
