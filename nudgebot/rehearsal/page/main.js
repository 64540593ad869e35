// Where do the parts of the page meet?  Phones on a shelf, the clock above, the curtain beside; all follow one stream.

import { ask, listen, tell, throttled } from "./api.js";
import { Bar } from "./bar.js";
import { Curtain } from "./curtain.js";
import { el, one, calm, complain, trying } from "./dom.js";
import { Phone } from "./phone.js";

const phones = new Map();
const bar = new Bar();
let state = null, active = null;

const stage = {
  isActive: (phone) => phone === active,
  activate,
  changed: () => showTitle(),
  moving: () => Boolean(state?.moving || state?.playing),
  now: () => bar.now(),
  phones: () => [...phones.values()],
  active: () => active,
  state: () => state,
};
const curtain = new Curtain(stage);

/** `chosen`: by its tab, so it is brought into view. */
function activate(phone, chosen = false) {
  const before = active;
  active = phone;
  phone.markRead();
  if (before !== phone) {
    before?.showTab();
    phone.showTab();
    bar.follows(phone.part);
    curtain.follows(phone);
    for (const other of phones.values()) other.element.classList.toggle("front", other === phone);
  }
  if (chosen) {
    phone.element.scrollIntoView({ inline: "center", block: "nearest" });
    phone.scrollToEnd();
  }
}

function showTitle() {
  const unread = [...phones.values()].reduce((sum, phone) => sum + phone.unread(), 0);
  document.title = unread ? `(${unread}) Rehearsal · nudgebot` : "Rehearsal · nudgebot";
}

const refreshStage = throttled(() => loadStage().catch(complain), () => (stage.moving() ? 700 : 250));

async function loadStage() {
  const fresh = await ask("/backstage/stage");
  if (state && fresh.id !== state.id) {
    location.reload(); // another rehearsal runs on this port now
    return;
  }
  state = fresh;
  for (const part of state.cast) {
    const known = phones.get(part.id);
    if (known) known.show(part);
    else add(part);
  }
  const waiting = new Set(state.waiting.map(([, number]) => number));
  for (const phone of phones.values()) phone.showWaiting(waiting);
  bar.follows(active?.part);
  bar.show(state);
  curtain.show(state);
  document.body.classList.toggle("bot-down", state.bot === "down");
  document.body.classList.toggle("no-network", Boolean(state.network_back_at));
  showTitle();
}

function add(part) {
  const phone = new Phone(part, stage);
  phones.set(part.id, phone);
  one("#shelf").append(phone.element);
  one("#tabs").append(phone.tab);
  phone.refresh();
  if (!active) activate(phone);
}

function onChange(change) {
  if (change.kind === "clock") bar.set(change.now);
  if (change.kind === "backstage" && change.note) complain(change.note);
  if (change.chat_id && phones.has(change.chat_id)) phones.get(change.chat_id).heard(change);
  if (change.kind === "commands") for (const phone of phones.values()) phone.learnCommands().catch(complain);
  refreshStage();
  curtain.heard();
}

listen(
  onChange,
  () => {
    calm();
    refreshStage();
    for (const phone of phones.values()) phone.refresh();
    curtain.heard();
  },
  () => complain("The rehearsal does not answer. Is it still running in the terminal?", true),
);

bar.onTick = () => {
  curtain.countDown();
  for (const phone of phones.values()) phone.showAbout();
};

document.addEventListener("keydown", (event) => {
  if (!event.altKey || event.ctrlKey || event.metaKey || !/^Digit[1-9]$/.test(event.code)) return;
  const phone = [...phones.values()][Number(event.code.slice(5)) - 1];
  if (!phone) return;
  event.preventDefault();
  activate(phone, true);
  (phone.composer.hidden ? phone.element.querySelector(".foot > button:not([hidden])") : phone.input).focus();
});

// --- dialogs ----------------------------------------------------------------------------------------------------

for (const dialog of document.querySelectorAll("dialog")) {
  dialog.addEventListener("click", (event) => { if (event.target.closest("[data-close]")) dialog.close(""); });
}
one("#place form").addEventListener("submit", (event) => { event.preventDefault(); one("#place").close("share"); });

const newcomer = one("#newcomer"), form = one("form", newcomer);
const options = (rows) => rows.map(({ code, name }) => el("option", { value: code }, name));

one("#add").addEventListener("click", trying(async () => {
  const { name, countries, languages } = await ask("/backstage/choices");
  form.elements.name.value = name;
  form.elements.country.replaceChildren(...options(countries));
  form.elements.country.value = "GB";
  form.elements.language.replaceChildren(...options(languages));
  newcomer.showModal();
}));

form.addEventListener("change", () => {
  const parent = form.elements.role.value === "parent";
  one(".parent-only", form).hidden = !parent;
  form.elements.age.disabled = !parent;
});

form.addEventListener("submit", trying(async (event) => {
  event.preventDefault();
  const given = Object.fromEntries(new FormData(form));
  newcomer.close();
  const { id } = await tell("/backstage/people", { ...given, age: Number(given.age ?? 0), onboard: given.role === "coordinator" || "onboard" in given });
  await loadStage();
  if (phones.has(id)) activate(phones.get(id), true);
}));
