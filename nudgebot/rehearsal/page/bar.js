// How is the clock moved, and what does it show?

import { tell } from "./api.js";
import { el, one, announce, trying } from "./dom.js";
import { city, day, fullDay, hour } from "./words.js";

export class Bar {
  constructor() {
    this.ahead = 0;
    this.state = { moving: null, playing: 0 };
    for (const button of document.querySelectorAll("[data-move]")) {
      const to = button.dataset.move;
      button.addEventListener("click", trying(() =>
        tell("/backstage/move", to === "next" ? { to } : { seconds: Number(to) })));
    }
    one("#play").addEventListener("click", trying(() =>
      tell("/backstage/play", { pace: this.state.moving || this.state.playing ? 0 : Number(one("#pace").value) })));
    one("#pace").addEventListener("change", trying(async () => {
      if (this.state.playing) await tell("/backstage/play", { pace: Number(one("#pace").value) });
    }));
    setInterval(() => this.tick(), 1000);
  }

  /** Milliseconds since 1970 where the rehearsal is. */
  now() {
    return Date.now() + this.ahead;
  }

  set(iso) {
    this.ahead = Date.parse(iso) - Date.now();
    this.tick();
  }

  show(state) {
    const moved = this.state.moving && !state.moving;
    this.state = state;
    this.set(state.now);
    const busy = Boolean(state.moving || state.playing);
    for (const button of document.querySelectorAll("[data-move]")) button.disabled = busy;
    one("#play").textContent = busy ? "Pause" : "Play";
    if (moved) announce(`It is now ${day(this.now(), this.family?.tz)}, ${hour(this.now(), this.family?.tz)}.`);
    this.tick();
  }

  /** Whose age and hour the clock tells. */
  follows(part) {
    if (part?.tz || !this.family) this.family = part;
    this.tick();
  }

  tick() {
    const now = this.now(), zone = this.family?.tz;
    one("#now").replaceChildren(el("b", {}, hour(now, zone)), ` ${fullDay(now, zone)}`);
    const children = (this.family?.children ?? []).map((child) => child.words).join(", ");
    one("#family").textContent = this.family?.tz
      ? `${city(zone)}${children ? ` · ${this.family.name}’s child: ${children}` : ""}` : "UTC";
    const progress = one("#progress"), { moving } = this.state;
    progress.hidden = !moving;
    if (moving) {
      const since = Date.parse(moving.since), until = Date.parse(moving.until);
      progress.value = Math.min(1, (now - since) / (until - since));
    }
    this.onTick?.();
  }
}
