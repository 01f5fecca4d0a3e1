// The program that colours: uploading photographs to it in turn, and polling their states.
export const cards = new Set(); // the photographs on the page, in order
export const page = crypto.randomUUID(); // whoever knows it can see the photographs
export const POST = { method: "POST" };
const AHEAD = 3; // photographs that are uploaded and not yet coloured, so that the program always has work
const PAUSE = 0.4; // seconds before the program answers a poll, while it colours
const IDLE = 5000; // milliseconds between two polls otherwise
const LOST = 3000;
const SILENCE = 10000; // milliseconds after which the program counts as gone
const lost = document.getElementById("lost");
const outdated = document.getElementById("outdated");
const room = document.getElementById("room");
const { version } = document.getElementById("drop").dataset;
const unfinished = (card) => card.key && ["waiting", "working"].includes(card.state);
let sending = false;
let polling = null;
let timer = 0;
let later = 0; // when to try an upload again

// Upload photographs, one after the other, while few wait in the program.
export async function upload() {
  if (sending) return;
  sending = true;
  for (let card = next(); card; card = next()) {
    await card.send();
    poll();
  }
  sending = false;
}

function next() {
  const all = [...cards];
  if (!lost.hidden || !outdated.hidden || Date.now() < later) return undefined;
  return all.filter(unfinished).length < AHEAD ? all.find((card) => card.state === "queued") : undefined;
}

// Go on uploading after some milliseconds; until then, the page shows why.
export function wait(milliseconds, problem = "") {
  later = Date.now() + milliseconds;
  room.textContent = problem && `Waiting for room. The program ${problem}.`;
  room.hidden = !problem;
  setTimeout(upload, milliseconds);
}

// Poll the states, and return whether the program answers.
export function poll() {
  polling ??= states().finally(() => {
    polling = null;
    clearTimeout(timer);
    if (!cards.size) return;
    if (lost.hidden && [...cards].some(unfinished)) poll();
    else timer = setTimeout(poll, lost.hidden ? IDLE : LOST);
  });
  return polling;
}

async function states() {
  const uploaded = [...cards].filter((card) => card.key);
  const busy = uploaded.some(unfinished) && lost.hidden;
  try {
    const query = new URLSearchParams({ page, pause: busy ? PAUSE : 0 });
    const answer = await fetch(`photographs?${query}`, { signal: AbortSignal.timeout(SILENCE) });
    if (!answer.ok) throw new Error();
    const found = await answer.json();
    lost.hidden = true;
    outdated.hidden = found.version === version;
    const known = new Map(found.photographs.map((state) => [state.key, state]));
    for (const card of uploaded) {
      if (!cards.has(card)) continue;
      if (known.has(card.key)) card.show(known.get(card.key));
      else card.gone();
    }
  } catch {
    lost.hidden = false;
  }
  upload();
  return lost.hidden;
}

// Have the program delete photographs.
export function forget(gone) {
  const keys = gone.map((card) => card.key).filter((key) => key);
  for (let start = 0; start < keys.length; start += 500) {
    navigator.sendBeacon(`end?keys=${keys.slice(start, start + 500)}`);
  }
}

// Have it delete all. A beacon is sent even while the page closes.
export const forgetAll = () => navigator.sendBeacon(`end?page=${page}`);
