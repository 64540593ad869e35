// What does one person see?  A phone: its chat, its keyboards, and what a stranger could read on the lock screen.

import { ask, tell, throttled } from "./api.js";
import { el, icon, one, announce, complain, trying } from "./dom.js";
import { formatted } from "./text.js";
import { city, day, hour, plural } from "./words.js";

const NEAR_THE_END = 90;
const TOAST_SHOWS = 3500;
const TAP_WAITS = 6000;

export class Phone {
  /** `stage` is where all phones stand: `isActive(phone)`, `activate(phone)`, `changed(phone)`, `moving()`. */
  constructor(part, stage) {
    this.id = part.id;
    this.stage = stage;
    this.part = part;
    this.messages = new Map();
    this.last = 0;
    this.readUpTo = null;
    this.toasts = null;
    this.editing = null;
    this.waiting = new Set();
    this.refresh = throttled(() => this.load().catch(complain), () => (stage.moving() ? 500 : 120));
    this.build();
    this.show(part);
  }

  // --- what is there ------------------------------------------------------------------------------------------

  build() {
    const title = `phone-${this.id}`;
    this.name = el("h2", { id: title });
    this.about = el("p.about");
    this.badge = el("span.badge", { hidden: true });
    this.locked = el("p.locked");
    this.empty = el("p.empty", { hidden: true });
    this.log = el("div.log", { role: "log", tabindex: "0", "aria-live": "off" }, this.empty);
    this.typing = el("p.typing", { hidden: true }, el("span"), el("span"), el("span"), " typing…");
    this.toast = el("p.toast", { role: "status", hidden: true });
    this.toEnd = el("button.to-end.icon", { type: "button", hidden: true, "aria-label": "To the newest message",
      onclick: () => this.scrollToEnd() }, icon("down"));
    this.foot = el("div.foot");
    this.element = el("section.phone", { "aria-labelledby": title },
      el("header", {}, el("span.face", { "aria-hidden": "true" }), el("div", {}, this.name, this.about), this.badge),
      this.locked,
      el("div.screen", {}, this.log, this.typing, this.toEnd, this.toast),
      this.foot);
    for (const kind of ["pointerdown", "focusin"]) this.element.addEventListener(kind, () => this.stage.activate(this));
    this.follows = true; // the end of the chat, until somebody scrolls back
    this.log.addEventListener("scroll", () => { this.follows = this.nearTheEnd(); this.toEnd.hidden = this.follows; });
    new ResizeObserver(() => { if (this.follows) this.scrollToEnd(); }).observe(this.log);
    this.known = [];
    this.learnCommands().catch(complain);
    this.buildFoot();
    this.tab = el("button.tab", { type: "button", onclick: () => this.stage.activate(this, true) });
  }

  buildFoot() {
    this.keys = el("div.keys", { role: "group", "aria-label": "Keyboard of the bot", hidden: true });
    this.commands = el("div.commands", { role: "group", "aria-label": "Commands", hidden: true });
    this.editLine = el("p.edit-line", { hidden: true });
    this.input = el("textarea", { rows: "1", maxlength: "8000", placeholder: "Message", enterkeyhint: "send" });
    this.menu = el("button.icon", { type: "button", "aria-label": "Commands", "aria-expanded": "false",
      onclick: () => this.openCommands(this.commands.hidden) }, icon("menu"));
    this.toggle = el("button.icon", { type: "button", "aria-label": "Keyboard of the bot", "aria-expanded": "false",
      hidden: true, onclick: () => this.openKeys(this.keys.hidden) }, icon("keys"));
    const clip = el("button.icon", { type: "button", "aria-label": "Send a photo",
      onclick: trying(() => this.acts("photo", { caption: this.takeText() })) }, icon("clip"));
    const send = el("button.icon.send", { type: "submit", "aria-label": "Send" }, icon("send"));
    this.composer = el("form.composer", { onsubmit: (event) => { event.preventDefault(); this.submit(); } },
      this.menu, this.input, this.toggle, clip, send);
    this.start = el("button.primary.wide", { type: "button", onclick: () => this.says("/start") }, "Start");
    this.unblock = el("button.wide", { type: "button", onclick: trying(() => this.acts("unblock")) },
      "You blocked the bot. Unblock");
    this.foot.append(this.commands, this.editLine, this.composer, this.start, this.unblock, this.keys);
    this.input.addEventListener("keydown", (event) => this.onKey(event));
    this.input.addEventListener("input", () => this.onInput());
  }

  onKey(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.submit();
    } else if (event.key === "Escape") {
      this.openCommands(false);
      this.edit(null);
    } else if (event.key === "ArrowUp" && !this.input.value) {
      const own = [...this.messages.values()].reverse().find((shown) => !shown.seen.from_bot && shown.seen.text);
      if (own) this.edit(own.seen);
    } else if (event.key === "ArrowDown" && !this.commands.hidden) {
      event.preventDefault();
      one("button", this.commands)?.focus();
    }
  }

  onInput() {
    this.input.style.height = "auto";
    this.input.style.height = `${Math.min(this.input.scrollHeight, 130)}px`;
    if (this.input.value.startsWith("/") && !this.input.value.includes(" ")) this.openCommands(true);
    else this.openCommands(false);
  }

  // --- what changes -------------------------------------------------------------------------------------------

  /** A new word from the stage about this phone. */
  show(part) {
    const zoneMoved = part.tz !== this.part.tz;
    this.part = part;
    this.name.textContent = part.name;
    one(".face", this.element).textContent = [...part.name][0] || "?";
    this.element.dataset.role = part.role;
    this.input.setAttribute("aria-label", `Message from ${part.name}`);
    this.log.setAttribute("aria-label", `Chat of ${part.name} with the bot`);
    if (zoneMoved) for (const shown of this.messages.values()) this.put(shown.seen, true);
    this.showAbout();
    this.showFoot();
    this.showWaiting();
    this.showTab();
  }

  showAbout() {
    const { part } = this, now = this.stage.now();
    const child = part.children.filter((one) => !one.stopped).map((one) => [one.name, one.words].filter(Boolean).join(", "));
    const place = part.tz ? `${city(part.tz)} ${hour(now, part.tz)}` : "";
    const who = part.role === "coordinator" ? `coordinator${part.state === "lead" ? " · lead" : ""}`
      : part.role === "new" ? "has not met the bot yet"
      : child.length ? `child ${child.join(" · ")}` : part.state === "joining" ? "is joining" : part.state;
    const state = part.role === "parent" && !["active", "joining"].includes(part.state) ? part.state : "";
    const words = [[who, state].filter(Boolean).join(" · "), place].filter(Boolean);
    if (this.about.textContent !== words.join("")) this.about.replaceChildren(...words.map((line) => el("span", {}, line)));
  }

  showTab() {
    const unread = this.unread();
    this.badge.hidden = !unread;
    this.badge.textContent = unread;
    this.badge.setAttribute("aria-label", `${plural(unread, "unread message")}`);
    this.tab.replaceChildren(this.part.name, ...(unread ? [el("span.badge", {}, String(unread), el("span.unseen", {}, " unread"))] : []));
    if (this.stage.isActive(this)) this.tab.setAttribute("aria-current", "true");
    else this.tab.removeAttribute("aria-current");
    this.element.classList.toggle("active", this.stage.isActive(this));
    this.log.setAttribute("aria-live", this.stage.isActive(this) && !this.stage.moving() ? "polite" : "off");
  }

  showFoot() {
    const fresh = this.messages.size === 0 && this.part.role === "new";
    this.start.hidden = !fresh || this.part.blocked;
    this.empty.hidden = !fresh;
    this.empty.textContent = `${this.part.name} has opened the chat and not pressed Start yet. Press it, and answer as ${this.part.name} would.`;
    this.unblock.hidden = !this.part.blocked;
    this.composer.hidden = fresh || this.part.blocked;
    if (fresh || this.part.blocked) this.keys.hidden = this.commands.hidden = true;
  }

  /** One tick: on its way; two: the bot has it. */
  showWaiting(waiting = this.waiting) {
    this.waiting = waiting;
    for (const [number, shown] of this.messages) {
      if (shown.tick) {
        const held = waiting.has(number);
        shown.tick.textContent = held ? "✓" : "✓✓";
        shown.tick.title = held ? "Sent; the bot has not fetched it yet" : "The bot has it";
      }
    }
  }

  /** What the chat says since we last looked; from an older message on if one was changed. */
  async load() {
    const from = Math.min(this.last, this.stale ?? Infinity);
    this.stale = null;
    const chat = await ask(`/control/people/${this.id}/chat?after=${from}`);
    const atEnd = this.follows, first = this.readUpTo === null;
    for (const message of chat.messages) this.put(message);
    this.last = Math.max(this.last, chat.messages.at(-1)?.message_id ?? 0);
    if (first) this.readUpTo = this.last;
    this.showLocked();
    this.showFoot();
    this.showKeys(chat.keyboard);
    this.showTyping(chat.typing);
    this.showToasts(chat.toasts);
    this.showWaiting();
    if (chat.messages.length) {
      if (this.stage.isActive(this) && document.hasFocus()) this.markRead();
      this.showFresh();
      this.showTab();
      if (atEnd || first) this.scrollToEnd();
    }
  }

  /** Something happened in this chat. */
  heard(change) {
    if (change.kind === "edit" || change.kind === "delete") {
      this.stale = Math.min(this.stale ?? Infinity, change.message_id - 1);
    }
    this.refresh();
  }

  put(message, always = false) {
    const text = JSON.stringify(message), known = this.messages.get(message.message_id);
    if (known && known.text === text && !always) return;
    const shown = this.bubble(message);
    shown.text = text;
    this.messages.set(message.message_id, shown);
    if (known) {
      const focused = known.element.contains(document.activeElement) ? document.activeElement.textContent : null;
      known.element.replaceWith(shown.element);
      if (focused !== null) this.refocus(shown, focused);
    } else {
      this.separate(message);
      this.log.append(shown.element);
    }
  }

  /** A keyboard user who tapped a button stands on it again after the message was changed. */
  refocus(shown, label) {
    const bare = (words) => words.replace(/^✓ /, "");
    const buttons = [...shown.element.querySelectorAll(".inline button, .inline a")];
    (buttons.find((button) => bare(button.textContent) === bare(label)) ?? shown.element).focus({ preventScroll: true });
  }

  separate(message) {
    const today = day(message.date * 1000, this.part.tz);
    if (today !== this.lastDay) {
      this.lastDay = today;
      this.log.append(el("p.day", {}, el("span", {}, today)));
    }
  }

  bubble(message) {
    const { from_bot: byBot, message_id: number } = message, moment = message.date * 1000;
    if (message.deleted) {
      const gone = el("p.gone", { tabindex: "-1" }, byBot ? "The bot took a message back" : "Message deleted");
      return { element: gone, seen: message };
    }
    const facts = el("span.facts", {});
    if (message.silent) facts.append(el("span", { title: "Arrived without a sound" }, icon("mute"), el("span.unseen", {}, "silent ")));
    if (message.protected) facts.append(el("span", { title: "Cannot be forwarded or saved" }, icon("lock"), el("span.unseen", {}, "protected ")));
    if (message.edited) facts.append("edited ");
    facts.append(el("time", { datetime: new Date(moment).toISOString() }, hour(moment, this.part.tz)));
    const tick = byBot ? null : el("span.sent", {}, "✓✓");
    if (tick) facts.append(" ", tick);
    const body = el("div.body", {}, el("span.unseen", {}, byBot ? "Bot: " : `${this.part.name}: `),
      ...this.attached(message), ...this.quoted(message),
      el("div.text", {}, ...formatted(message.text, message.entities, (words) => this.says(words))), facts);
    const own = !byBot && message.text && el("button.icon.pen", { type: "button", "aria-label": "Edit this message",
      onclick: () => this.edit(message) }, icon("pen"));
    const element = el(byBot ? "div.message.theirs" : "div.message.mine", { tabindex: "-1", "data-message": number }, own, body);
    if (message.buttons.length) element.append(this.inline(message));
    return { element, seen: message, tick };
  }

  attached(message) {
    if (message.photo) {
      const image = el("img", { src: `/files/${message.photo.file_id}`, alt: "Photo", loading: "lazy" });
      image.addEventListener("error", () => image.replaceWith(el("span.no-photo", {}, "Photo")));
      return [image];
    }
    if (message.document) {
      const { file_id, file_name, file_size } = message.document;
      return [el("a.document", { href: `/files/${file_id}`, download: file_name }, icon("file"),
        el("span", {}, file_name, el("small", {}, ` ${Math.ceil(file_size / 1024)} KB`)))];
    }
    if (message.location) {
      const { latitude, longitude } = message.location;
      return [el("span.document", {}, icon("pin"), `${latitude.toFixed(2)}, ${longitude.toFixed(2)}`)];
    }
    return [];
  }

  quoted(message) {
    const original = message.reply_to && this.messages.get(message.reply_to)?.seen;
    return original ? [el("blockquote.reply", {}, original.text.split("\n")[0] || "a message")] : [];
  }

  inline(message) {
    return el("div.inline", { role: "group", "aria-label": "Buttons of this message" }, ...message.buttons.map((row) =>
      el("div.row", {}, ...row.map((button) => this.inlineButton(message, button)))));
  }

  inlineButton(message, button) {
    if (button.url) {
      const safe = /^(https?|tg):/i.test(button.url);
      return el("a.key", { href: safe ? button.url : "#", target: "_blank", rel: "noopener noreferrer" }, button.text);
    }
    const key = el("button.key", { type: "button" }, button.text);
    if (button.text.startsWith("✓")) key.classList.add("chosen");
    key.addEventListener("click", trying(async () => {
      if (button.copy_text) {
        await navigator.clipboard?.writeText(button.copy_text.text);
        this.say("Copied.");
        return;
      }
      key.setAttribute("aria-busy", "true");
      setTimeout(() => key.removeAttribute("aria-busy"), TAP_WAITS);
      await this.acts("tap", { message_id: message.message_id, data: button.callback_data, label: button.text });
    }));
    return key;
  }

  showLocked() {
    const last = [...this.messages.values()].reverse().find((shown) => shown.seen.from_bot && !shown.seen.deleted)?.seen;
    const label = el("span.what", {}, icon("lock"), "Lock screen");
    if (!last) {
      this.locked.replaceChildren(label, el("span.weak", {}, "nothing yet"));
    } else if (last.silent) {
      this.locked.replaceChildren(label, el("span.weak", {}, "only a badge"), el("span.badge", {}, "1"));
    } else {
      const words = last.text.split("\n").find((line) => line.trim()) || (last.photo ? "Photo" : "File");
      this.locked.replaceChildren(label, el("span.line", {}, words));
    }
  }

  showKeys(keyboard) {
    const text = JSON.stringify(keyboard);
    if (text === this.keysText) return;
    this.keysText = text;
    this.keys.replaceChildren(...(keyboard?.keyboard ?? []).map((row) => el("div.row", {}, ...row.map((key) =>
      el("button.key", { type: "button", onclick: trying(() => this.presses(key)) }, key.text)))));
    this.toggle.hidden = !keyboard;
    this.openKeys(Boolean(keyboard));
  }

  openKeys(open) {
    this.keys.hidden = !open || this.composer.hidden;
    this.toggle.setAttribute("aria-expanded", String(!this.keys.hidden));
  }

  showTyping(action) {
    clearTimeout(this.typingEnds);
    this.typing.hidden = !action;
    if (action) this.typingEnds = setTimeout(() => { this.typing.hidden = true; }, 5000);
  }

  showToasts(toasts) {
    const known = this.toasts ?? toasts.length;
    this.toasts = toasts.length;
    for (const toast of toasts.slice(known)) {
      for (const busy of this.log.querySelectorAll("[aria-busy]")) busy.removeAttribute("aria-busy");
      if (toast.alert && toast.text) {
        one("#box-text").textContent = toast.text;
        one("#box").showModal();
      } else if (toast.text) this.say(toast.text);
    }
  }

  say(words) {
    clearTimeout(this.toastEnds);
    this.toast.textContent = words;
    this.toast.hidden = false;
    this.toastEnds = setTimeout(() => { this.toast.hidden = true; }, TOAST_SHOWS);
  }

  // --- read and unread ----------------------------------------------------------------------------------------

  unread() {
    if (this.readUpTo === null) return 0;
    let count = 0;
    for (const { seen } of this.messages.values()) count += seen.from_bot && !seen.deleted && seen.message_id > this.readUpTo;
    return count;
  }

  markRead() {
    if (this.readUpTo !== this.last) {
      this.readUpTo = this.last;
      this.showTab();
      this.stage.changed(this);
    }
  }

  /** The line above the first message that was not read. */
  showFresh() {
    const first = [...this.messages.values()].find(({ seen }) => seen.from_bot && seen.message_id > this.readUpTo);
    if (!first || first.seen.message_id === this.freshAt) return;
    this.freshAt = first.seen.message_id;
    this.freshLine?.remove();
    this.freshLine = el("p.fresh", {}, el("span", {}, "New"));
    first.element.before(this.freshLine);
  }

  nearTheEnd() {
    return this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < NEAR_THE_END;
  }

  scrollToEnd() {
    this.log.scrollTop = this.log.scrollHeight;
  }

  // --- what the person does -----------------------------------------------------------------------------------

  async acts(act, given = {}) {
    const done = await tell(`/control/people/${this.id}/${act}`, given);
    this.freshLine?.remove();
    this.refresh();
    this.scrollToEnd();
    return done;
  }

  says = trying((text) => this.acts("text", { text }));

  submit = trying(async () => {
    const text = this.input.value.trim();
    if (!text) return;
    if (this.editing) {
      const number = this.editing.message_id;
      this.edit(null);
      await this.acts("edit", { message_id: number, text });
    } else {
      this.takeText();
      await this.acts("text", { text });
    }
  });

  takeText() {
    const text = this.input.value.trim();
    this.input.value = "";
    this.onInput();
    return text;
  }

  edit(message) {
    this.editing = message;
    this.editLine.hidden = !message;
    this.editLine.textContent = message ? "Editing. Enter saves, Escape keeps it as it was." : "";
    this.input.value = message ? message.text : "";
    this.onInput();
    this.openCommands(false);
    if (message) this.input.focus();
  }

  async presses(key) {
    if (!key.request_location) return this.acts("press", { label: key.text });
    const dialog = one("#place");
    dialog.returnValue = "";
    dialog.showModal();
    dialog.addEventListener("close", trying(async () => {
      if (dialog.returnValue !== "share") return;
      const [latitude, longitude] = one("select", dialog).value.split(",").map(Number);
      await this.acts("location", { latitude, longitude });
    }), { once: true });
    return null;
  }

  async learnCommands() {
    this.known = (await ask(`/control/people/${this.id}`)).commands;
  }

  openCommands(open) {
    const typed = this.input.value.startsWith("/") ? this.input.value.slice(1).toLowerCase() : "";
    const fitting = this.known.filter(({ command }) => command.startsWith(typed));
    this.commands.hidden = !open || !fitting.length;
    this.menu.setAttribute("aria-expanded", String(!this.commands.hidden));
    if (this.commands.hidden) return;
    this.commands.replaceChildren(...fitting.map(({ command, description }) =>
      el("button", { type: "button", onclick: () => this.takesCommand(command) }, el("b", {}, `/${command}`), ` ${description}`)));
    this.commands.onkeydown = (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (event.key === "Escape") {
        this.openCommands(false);
        this.menu.focus();
      } else if (step) {
        event.preventDefault();
        const all = [...this.commands.children];
        (all[all.indexOf(document.activeElement) + step] ?? this.input).focus();
      }
    };
  }

  takesCommand(command) {
    this.input.value = "";
    this.onInput();
    this.openCommands(false);
    this.input.focus();
    this.says(`/${command}`);
    announce(`/${command} sent`);
  }
}
