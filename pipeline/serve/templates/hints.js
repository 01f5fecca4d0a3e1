// The dialog in which a person chooses colours at places of a photograph, or another colouring, and sees it at once.
import { History } from "./history.js";
import { Markers } from "./markers.js";
import { Palette } from "./palette.js";
import { POST } from "./program.js";
import { Strip } from "./strip.js";

const part = (name) => document.getElementById(`hints-${name}`);
const dialog = document.getElementById("hints");
const most = Number(dialog.dataset.most);
const SLOW = 700; // milliseconds after which the dialog says that it waits
const AGAIN = 300; // milliseconds until a busy program is asked again
const LOST = 3000;
const CALM = 400; // milliseconds after the latest preview, after which the strip is drawn
const REST = 200; // milliseconds after which a moved hint counts as released
let card = null;
let history = null; // of states {hints, variant}
let opened = -1; // the hint whose colour is being chosen
let wanted = false; // whether a preview of the latest hints is wanted
let asking = false;
let resting = 0;
let calm = 0;

const markers = new Markers({ add, move, open, remove });
const strip = new Strip({ vary });
const palette = new Palette({ choose, remove: () => remove(opened), leave: () => markers.focus(opened) });

export function correct(shown) {
  card = shown;
  history = card.history ??= new History({ hints: card.hints, variant: card.variant });
  document.getElementById("hints-name").textContent = card.name;
  markers.begin(card.width, card.height);
  strip.begin(card.width, card.height);
  const after = card.one(".after");
  if (after.naturalWidth) markers.draw(after, after.naturalWidth, after.naturalHeight);
  part("said").textContent = "";
  note("Preparing the preview…");
  dialog.showModal();
  part("picture").focus();
  show(-1);
}

const hinted = () => history.state.hints;

// Note another state of the hints, the variant or both.
function change(changes, kind) {
  history.change({ ...history.state, ...changes }, kind);
}

function vary(variant) {
  change({ variant }, "variant");
  show(opened, `Colouring ${variant + 1} is chosen.`);
}

function show(number, said) {
  const { hints, variant } = history.state;
  const hint = hints[number];
  const other = number !== opened || !hint;
  opened = hint ? number : -1;
  markers.show(hints, opened);
  strip.show(variant);
  if (other) palette.open(opened, hint);
  else palette.show(hint);
  part("undo").disabled = !history.can(-1);
  part("redo").disabled = !history.can(1);
  part("save").disabled = !card.unsaved();
  if (said) part("said").textContent = said;
  refresh();
}

function add(x, y, byKey) {
  if (hinted().length >= most) {
    part("said").textContent = `A photograph takes at most ${most} hints; delete one.`;
    return;
  }
  const hints = [...hinted(), { x, y, color: markers.colourAt(x, y) }];
  change({ hints });
  open(hints.length - 1, byKey, `Hint ${hints.length} added at ${x}, ${y}; choose its colour.`);
}

function open(number, byKey, said = `Hint ${number + 1}; choose its colour.`) {
  opened = -1; // so that the choice is made anew
  show(number, said);
  offer();
  if (byKey) palette.focus();
}

function choose(color) {
  change({ hints: replaced(opened, { color }) }, `color ${opened}`);
  show(opened, `Hint ${opened + 1} is ${color}.`);
}

function move(number, x, y) {
  change({ hints: replaced(number, { x, y }) }, `move ${number}`);
  show(opened, `Hint ${number + 1} moved to ${x}, ${y}.`);
  clearTimeout(resting);
  if (number === opened) resting = setTimeout(offer, REST);
}

function remove(number) {
  const hints = hinted().filter((_, at) => at !== number);
  change({ hints });
  show(-1, `Hint ${number + 1} deleted.`);
  markers.focus(Math.min(number, hints.length - 1));
}

function step(steps) {
  const before = history.state.variant;
  if (!history.go(steps)) return;
  const { hints, variant } = history.state;
  const chosen = variant === before ? "" : `, colouring ${variant + 1}`;
  show(-1, `${steps < 0 ? "Undone" : "Done again"}; ${counted(hints)}${chosen}.`);
  if (!dialog.contains(document.activeElement) || document.activeElement.disabled) part("picture").focus();
}

const replaced = (number, changes) => hinted().map((hint, at) => (at === number ? { ...hint, ...changes } : hint));

export const counted = (hints) => (hints.length === 1 ? "1 hint" : `${hints.length} hints`);

const address = (what, more = {}) => {
  const { run, saturation } = card.chosen();
  return `photographs/${card.key}/${what}?${new URLSearchParams({ run, saturation, ...more })}`;
};

// Offer the colours that are likely at the open hint.
async function offer() {
  const hint = hinted()[opened];
  if (!hint) return;
  const answer = await fetch(address("likely", { x: hint.x, y: hint.y })).catch(() => null);
  const colours = answer?.ok ? await answer.json() : [];
  const now = hinted()[opened];
  if (now?.x !== hint.x || now.y !== hint.y) return;
  if (answer?.status === 503) setTimeout(offer, AGAIN);
  else palette.offer(colours);
}

// Have the newest hints shown; while one request is answered, only the newest of the following is sent.
async function refresh() {
  wanted = true;
  clearTimeout(calm);
  if (asking) return;
  asking = true;
  while (wanted && card) {
    wanted = false;
    const slow = setTimeout(() => part("note").textContent || note("The program is busy; the preview follows."), SLOW);
    try {
      await preview(card);
    } catch {
      note("The program does not answer; it is asked again.");
      await again(LOST);
    }
    clearTimeout(slow);
  }
  asking = false;
  if (card) calm = setTimeout(others, CALM);
}

// Show the other colourings with the newest hints in the strip.
async function others() {
  const shown = card;
  const [where, body] = [address("strip"), JSON.stringify(hinted())];
  if (strip.shown === where + body) return;
  const answer = await fetch(where, { ...POST, body }).catch(() => null);
  const bitmap = answer?.ok && (await createImageBitmap(await answer.blob()));
  if (shown !== card || body !== JSON.stringify(hinted())) return; // they follow
  if (bitmap) strip.draw(bitmap, where + body);
  else if (!answer || answer.status === 503) calm = setTimeout(others, LOST);
}

async function preview(shown) {
  const { hints, variant } = history.state;
  const answer = await fetch(address("preview", { variant }), { ...POST, body: JSON.stringify(hints) });
  if (answer.ok) {
    const bitmap = await createImageBitmap(await answer.blob());
    if (shown !== card) return;
    markers.draw(bitmap, bitmap.width, bitmap.height);
    bitmap.close();
    note("");
  } else if (answer.status === 404) {
    dialog.close();
    shown.gone();
  } else if (answer.status === 503) {
    note("The program colours another photograph; the preview waits for it.");
    await again(AGAIN);
  } else note(`Not shown: ${await problem(answer)}.`);
}

function again(milliseconds) {
  wanted = true;
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

const problem = async (answer) => (await answer.json()).problem.replace(/^--hints?: /, "");

function note(text) {
  part("note").textContent = text;
}

part("undo").addEventListener("click", () => step(-1));
part("redo").addEventListener("click", () => step(1));
part("close").addEventListener("click", () => dialog.close());
part("save").addEventListener("click", () => {
  const saved = card;
  Object.assign(saved, history.state);
  dialog.close();
  saved.changed();
  saved.element.focus();
});
part("file").addEventListener("change", async (event) => {
  const [file] = event.target.files;
  const shown = card;
  const answer = await fetch(`photographs/${card.key}/hints`, { ...POST, body: file }).catch(() => null);
  event.target.value = "";
  if (shown !== card) return;
  if (answer?.ok) {
    change({ hints: await answer.json() });
    show(-1, `${counted(hinted())} opened.`);
  } else {
    const reason = answer ? await problem(answer) : "the file cannot be read, or the program does not answer";
    part("said").textContent = `Not opened: ${reason}.`;
  }
});
dialog.addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
  const key = event.key.toLowerCase();
  if (key !== "z" && key !== "y") return;
  event.preventDefault();
  step(key === "y" || event.shiftKey ? 1 : -1);
});
dialog.addEventListener("close", () => {
  const left = card;
  card = null;
  opened = -1;
  clearTimeout(calm);
  palette.open(-1, undefined);
  left.hinted();
});
