"use strict";

// The list of runs and the chosen ones' sections are asked for again and again; the server sends what has changed.

const PERIOD = 2000, AGAIN = 50, LONGEST = 15000;  // milliseconds between two questions
const NEWEST = 8;  // runs that are shown until somebody chooses
const LISTED = 200;  // runs in the list, until more are wanted

const byId = (id) => document.getElementById(id);
const list = byId("runs"), report = byId("report"), say = byId("status");
const runs = new Map(), items = new Map(), tags = new Map();
let epoch = "", cursor = 0, chosen = fromAddress(), limit = LISTED, timer = 0, busy = false, wanted = false, wait = PERIOD;

function fromAddress() {
  const found = /^#runs=(.*)$/.exec(location.hash);
  try {
    return found ? new Set(found[1].split(",").filter(Boolean).map(decodeURIComponent)) : null;
  } catch (error) {
    return null;
  }
}

async function ask(path) {
  const response = await fetch(path, { cache: "no-store" });
  if (!response.ok) throw new Error((await response.text()).slice(0, 300) || response.statusText);
  return response.json();
}

// ---- the list

function order(a, b) {
  const first = Number(b.state === "running") - Number(a.state === "running");
  return first || (a.state === "running" ? 0 : b.changed - a.changed) || (a.name < b.name ? -1 : 1);
}

function matches(run, words) {
  const text = [run.name, run.about, run.state].join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

function listed() {
  const words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  return [...runs.values()].sort(order).filter((run) => matches(run, words));
}

function shown() {
  if (chosen) return [...runs.values()].filter((run) => chosen.has(run.name));
  return [...runs.values()].sort(order).filter((run) => run.state && run.state !== "damaged").slice(0, NEWEST);
}

function part(parent, tag, kind, text) {
  const made = parent.appendChild(document.createElement(tag));
  if (kind) made.className = kind;
  if (text !== undefined) made.textContent = text;
  return made;
}

function item(run) {
  const made = document.createElement("li"), label = part(made, "label");
  const box = part(label, "input");
  box.type = "checkbox";
  box.addEventListener("change", () => {
    if (!chosen) chosen = new Set(shown().map((one) => one.name));
    if (box.checked) chosen.add(run.name);
    else chosen.delete(run.name);
    choose();
  });
  part(label, "span", "name", run.name);
  part(made, "p", "facts");
  return made;
}

function fill(made, run) {
  const facts = made.querySelector(".facts");
  facts.replaceChildren();
  made.className = run.state || "unread";
  part(facts, "span", "state", run.state || "not read yet");
  for (const key of ["steps", "last", "speed"]) if (run[key]) part(facts, "span", key, run[key]);
  if (run.state === "running" && run.share !== undefined) {
    const bar = part(facts, "progress");
    bar.max = 1;
    bar.value = run.share;
    bar.setAttribute("aria-label", "steps of " + run.name);
  }
  if (run.note) part(facts, "span", "note", run.note);
}

function drawList() {
  const all = listed(), marked = new Set(shown().map((run) => run.id));
  let place = list.firstChild;
  for (const run of all.slice(0, limit)) {
    if (!items.has(run.id)) items.set(run.id, { element: item(run), run: null });
    const held = items.get(run.id);
    if (held.run !== run) fill(held.element, run);
    held.run = run;
    const box = held.element.querySelector("input");
    if (box.checked !== marked.has(run.id)) box.checked = marked.has(run.id);
    if (held.element === place) place = place.nextSibling;
    else list.insertBefore(held.element, place);
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
  byId("more").hidden = all.length <= limit;
  byId("more").textContent = "Show more of " + all.length.toLocaleString("en");
  byId("newest").setAttribute("aria-pressed", String(!chosen));
}

function takeRuns(answer) {
  if (answer.epoch !== epoch) {
    runs.clear();
    items.clear();
    tags.clear();
  }
  epoch = answer.epoch;
  cursor = answer.cursor;
  for (const run of answer.runs) runs.set(run.id, run);
  for (const id of answer.gone) {
    runs.delete(id);
    items.delete(id);
  }
}

// ---- the sections

function key(node) {
  if (node.nodeType !== Node.ELEMENT_NODE) return "";
  const file = node.tagName === "FIGURE" && node.querySelector("video[src], .zoom > img");
  return file ? file.getAttribute("src") : node.id;
}

// Elements that stay are changed in place, so that a video goes on, and what was opened, scrolled or focused stays so.
function morph(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  const own = (name) => name === "open" || (name === "class" && old.classList.contains("large"));
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && !own(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value && !own(name)) old.setAttribute(name, value);
  }
  morphChildren(old, fresh);
}

function morphChildren(old, fresh) {
  const keyed = new Map([...old.children].filter(key).map((child) => [key(child), child]));
  let place = old.firstChild;
  for (const node of [...fresh.childNodes]) {
    const alike = place && !key(place) && place.nodeName === node.nodeName ? place : null;
    const match = key(node) ? keyed.get(key(node)) : alike;
    if (match && match.nodeName === node.nodeName) {
      if (match === place) place = place.nextSibling;
      else old.insertBefore(match, place);
      morph(match, node);
    } else old.insertBefore(node, place);
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

function parsed(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
}

function takeSections(sections) {
  if (!sections.length) return;
  let place = report.firstChild;
  for (const section of sections) {
    let element = byId("section-" + section.key);
    if (!element) {
      element = document.createElement("section");
      element.id = "section-" + section.key;
    }
    if (element !== place) report.insertBefore(element, place);
    else place = place.nextSibling;
    if (section.html !== undefined) morphChildren(element, parsed(section.html));
    tags.set(section.key, section.tag);
  }
  while (place) {
    const next = place.nextSibling;
    tags.delete(place.id.replace("section-", ""));
    place.remove();
    place = next;
  }
  enliven(report);
  const under = document.querySelector(".chart svg:hover");
  if (under && pointer) under.dispatchEvent(new PointerEvent("pointermove", pointer));
}

let pointer = null;
document.addEventListener("pointermove", (event) => {
  if (event.isTrusted) pointer = { clientX: event.clientX, clientY: event.clientY };
});

// ---- asking

function ranges(ids) {
  const sorted = [...ids].sort((a, b) => a - b), found = [];
  for (const id of sorted) {
    const last = found[found.length - 1];
    if (last && last[1] === id - 1) last[1] = id;
    else found.push([id, id]);
  }
  return found.map(([first, last]) => (first === last ? first : first + "-" + last)).join(",");
}

function counted(found, answer) {
  const going = [...runs.values()].filter((run) => run.state === "running").length;
  const parts = [runs.size.toLocaleString("en") + (runs.size === 1 ? " run, " : " runs, ") + going + " running"];
  if (found.opened < found.found) parts.push("opened " + found.opened + " of " + found.found);
  if (answer.unread) {
    const share = Math.floor(100 * (1 - answer.unread / answer.size));
    parts.push("read " + share + "% of " + (answer.size / 1e6).toFixed(0) + " MB");
  }
  document.title = (going ? going + " running – " : "") + document.querySelector("h1").textContent;
  return [...parts, found.note, answer.note].filter(Boolean).join("; ");
}

async function turn() {
  const found = await ask("runs?epoch=" + epoch + "&since=" + cursor);
  takeRuns(found);
  drawList();
  const ids = ranges(shown().map((run) => run.id));
  const answer = await ask("report?runs=" + ids + "&have=" + [...tags.values()].join(","));
  takeSections(answer.sections);
  say.textContent = counted(found, answer);
  return found.opened < found.found || answer.unread ? AGAIN : PERIOD;
}

async function go() {
  clearTimeout(timer);
  if (busy) {
    wanted = true;
    return;
  }
  busy = true;
  try {
    wait = await turn();
  } catch (error) {
    say.textContent = "No answer; trying again: " + error.message;
    wait = Math.min(LONGEST, 2 * Math.max(wait, PERIOD));
  }
  busy = false;
  if (!document.hidden) timer = setTimeout(go, wanted ? 0 : wait);
  wanted = false;
}

function choose() {
  const names = chosen && [...chosen].sort().map(encodeURIComponent).join(",");
  history.replaceState(null, "", chosen ? "#runs=" + names : location.pathname);
  drawList();
  go();
}

byId("filter").addEventListener("input", drawList);
byId("newest").addEventListener("click", () => {
  chosen = null;
  choose();
});
byId("matching").addEventListener("click", () => {
  chosen = new Set(listed().map((run) => run.name));
  choose();
});
byId("none").addEventListener("click", () => {
  chosen = new Set();
  choose();
});
byId("more").addEventListener("click", () => {
  limit += LISTED;
  drawList();
});
addEventListener("hashchange", () => {
  chosen = fromAddress();
  drawList();
  go();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) go();
});
go();
