// Shows what the study in the form would cost, and each broken rule beside its field, while one types.
"use strict";
import { dress } from "./tips.js";

const PAUSE = 350;
const form = document.querySelector("form[data-estimate]");
const address = form.getAttribute("data-estimate"); // form.dataset would be the field of that name
let timer = null;
let asked = 0;

async function estimate() {
  const mine = ++asked;
  let fresh;
  try {
    const answer = await fetch(address, {
      method: "POST",
      headers: { Accept: "text/html" },
      body: new URLSearchParams(new FormData(form)),
    });
    if (!answer.ok) throw new Error(answer.status);
    fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch {
    return; // the service is away; submitting will say so
  }
  if (mine !== asked) return; // something was typed since
  dress(fresh);
  for (const field of form.querySelectorAll("[data-field]")) {
    const other = fresh.getElementById(field.id);
    field.className = other.className;
    field.querySelector(".about").replaceWith(other.querySelector(".about"));
    const wrong = other.classList.contains("wrong");
    for (const input of field.querySelectorAll("input, select, textarea")) input.ariaInvalid = wrong ? "true" : null;
  }
  document.getElementById("cost").replaceChildren(...fresh.getElementById("cost").childNodes);
}

form.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(estimate, PAUSE);
});
