// How are elements made?  el("button.primary", {onclick}, "words", child…): text is always text, never markup.

export function el(name, given = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag || "div");
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key in element && typeof value === "boolean" && !key.startsWith("aria")) element[key] = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const one = (selector, within = document) => within.querySelector(selector);

const PATHS = {
  menu: "M4 7h16M4 12h16M4 17h10",
  send: "M4 12l16-8-6 16-3-6.500z",
  clip: "M20 11l-8.5 8.500a5 5 0 0 1-7-7L13 4a3.5 3.5 0 0 1 5 5l-8.5 8.500a1.8 1.8 0 0 1-2.5-2.500L15 7",
  keys: "M3 7h18v10H3zM7 11h.01M12 11h.01M17 11h.01M8 14.500h8",
  more: "M12 6h.01M12 12h.01M12 18h.01",
  shut: "M6 6l12 12M18 6L6 18",
  mute: "M6 17h12l-1.5-2.500V11a4.5 4.5 0 0 0-6.5-4M7.5 10v4.500L6 17M10.5 19.500a1.8 1.8 0 0 0 3 0M4 4l16 16",
  lock: "M7 11V8a5 5 0 0 1 10 0v3M5.5 11h13v9h-13z",
  down: "M6 10l6 6 6-6",
  pen: "M5 19l1-4L16 5l3 3L9 18z",
  file: "M7 3h7l4 4v14H7zM14 3v4h4",
  pin: "M12 21c-4-4.5-6.5-7.5-6.5-11a6.5 6.5 0 0 1 13 0c0 3.5-2.5 6.5-6.5 11zM12 12.500a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5",
};

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("icon");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

const said = one("#said");

/** Read out by a screen reader, seen by nobody. */
export function announce(words) {
  said.textContent = "";
  setTimeout(() => { said.textContent = words; }, 50);
}

let troubleEnds = 0;

/** A refusal or an accident, shown for a while. */
export function complain(problem, forGood = false) {
  const line = one("#trouble");
  clearTimeout(troubleEnds);
  line.textContent = problem.message || String(problem);
  line.hidden = false;
  if (!forGood) troubleEnds = setTimeout(() => { line.hidden = true; }, 7000);
}

export function calm() {
  clearTimeout(troubleEnds);
  one("#trouble").hidden = true;
}

/** Work behind a button: a refusal is shown, not thrown. */
export const trying = (work) => async (...given) => {
  try {
    return await work(...given);
  } catch (problem) {
    complain(problem);
  }
};
