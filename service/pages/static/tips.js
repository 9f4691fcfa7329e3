// What a thing on the page means, when it is pointed at, reached by keyboard or touched; and arrow keys in figures.
// Without this script the browser's own tooltips show the same texts.
"use strict";

const tip = document.createElement("div");
tip.id = "tip";
tip.setAttribute("role", "tooltip");
tip.hidden = true;
document.body.append(tip);

function show(element) {
  tip.textContent = element.dataset.tip;
  tip.hidden = false;
  element.setAttribute("aria-describedby", "tip");
  const at = element.getBoundingClientRect();
  const left = at.left + at.width / 2 - tip.offsetWidth / 2;
  const most = document.documentElement.clientWidth - tip.offsetWidth - 8;
  tip.style.left = `${Math.max(8, Math.min(left, most)) + scrollX}px`;
  const above = at.top - tip.offsetHeight - 8;
  tip.style.top = `${(above > 0 ? above : at.bottom + 8) + scrollY}px`;
}

function hide() {
  tip.hidden = true;
  document.querySelector("[aria-describedby=tip]")?.removeAttribute("aria-describedby");
}

function told(event) {
  return event.target instanceof Element ? event.target.closest("[data-tip]") : null;
}

for (const kind of ["pointerover", "focusin"]) {
  document.addEventListener(kind, (event) => {
    const element = told(event);
    hide();
    if (element) show(element);
  });
}
document.addEventListener("focusout", hide);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") hide();
});

// Browsers would show their own tooltip beside ours, and only to a pointer.
export function dress(root) {
  for (const element of root.querySelectorAll("[title]")) {
    element.dataset.tip = element.title;
    element.removeAttribute("title");
    if (element.closest("dl, thead")) element.tabIndex = 0;
  }
  for (const title of root.querySelectorAll("svg title")) {
    const element = title.parentElement;
    element.dataset.tip = title.textContent;
    element.setAttribute("aria-label", title.textContent);
    title.remove();
    if (element.dataset.row) element.setAttribute("role", "img");
  }
  for (const figure of root.querySelectorAll("[data-items]")) {
    figure.querySelectorAll("[data-row]").forEach((item, index) => item.setAttribute("tabindex", index ? -1 : 0));
  }
}

// In a figure the tabulator key reaches one thing, arrow keys the others.
const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
document.addEventListener("keydown", (event) => {
  const item = event.target.closest?.("[data-items] [data-row]");
  const step = STEPS[event.key];
  if (!item || !step) return;
  event.preventDefault();
  const rows = new Map();
  for (const one of item.closest("[data-items]").querySelectorAll("[data-row]")) {
    if (!rows.has(one.dataset.row)) rows.set(one.dataset.row, []);
    rows.get(one.dataset.row).push(one);
  }
  const names = [...rows.keys()];
  const row = rows.get(names[names.indexOf(item.dataset.row) + step[0]]);
  const place = rows.get(item.dataset.row).indexOf(item);
  const next = row && row[Math.min(Math.max(0, place + step[1]), row.length - 1)];
  if (!next || next === item) return;
  item.setAttribute("tabindex", -1);
  next.setAttribute("tabindex", 0);
  next.focus();
});

dress(document);
