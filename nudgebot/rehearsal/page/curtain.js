// What happens behind the curtain?  The coming week and why, the ledger, answers, cases; and the accidents.

import { ask, tell, throttled } from "./api.js";
import { el, icon, one, complain, announce, trying } from "./dom.js";
import { date, distance, hour, plural, second, shortDay } from "./words.js";

const WHY = {
  theme: "of the day’s theme, for this age",
  evergreen: "the age has no tip of this theme left: one for every age",
  other_theme: "no tip of the day’s theme is left: another theme of this age",
  any_evergreen: "nothing of this age is left: one for every age",
  again: "the small pool for early babies repeats after two weeks",
  nothing_fits: "nothing fits: only a hello",
  another: "asked for another one",
};
const WHAT = {
  held: "Messages about the child rest.", completed: "Grown out of the programme.",
  unreachable: "The parent cannot be reached.", late: "Too late in the day to be sent.", again: "Promised already.",
};
const OUTCOMES = {
  unknown: "nobody can say whether it arrived", later: "told to come later", halted: "the bot is halted",
  too_late: "too late to be sent", tapped: "a tap proved that it arrived",
};
const VIEWS = { plan: "Plan", ledger: "Ledger", answers: "Answers", cases: "Cases" };

export class Curtain {
  /** `stage`: `phones()`, `active()`, `now()`, `state()`, `moving()`. */
  constructor(stage) {
    this.stage = stage;
    this.view = "plan";
    this.data = null;
    this.refresh = throttled(() => this.load().catch(complain), () => (this.stage.moving() ? 1500 : 500));
    this.tabs();
    one("#shut").append(icon("shut"));
    one("#shut").addEventListener("click", () => this.open(false));
    one("#peek").addEventListener("click", () => this.open(one("#curtain").hidden));
    one("#whose").addEventListener("change", () => { this.chosen = one("#whose").value; this.refresh(); });
    one("#curtain").addEventListener("keydown", (event) => { if (event.key === "Escape") this.open(false); });
    if (innerWidth >= 1180) this.open(true, false);
  }

  open(open, byHand = true) {
    one("#curtain").hidden = !open;
    document.body.classList.toggle("curtain-open", open);
    one("#peek").setAttribute("aria-expanded", String(open));
    if (open) this.refresh();
    if (byHand) (open ? one("#shut") : one("#peek")).focus();
  }

  heard() {
    if (!one("#curtain").hidden) this.refresh();
  }

  // --- the head -----------------------------------------------------------------------------------------------

  /** Phones, the bot or the network changed. */
  show(state) {
    const whose = one("#whose"), wanted = this.chosen ?? (whose.value || String(this.stage.active()?.id ?? ""));
    const options = [...state.cast.map((part) => [String(part.id), part.name]), ["", "everybody"]];
    const text = JSON.stringify(options);
    if (text !== this.optionsText) {
      this.optionsText = text;
      whose.replaceChildren(...options.map(([value, label]) => el("option", { value }, label)));
    }
    whose.value = wanted;
    this.showSwitches(state);
  }

  /** The curtain follows the parent that is looked at, unless everybody was chosen here. */
  follows(phone) {
    if (phone.part.role !== "coordinator" && this.chosen !== "") {
      this.chosen = undefined;
      one("#whose").value = String(phone.id);
    }
    this.showSwitches(this.stage.state());
    this.heard();
  }

  showSwitches(state) {
    if (!state) return;
    const who = this.stage.active()?.part, down = state.bot === "down";
    const back = state.network_back_at && Date.parse(state.network_back_at);
    const text = JSON.stringify([state.bot, back, who?.id, who?.blocked]);
    if (text === this.switchesText) return;
    this.switchesText = text;
    const focused = document.activeElement?.dataset?.switch;
    const button = (name, label, work, on) => el(on ? "button.on" : "button",
      { type: "button", "data-switch": name, "aria-pressed": String(Boolean(on)), onclick: trying(work) }, label);
    one("#switches").replaceChildren(
      button("bot", down ? "The bot is dead: start it" : "Kill the bot", () => tell("/backstage/bot", { does: down ? "start" : "kill" }), down),
      button("network", back ? `No network until ${hour(back, who?.tz)}: mend it` : "No network for 10 min",
        () => tell("/backstage/network", { seconds: back ? 0 : 600 }), back),
      who ? button("block", who.blocked ? `${who.name} has blocked the bot: unblock` : `${who.name} blocks the bot`,
        () => tell(`/control/people/${who.id}/${who.blocked ? "unblock" : "block"}`), who.blocked) : "",
      el("button", { type: "button", "data-switch": "reload", onclick: trying(() => this.reload()) }, "Reload content"),
    );
    if (focused) one(`[data-switch="${focused}"]`)?.focus();
  }

  async reload() {
    const { taken, problems } = await tell("/backstage/reload");
    const words = !taken ? `${plural(problems.length, "complaint")}: the bot goes on with what it had.`
      : problems.length ? `Taken, with ${plural(problems.length, "remark")}.` : "The content was read again; nothing to complain about.";
    const close = el("button.icon", { type: "button", "aria-label": "Close", onclick: () => { one("#complaints").hidden = true; } }, icon("shut"));
    one("#complaints").replaceChildren(el("p", {}, words, close), ...(problems.length ? [el("ul", {}, ...problems.map((line) => el("li", {}, line)))] : []));
    one("#complaints").hidden = false;
    announce(words);
    this.refresh();
  }

  tabs() {
    one("#views").replaceChildren(...Object.entries(VIEWS).map(([view, label]) =>
      el("button", { type: "button", role: "tab", id: `view-${view}`, "aria-controls": "view", onclick: () => this.choose(view) }, label)));
    one("#views").addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const all = Object.keys(VIEWS);
      this.choose(all[(all.indexOf(this.view) + step + all.length) % all.length]);
      one(`#view-${this.view}`).focus();
    });
    this.choose(this.view);
  }

  choose(view) {
    this.view = view;
    for (const tab of one("#views").children) {
      const mine = tab.id === `view-${view}`;
      tab.setAttribute("aria-selected", String(mine));
      tab.tabIndex = mine ? 0 : -1;
    }
    one("#view").setAttribute("aria-labelledby", `view-${view}`);
    one("#view").scrollTop = 0;
    this.draw();
  }

  // --- the views ----------------------------------------------------------------------------------------------

  async load() {
    const who = one("#whose").value;
    this.data = await ask(`/backstage/behind?who=${who}`);
    this.draw();
  }

  draw() {
    if (!this.data) return;
    const waiting = this.data.cases.filter((one) => one.state === "open").length;
    one("#view-cases").replaceChildren(VIEWS.cases, ...(waiting ? [" ", el("span.badge", {}, String(waiting), el("span.unseen", {}, " waiting"))] : []));
    one("#view").replaceChildren(...this[this.view]());
    this.countDown();
  }

  zone() {
    const id = Number(one("#whose").value) || this.stage.active()?.id;
    return this.stage.phones().find((phone) => phone.id === id)?.part.tz;
  }

  plan() {
    const { plan } = this.data;
    if (!plan) return [note("Choose one phone above to see its coming week.")];
    if (!plan.days.length) return [note(plan.says || "Nothing is planned in the coming week.")];
    const zone = this.zone();
    return [
      note("What the programme would send, if nothing is answered or changed until then."),
      el("ol.plan", {}, ...plan.days.map((one) => el("li", {},
        el("p.when", {}, el("b", {}, shortDay(Date.parse(one.at), zone)), ` ${hour(Date.parse(one.at), zone)}`, one.theme && el("span.theme", { "data-theme": one.theme }, one.theme)),
        el("p.title", {}, one.title ?? WHAT[one.what] ?? one.what),
        one.why && el("p.why", {}, "why: ", WHY[one.why] ?? one.why, one.band && ` (${one.band})`),
        one.check_in && el("p.ask", {}, `asks: ${one.check_in}`)))),
    ];
  }

  ledger() {
    const zone = this.zone();
    const counts = Object.entries(this.data.counts).sort().map(([kind, states]) =>
      el("li", {}, el("b", {}, kind.replace("_", " ")), " ", Object.entries(states).map(([state, number]) => `${number} ${state.replace("_", " ")}`).join(", ")));
    if (!this.data.ledger.length) return [note("Nothing has been promised to anybody yet.")];
    return [
      el("details.counts", {}, el("summary", {}, "Everything so far"), el("ul", {}, ...counts)),
      el("ol.ledger", {}, ...this.data.ledger.map((row) => el("li", {},
        el("p.title", {}, el("span.kind", { "data-kind": row.kind }, row.kind.replace("_", " ")), ` ${row.title} `, el("span.weak", {}, `to ${row.who}`)),
        trail(row.trail, zone),
        row.why && el("p.why", {}, "why: ", WHY[row.why] ?? row.why),
        row.outcome && el("p.why", {}, OUTCOMES[row.outcome] ?? row.outcome, row.attempt > 1 && `, attempt ${row.attempt}`),
        row.check_in && el("p.ask", {}, `asks: ${row.check_in}`)))),
    ];
  }

  answers() {
    if (!this.data.answers.length) return [note("Nobody has tapped an answer yet.")];
    const zone = this.zone();
    return [el("ol.answers", {}, ...this.data.answers.map((one) => el("li", {},
      el("p.title", {}, el("b", {}, one.choice), one.value ? el("span.value", { title: `${one.value} of 5` }, "●".repeat(one.value), el("i", {}, "●".repeat(5 - one.value)), el("span.unseen", {}, ` ${one.value} of 5`)) : ""),
      el("p.why", {}, one.question),
      el("p.weak", {}, `${one.who}, ${shortDay(Date.parse(one.at), zone)} ${second(Date.parse(one.at), zone)}`))))];
  }

  cases() {
    if (!this.data.cases.length) return [note("No case. A message that shows distress opens one; write as a parent who is not well, and see.")];
    const zone = this.zone();
    return [el("ol.cases", {}, ...this.data.cases.map((one) => el("li", { "data-severity": one.severity, "data-state": one.state },
      el("p.title", {}, el("b", {}, `Case ${one.number}`), ` ${one.category} `, el("span.state", { "data-severity": one.severity }, one.severity)),
      el("p", {}, `from ${one.who}, ${shortDay(Date.parse(one.opened_at), zone)} ${second(Date.parse(one.opened_at), zone)}`),
      one.state === "open" && el("p", {}, `Nobody has it; told ${plural(one.wave, "time")}. `, one.next_wave_at
        ? el("b", {}, "Told again ", el("span", { "data-until": one.next_wave_at })) : "Waits for working hours."),
      one.acknowledged_at && el("p", {}, `${one.acknowledged_by ?? "Somebody"} took it ${distance((Date.parse(one.acknowledged_at) - Date.parse(one.opened_at)) / 1000).replace("in ", "after ").replace("now", "at once")}.`),
      one.closed_at && el("p", {}, `Closed ${second(Date.parse(one.closed_at), zone)}: ${(one.outcome ?? "").replaceAll("_", " ")}.`),
      one.rules.length ? el("details", {}, el("summary", {}, "Which rules"), el("p.why", {}, one.rules.join(", "))) : "")))];
  }

  countDown() {
    for (const span of document.querySelectorAll("#view [data-until]")) {
      span.textContent = distance((Date.parse(span.dataset.until) - this.stage.now()) / 1000);
    }
  }
}

/** Every state with the moment it began, where that is another than the one before. */
function trail(states, zone) {
  let shown = "";
  return el("p.trail", {}, date(Date.parse(states[0].at), zone), " ", ...states.flatMap(({ state, at }, place) => {
    const moment = at ? second(Date.parse(at), zone) : "", fresh = moment && moment !== shown;
    shown = moment || shown;
    return [place ? " → " : "", el("span.state", { "data-state": state }, state.replace("_", " ")), fresh ? ` ${moment}` : ""];
  }));
}

const note = (words) => el("p.note", {}, words);
