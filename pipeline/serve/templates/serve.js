// The page: what is chosen or dropped becomes photographs, and buttons act on all of them.
import { Card } from "./cards.js";
import { chosen, dropped } from "./choose.js";
import { cards, forget, forgetAll, page, upload, wait } from "./program.js";

const part = (id) => document.getElementById(id);
const drop = part("drop");
const most = Number(drop.dataset.bytes);
const taken = drop.dataset.taken.split(",");
const NAMED = 8; // files that are left out, by name

function take(found, unreadable = []) {
  part("refused").replaceChildren();
  part("refused").hidden = true;
  const others = [];
  const large = [];
  for (const { file, path } of found) {
    const name = path.split("/").pop();
    const photograph = !name.startsWith(".") && taken.some((ending) => name.toLowerCase().endsWith(ending));
    if (path.includes("/") && !photograph) others.push(path);
    else if (file.size > most) large.push(path);
    else new Card(file, path);
  }
  refuse("not photographs in a format that is read", others);
  refuse(`larger than ${most / 1e6} MB; make them smaller, or start the program with a larger --max-megabytes`, large);
  refuse("cannot be read", unreadable);
  if (!found.length && !unreadable.length) refuse("no files in it", ["the folder"]);
  upload();
}

function refuse(reason, paths) {
  if (!paths.length) return;
  const item = document.createElement("li");
  const more = paths.length > NAMED ? ` and ${paths.length - NAMED} more` : "";
  item.textContent = `Left out, ${reason}: ${paths.slice(0, NAMED).join(", ")}${more}.`;
  part("refused").append(item);
  part("refused").hidden = false;
}

for (const id of ["choose", "folder"]) {
  part(id).addEventListener("change", (event) => {
    take(chosen(event.target.files));
    event.target.value = "";
  });
}
part("folder").parentElement.hidden = !("webkitdirectory" in part("folder"));
// Accept drops anywhere: the browser would open a photograph dropped beside the field in place of this page.
addEventListener("dragover", (event) => {
  event.preventDefault();
  drop.classList.add("over");
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) drop.classList.remove("over");
});
addEventListener("drop", async (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  const { items } = event.dataTransfer;
  if ([...items].some((item) => item.kind === "file")) take(...(await dropped(items)));
});

const having = (state) => [...cards].filter((card) => card.state === state);
let counting = false;

// Photographs report every change, so count once for many.
document.addEventListener("photographs", () => {
  if (!counting) setTimeout(count);
  counting = true;
});

function count() {
  counting = false;
  const [done, failed, several] = [having("done"), having("failed"), cards.size > 1];
  const saved = done.filter((card) => card.saved).length;
  const counts = `${done.length} of ${cards.size} photographs coloured`;
  part("summary").textContent = several ? `${counts}${failed.length ? `, ${failed.length} failed` : ""}` : "";
  show("failed", several && failed.length, `Show only the ${failed.length} failed`);
  show("again", several && failed.length, `Try ${failed.length} failed again`);
  if (!failed.length) filter(false);
  show("archive", done.length > 1, `Download all ${done.length} (ZIP)`);
  show("clear", saved && saved < cards.size, `Remove ${saved} downloaded`);
  show("remove", several, "Remove all");
  for (const card of cards) {
    card.one(".all").hidden = !several;
    card.one(".what").setAttribute("aria-live", several ? "off" : "polite"); // the summary says enough
  }
}

function show(id, shown, label) {
  part(id).hidden = !shown;
  part(id).textContent = label;
}

function filter(failed) {
  part("failed").setAttribute("aria-pressed", failed);
  part("photographs").classList.toggle("failed", failed);
}

part("failed").addEventListener("click", (event) => filter(event.target.getAttribute("aria-pressed") === "false"));
part("archive").href = `coloured.zip?page=${page}`;
part("archive").addEventListener("click", () => {
  for (const card of having("done")) card.saved = true;
  setTimeout(count);
});
part("again").addEventListener("click", () => {
  for (const card of having("failed")) card.again();
  part("together").focus();
});
part("clear").addEventListener("click", () => {
  const saved = having("done").filter((card) => card.saved);
  forget(saved);
  for (const card of saved) card.leave();
  part("choose").focus();
  wait(0);
});
part("remove").addEventListener("click", () => {
  const unsaved = having("done").filter((card) => !card.saved).length;
  const warning = unsaved ? ` ${unsaved} coloured ones were not downloaded.` : "";
  if (!confirm(`Remove all ${cards.size} photographs from this page?${warning}`)) return;
  forgetAll();
  for (const card of cards) card.leave();
  part("choose").focus();
  wait(0);
});

addEventListener("beforeunload", (event) => {
  if ([...cards].some((card) => (card.state !== "failed" && !card.saved) || card.unsaved())) event.preventDefault();
});
addEventListener("pagehide", forgetAll);
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload(); // its photographs were deleted
});
