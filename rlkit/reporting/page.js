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
  const svg = figure.querySelector("svg"), cross = figure.querySelector(".cross"), tip = figure.querySelector(".tip");
  let text = "", data, steps, low, high, start, end, at;

  // A live page writes another text when a curve has grown.
  function read() {
    if (text === script.textContent) return;
    text = script.textContent;
    data = JSON.parse(text);
    steps = [...new Set(data.series.flatMap((series) => series.steps))].sort((a, b) => a - b);
    [low, high, start, end] = data.x;
    at = steps.length - 1;
  }

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
    read();
    if (!steps.length) return;
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
    read();
    if (!steps.length) return;
    show(Math.max(0, Math.min(steps.length - 1, tip.hidden ? at : at + move)));
  });
}

const enlivened = new WeakSet();

function enliven(root) {
  for (const figure of root.querySelectorAll(".chart")) {
    if (!enlivened.has(figure)) follow(figure);
    if (figure.querySelector("script")) enlivened.add(figure);
  }
}

enliven(document);
document.addEventListener("click", (event) => {
  const button = event.target.closest(".zoom");
  if (button) button.closest("figure").classList.toggle("large");
});
