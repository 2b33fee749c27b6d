"use strict";

// Everything is readable without this: it adds the values under the pointer, larger plots and copied commands.

function nearestIndex(steps, step) {
  let best = 0;
  steps.forEach((other, i) => {
    if (Math.abs(other - step) < Math.abs(steps[best] - step)) best = i;
  });
  return best;
}

function cell(row, text, kind) {
  const made = row.appendChild(document.createElement("td"));
  if (kind) made.className = kind;
  made.textContent = text;
  return made;
}

function number(value) {
  return Number(value.toPrecision(4)).toLocaleString("en").replace("-", "−");
}

function fillTip(tip, data, step) {
  tip.replaceChildren();
  const head = tip.appendChild(document.createElement("p"));
  head.textContent = "step " + step.toLocaleString("en");
  const table = tip.appendChild(document.createElement("table"));
  for (const series of data.series) {
    const i = nearestIndex(series.steps, step);
    if (!series.steps.length || step > series.steps[series.steps.length - 1]) continue;
    const row = table.insertRow();
    cell(row, "", "swatch " + series.color);
    cell(row, series.label);
    cell(row, number(series.values[i]), "number");
    cell(row, series.low ? "[" + number(series.low[i]) + ", " + number(series.high[i]) + "]" : "", "number");
  }
}

function follow(figure) {
  const script = figure.querySelector("script");
  if (!script) return;
  const data = JSON.parse(script.textContent);
  const svg = figure.querySelector("svg"), cross = figure.querySelector(".cross"), tip = figure.querySelector(".tip");
  const steps = [...new Set(data.series.flatMap((series) => series.steps))].sort((a, b) => a - b);
  if (!steps.length) return;
  const [low, high, start, end] = data.x;
  let at = steps.length - 1;

  function show(i) {
    at = i;
    const x = start + ((steps[i] - low) / (high - low)) * (end - start);
    cross.setAttribute("x1", x);
    cross.setAttribute("x2", x);
    cross.removeAttribute("hidden");
    fillTip(tip, data, steps[i]);
    tip.hidden = false;
    const scale = svg.clientWidth / svg.viewBox.baseVal.width, room = figure.clientWidth - tip.offsetWidth;
    const beside = x * scale + 12 > room ? x * scale - tip.offsetWidth - 12 : x * scale + 12;
    tip.style.left = Math.max(0, Math.min(room, beside)) + "px";
  }

  function hide() {
    cross.setAttribute("hidden", "");
    tip.hidden = true;
  }

  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    show(nearestIndex(steps, low + ((x - start) / (end - start)) * (high - low)));
  });
  svg.addEventListener("pointerleave", hide);
  svg.addEventListener("blur", hide);
  svg.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!move) return;
    event.preventDefault();
    show(Math.max(0, Math.min(steps.length - 1, tip.hidden ? at : at + move)));
  });
}

document.querySelectorAll(".chart").forEach(follow);
document.querySelectorAll(".zoom").forEach((button) => {
  button.addEventListener("click", () => button.closest("figure").classList.toggle("large"));
});
