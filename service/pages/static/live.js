// Keeps a page up to date while something goes on: each part is replaced by its namesake of a fresh copy of the page.
"use strict";
import { dress } from "./tips.js";

const main = document.getElementById("main");
const LEAST_SECONDS = 2;
let stream = null;
let timer = null;
let last = 0;

function soon(seconds) {
  const wait = Math.max(seconds, LEAST_SECONDS - (Date.now() - last) / 1000, 0);
  if (timer === null) timer = setTimeout(refresh, 1000 * wait);
}

async function refresh() {
  timer = null;
  last = Date.now();
  let seconds = Number(main.dataset.refresh);
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) throw new Error(answer.status);
    seconds = replace(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch {
    seconds = 10; // the service is away; what is shown stays
  }
  if (seconds) soon(seconds);
}

function replace(fresh) {
  for (const part of fresh.querySelectorAll("[data-part]")) {
    const old = document.getElementById(part.id);
    const source = part.outerHTML;
    if (!old || old.source === source) continue;
    keep(old, part);
    const focused = old.contains(document.activeElement) ? path(document.activeElement) : null;
    dress(part);
    old.replaceWith(part);
    part.source = source;
    if (focused) part.querySelector(focused)?.focus({ preventScroll: true });
  }
  const now = fresh.getElementById("main").dataset;
  main.dataset.refresh = now.refresh ?? "";
  if (!now.events) stop();
  return Number(now.refresh);
}

// What a person has opened or unticked stays so.
function keep(old, part) {
  for (const one of old.querySelectorAll("details[id], input[id]")) {
    const other = part.querySelector(`#${CSS.escape(one.id)}`);
    if (other && one.open !== undefined) other.open = one.open;
    if (other && one.type === "checkbox") other.checked = one.checked;
  }
}

function path(element) {
  if (element.id) return `#${CSS.escape(element.id)}`;
  const { row, column } = element.dataset;
  return row === undefined ? null : `[data-row="${row}"][data-column="${column}"]`;
}

function stop() {
  stream?.close();
  stream = null;
}

function follow(address) {
  stream = new EventSource(address);
  stream.addEventListener("study", (event) => {
    const study = JSON.parse(event.data);
    const bar = document.querySelector("#head progress");
    if (bar) bar.value = study.progress.fraction;
    soon(LEAST_SECONDS);
  });
  stream.addEventListener("end", () => {
    stop();
    soon(0);
  });
}

if (main.dataset.events) follow(main.dataset.events);
if (main.dataset.refresh) soon(Number(main.dataset.refresh));
addEventListener("pagehide", stop);
