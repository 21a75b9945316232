// What charts do beside what they show: they say the values below the pointer, and the times of day in the reader's own.

import { element } from "./page.js";

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const moment = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

function prepare(figure) {
  const data = JSON.parse(figure.dataset.chart);
  const n = data.times.length;
  const plot = figure.querySelector(".plot");
  const days = data.labels[0].includes(":") === false;
  const cross = element("div", "cross");
  const tip = element("div", "tip");
  cross.hidden = tip.hidden = true;
  plot.append(cross, tip);
  const columns = "columns" in figure.dataset;

  const show = (event) => {
    const box = plot.getBoundingClientRect();
    const at = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    const i = columns ? Math.min(n - 1, Math.floor(at * n)) : Math.round(at * (n - 1));
    const x = (columns ? (i + 0.5) / n : n > 1 ? i / (n - 1) : 0.5) * box.width;
    const rows = data.series.map((s) => {
      const row = element("div");
      const name = element("span");
      name.append(element("i", `swatch ${s.class}`), s.name);
      row.append(name, element("span", "", s.values[i]));
      return row;
    });
    // A day is one of UTC's, wherever the reader is.
    tip.replaceChildren(element("b", "", days ? `${data.labels[i]} UTC` : moment.format(new Date(data.times[i]))), ...rows);
    cross.hidden = tip.hidden = false;
    cross.style.left = `${x}px`;
    const width = tip.offsetWidth;
    tip.style.left = `${x + 12 + width > box.width ? Math.max(0, x - 12 - width) : x + 12}px`;
  };
  plot.addEventListener("pointermove", show);
  plot.addEventListener("pointerdown", show);
  plot.addEventListener("pointerleave", () => { cross.hidden = tip.hidden = true; });
}

/** Prepares the charts in a part of the page that has just come. */
export function charts(scope) {
  for (const figure of scope.querySelectorAll("[data-chart]")) prepare(figure);
  for (const tick of scope.querySelectorAll("[data-tick]")) {
    if (tick.textContent.includes(":")) tick.textContent = clock.format(new Date(tick.dataset.tick));
  }
}

charts(document);
