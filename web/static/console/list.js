// What lists do beside links and forms: rows that are picked, and parts of a page that keep themselves up to date.

/** Rows that are picked: the head's checkbox picks all, and the bar says how many. */
function picks(form) {
  const all = form.querySelector("[data-pick-all]");
  const boxes = () => [...form.querySelectorAll("[data-pick]")];
  const count = form.querySelector("[data-picked]");
  const tell = () => {
    const picked = boxes().filter((box) => box.checked);
    if (all !== null) {
      all.checked = picked.length > 0 && picked.length === boxes().length;
      all.indeterminate = picked.length > 0 && !all.checked;
    }
    if (count !== null) count.textContent = String(picked.length);
    for (const box of boxes()) box.closest("tr")?.setAttribute("aria-selected", String(box.checked));
  };
  all?.addEventListener("change", () => {
    for (const box of boxes()) box.checked = all.checked;
    tell();
  });
  form.addEventListener("change", tell);
  form.addEventListener("reset", () => queueMicrotask(tell));
  tell();
}

export function lists(scope) {
  for (const form of scope.querySelectorAll("form:has([data-pick])")) picks(form);
}

/**
 * An element with data-refresh is read again every so many seconds, from the page's own address, while somebody looks
 * at it, has nothing open or focused in it, and data-paused is not set; until it comes without data-refresh.
 */
export function refreshes(scope, ready) {
  for (const part of scope.querySelectorAll("[data-refresh][id]")) {
    const timer = setInterval(() => {
      if ("refresh" in (document.getElementById(part.id)?.dataset ?? {})) void again(part.id, ready);
      else clearInterval(timer);
    }, Number(part.dataset.refresh) * 1000);
  }
}

async function again(id, ready) {
  const now = document.getElementById(id);
  if (document.hidden || now === null || "paused" in now.dataset || now.contains(document.activeElement) || document.querySelector("dialog[open]") !== null) return;
  const response = await fetch(location.href, { credentials: "same-origin" }).catch(() => null);
  if (response === null || !response.ok || response.redirected) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const fresh = page.getElementById(id);
  if (fresh === null || now.contains(document.activeElement)) return;
  now.replaceWith(document.adoptNode(fresh));
  ready(fresh);
}
