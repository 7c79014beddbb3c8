// Making elements, and one player for everything that can be played.

const SVG = "http://www.w3.org/2000/svg";

/** Strings among the children become text, never markup. */
export function make(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export const byId = (id) => document.getElementById(id);

export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

export function button(label, action, attributes = {}) {
  return make("button", { type: "button", onclick: action, ...attributes }, label);
}

/** A labelled slider whose value stands beside it. */
export function slider(id, label, { min, max, step, value, show = String }, changed) {
  const shown = make("output", { for: id }, show(Number(value)));
  const input = make("input", { type: "range", id, min, max, step, value });
  const follow = () => {
    shown.textContent = show(Number(input.value));
    input.setAttribute("aria-valuetext", shown.textContent);
  };
  input.addEventListener("input", () => (follow(), changed(Number(input.value))));
  const set = (to) => ((input.value = to), follow());
  follow();
  return { element: make("div", { class: "slider" }, make("label", { for: id }, label), input, shown), input, set };
}

/** Play, pause and speed for `tick`, which returns whether there is more. */
export function player(name, tick, { speeds = [0.5, 1, 2, 4], rate = 6 } = {}) {
  let timer = null;
  const toggle = button("▶ Play", () => (timer ? stop() : start()), { class: "primary", "aria-pressed": "false" });
  const speed = make("select", { "aria-label": `Speed of ${name}` });
  for (const s of speeds) speed.append(make("option", { value: s, ...(s === 1 && { selected: "" }) }, `${s}×`));
  function stop() {
    clearTimeout(timer);
    timer = null;
    toggle.textContent = "▶ Play";
    toggle.setAttribute("aria-pressed", "false");
  }
  function next() {
    timer = setTimeout(() => (tick() ? next() : stop()), 1000 / rate / Number(speed.value));
  }
  function start() {
    toggle.textContent = "❚❚ Pause";
    toggle.setAttribute("aria-pressed", "true");
    next();
  }
  return { toggle, speed, stop };
}
