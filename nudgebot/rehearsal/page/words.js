// How are moments put into words?  Always in somebody's own zone; without one, in UTC.

const cache = new Map();

function format(zone, options) {
  const key = `${zone}|${JSON.stringify(options)}`;
  if (!cache.has(key)) {
    try {
      cache.set(key, new Intl.DateTimeFormat("en-GB", { timeZone: zone || "UTC", ...options }));
    } catch {
      cache.set(key, new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...options }));
    }
  }
  return cache.get(key);
}

export const hour = (moment, zone) => format(zone, { hour: "2-digit", minute: "2-digit" }).format(moment);
export const second = (moment, zone) =>
  format(zone, { hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(moment);
export const day = (moment, zone) => format(zone, { weekday: "long", day: "numeric", month: "long" }).format(moment);
export const shortDay = (moment, zone) =>
  format(zone, { weekday: "short", day: "numeric", month: "short" }).format(moment);
export const date = (moment, zone) => format(zone, { day: "numeric", month: "short" }).format(moment);
export const fullDay = (moment, zone) =>
  format(zone, { weekday: "short", day: "numeric", month: "short", year: "numeric" }).format(moment);
export const city = (zone) => (zone ? zone.split("/").pop().replaceAll("_", " ") : "UTC");

/** `in 4 min 10 s`, `2 h ago`; `seconds` may be negative. */
export function distance(seconds) {
  const past = seconds < 0;
  let left = Math.abs(Math.round(seconds));
  const parts = [];
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]]) {
    const number = Math.floor(left / size);
    left -= number * size;
    if (number && parts.length < 2) parts.push(`${number} ${unit}`);
  }
  if (!parts.length) return "now";
  return past ? `${parts.join(" ")} ago` : `in ${parts.join(" ")}`;
}

export const plural = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;
