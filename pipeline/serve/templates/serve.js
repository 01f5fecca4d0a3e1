// Accepts files that are chosen or dropped, and uploads them one after the other.
import { Card, cards, forget, soon, summary } from "./photographs.js";

const drop = document.getElementById("drop");
const refused = document.getElementById("refused");
const most = { photographs: Number(drop.dataset.photographs), bytes: Number(drop.dataset.bytes) };
const sending = [];

function refuse(name, sentence) {
  const item = document.createElement("li");
  item.textContent = `${name}: ${sentence}`;
  refused.append(item);
  refused.hidden = false;
}

async function take(files) {
  refused.replaceChildren();
  refused.hidden = true;
  for (const file of files) {
    if (cards.size >= most.photographs) refuse(file.name, `at most ${most.photographs} at once; remove some first.`);
    else if (file.size > most.bytes) refuse(file.name, `larger than ${most.bytes / 1e6} MB.`);
    else sending.push(new Card(file));
  }
  summary();
  if (take.running) return;
  take.running = true;
  while (sending.length) {
    const card = sending.shift();
    if (!cards.has(card)) continue;
    await card.send();
    soon();
  }
  take.running = false;
}

document.getElementById("choose").addEventListener("change", (event) => {
  take([...event.target.files]);
  event.target.value = "";
});
// Accept drops anywhere: the browser would open a photograph dropped beside the field in place of this page.
addEventListener("dragover", (event) => {
  event.preventDefault();
  drop.classList.add("over");
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) drop.classList.remove("over");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  const items = [...event.dataTransfer.items].filter((item) => item.kind === "file");
  const files = items.filter((item) => !item.webkitGetAsEntry?.()?.isDirectory).map((item) => item.getAsFile());
  const folders = items.map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry?.isDirectory);
  take(files.filter((file) => file));
  for (const folder of folders) refuse(folder.name, "a folder; drop the photographs in it instead.");
});
addEventListener("pagehide", () => forget(cards));
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload(); // its photographs were deleted
});
