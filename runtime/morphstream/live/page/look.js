// A control for each part of the look that the server offers.

import { $, attempt, make } from "./dom.js";
import { change, choice } from "./session.js";

const WORDS = {
  occluder: "Hands and hair", regions: "Parts of the face", parser: "Parts found by", restorer: "Sharpen",
  landmarker: "Align by", pixel_boost: "Resolution", own: "Own mask", search: "Far faces",
};

export function showLook({ looks, look }) {
  const controls = Object.entries(looks).map(([key, choices]) => {
    const send = (value) => attempt(() => change({ look: { [key]: value } })).then(showAll);
    const control = key === "regions" ? ticks(key, choices, send) : select(key, choices, send);
    control.element.dataset.key = key;
    return { ...control, key };
  });
  const showAll = () => controls.forEach(({ key, show }) => show({ ...look, ...choice.look }[key]));
  $("look").replaceChildren(...controls.map(({ element }) => element));
  showAll();
}

function select(key, choices, send) {
  const options = choices.map((value, index) => make("option", { value: index, textContent: title(key, value) }));
  const element = make("select", { onchange: ({ target }) => send(choices[target.value]) }, ...options);
  const show = (value) => (element.value = choices.indexOf(value ?? null));
  return { element: make("label", { className: "row" }, WORDS[key] ?? key, element), show };
}

/** Several of the choices; none ticked means all. */
function ticks(key, choices, send) {
  const boxes = choices.map((value) => make("input", { type: "checkbox", value }));
  const labels = boxes.map((box) => make("label", { className: "person" }, box, title(key, box.value)));
  const summary = make("summary");
  const element = make("details", {}, summary, make("div", {}, ...labels));
  element.onchange = () => {
    const ticked = boxes.filter(({ checked }) => checked).map(({ value }) => value);
    send(ticked.length ? ticked : null);
  };
  const show = (value) => {
    for (const box of boxes) box.checked = value?.includes(box.value) ?? false;
    summary.textContent = `${WORDS[key]}: ${value?.length ? `${value.length} of ${boxes.length}` : "all"}`;
  };
  return { element, show };
}

function title(key, value) {
  if (value === null) return key === "pixel_boost" ? "the model's" : "no";
  if (typeof value === "boolean") return value ? "yes" : "no";
  return String(value).replaceAll("_", " ");
}
