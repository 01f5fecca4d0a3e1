// A photograph at 100 %: one of its pixels is one of the page's. Mouse, touch and keys move it.
const dialog = document.getElementById("whole");
const pan = document.getElementById("whole-pan");
const note = document.getElementById("whole-note");
const original = document.getElementById("whole-original");
const [after, before] = pan.querySelectorAll("img");
const STEP = 80; // pixels for an arrow key
const STEPS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
let card = null;
let grabbed = null;

export function open(shown) {
  card = shown;
  document.getElementById("whole-name").textContent = card.name;
  original.setAttribute("aria-pressed", "false");
  load(after, card.number, `${card.name}, with guessed colours, at 100 %`);
  dialog.showModal();
  pan.focus();
}

function load(picture, number, alt) {
  note.textContent = "Loading the full size…";
  picture.alt = alt;
  picture.src = `photographs/${card.key}/whole/${number}`;
}

// Show the picture that is wanted, once it has been loaded; until then, the other one.
function choose() {
  before.hidden = original.getAttribute("aria-pressed") !== "true" || !before.naturalWidth;
  const share = Math.round((100 * after.naturalWidth) / card.width);
  const large = `${share} %: the photograph is too large for browsers to show all its pixels`;
  note.textContent = `${before.hidden ? "Guessed colours" : "Original"}, ${share < 100 ? large : "100 %"}.`;
}

after.addEventListener("load", () => {
  choose();
  pan.scrollTo((pan.scrollWidth - pan.clientWidth) / 2, (pan.scrollHeight - pan.clientHeight) / 2);
});
before.addEventListener("load", choose);
for (const picture of [after, before]) {
  picture.addEventListener("error", async () => {
    const answer = await fetch(picture.src).catch(() => null);
    const { problem } = answer && !answer.ok ? await answer.json() : { problem: "the program does not answer" };
    note.textContent = `Cannot be shown at 100 %: ${problem}.`;
  });
}
original.addEventListener("click", () => {
  const pressed = original.getAttribute("aria-pressed") !== "true";
  original.setAttribute("aria-pressed", pressed);
  if (pressed && !before.naturalWidth) load(before, 0, `${card.name}, original, at 100 %`);
  else choose();
});
document.getElementById("whole-close").addEventListener("click", () => dialog.close());
dialog.addEventListener("close", () => {
  before.hidden = true;
  for (const picture of [after, before]) picture.removeAttribute("src"); // frees its memory
});
dialog.addEventListener("keydown", (event) => {
  if (!STEPS[event.key]) return;
  event.preventDefault();
  pan.scrollBy(...STEPS[event.key]);
});
// Browsers move what is touched, but not what a mouse drags.
pan.addEventListener("pointerdown", (event) => {
  if (event.pointerType !== "mouse" || event.button || event.target === pan) return;
  grabbed = event;
  pan.setPointerCapture(event.pointerId);
});
pan.addEventListener("pointermove", (event) => {
  if (!grabbed) return;
  pan.scrollBy(grabbed.clientX - event.clientX, grabbed.clientY - event.clientY);
  grabbed = event;
});
pan.addEventListener("lostpointercapture", () => {
  grabbed = null;
});
