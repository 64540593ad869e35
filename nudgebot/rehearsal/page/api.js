// How does the page speak to the rehearsal?  JSON over the same port; a refusal is an Error with one sentence.

async function call(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The rehearsal does not answer. Is it still running in the terminal?");
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(body.error || `The rehearsal answered ${response.status}.`);
  return body;
}

export const ask = (path) => call(path);

export const tell = (path, body = {}) =>
  call(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

/** Runs `work` at most once per `gap()` ms, and once more if it was asked for while it ran. */
export function throttled(work, gap) {
  let last = 0, waiting = null, running = false, again = false;
  async function run() {
    waiting = null;
    running = true;
    last = performance.now();
    try {
      await work();
    } finally {
      running = false;
      if (again) {
        again = false;
        ask_for();
      }
    }
  }
  function ask_for() {
    if (running) again = true;
    else if (waiting === null) waiting = setTimeout(run, Math.max(0, last + gap() - performance.now()));
  }
  return ask_for;
}

/** Every change in the stand-in, as it happens.  `onOpen` also after each reconnection: then all is read again. */
export function listen(onChange, onOpen, onLost) {
  const source = new EventSource("/control/events");
  const kinds = ["person", "message", "edit", "delete", "tap", "toast", "typing", "member", "clock", "commands",
    "network", "backstage"];
  for (const kind of kinds) source.addEventListener(kind, (event) => onChange(JSON.parse(event.data)));
  source.onopen = onOpen;
  source.onerror = onLost;
}
