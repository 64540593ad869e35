// How is a message's text shown?  Telegram's entities (UTF-16 offsets, as JavaScript counts) become elements.

import { el } from "./dom.js";

const PLAIN = {
  bold: "strong", italic: "em", underline: "u", strikethrough: "s", code: "code", pre: "pre",
  blockquote: "blockquote", expandable_blockquote: "blockquote",
};
const SAFE = /^(https?|tg|mailto|tel):/i;

/** `onCommand` gets a tapped /command. */
export function formatted(text, entities, onCommand) {
  const sorted = [...entities].sort((a, b) => a.offset - b.offset || b.length - a.length);
  return nested(text, 0, text.length, sorted, onCommand);
}

function nested(text, from, to, entities, onCommand) {
  const parts = [];
  let at = from;
  for (let i = 0; i < entities.length; i++) {
    const entity = entities[i], end = Math.min(entity.offset + entity.length, to);
    if (entity.offset < at || entity.offset >= to) continue;
    if (entity.offset > at) parts.push(text.slice(at, entity.offset));
    const inside = entities.slice(i + 1).filter((other) => other.offset < end);
    parts.push(wrapped(entity, text.slice(entity.offset, end), nested(text, entity.offset, end, inside, onCommand), onCommand));
    at = end;
  }
  if (at < to) parts.push(text.slice(at, to));
  return parts;
}

function wrapped(entity, words, children, onCommand) {
  if (entity.type in PLAIN) return el(PLAIN[entity.type], {}, ...children);
  if (entity.type === "spoiler") {
    const spoiler = el("button.spoiler", { type: "button", "aria-label": "Hidden text: show it" }, ...children);
    spoiler.addEventListener("click", () => { spoiler.classList.add("open"); spoiler.removeAttribute("aria-label"); });
    return spoiler;
  }
  if (entity.type === "bot_command") {
    return el("button.command", { type: "button", onclick: () => onCommand(words) }, words);
  }
  const address = { url: words, text_link: entity.url, email: `mailto:${words}`, phone_number: `tel:${words}` }[entity.type];
  if (address) {
    const href = SAFE.test(address) ? address : `https://${address}`;
    return el("a", { href, target: "_blank", rel: "noopener noreferrer" }, ...children);
  }
  return el("span", {}, ...children);
}
