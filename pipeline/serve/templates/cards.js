// A photograph on the page: its settings, its state and its result.
import { correct, counted } from "./hints.js";
import { POST, cards, forget, poll, upload, wait } from "./program.js";
import { send } from "./upload.js";
import { open } from "./whole.js";

const list = document.getElementById("photographs");
const PATIENCE = 400; // milliseconds without input, after which a moved control counts as released
const AGAIN = 3000; // milliseconds until the program is asked again, after it did not answer
const RESULT = [".after", ".line", ".slider", ".sides", ".whole", ".download"];
const HINTED = [".by-hand", ".hinted", ".hints-file"];
const NOT_TAKEN = "This run takes no hints and no other colouring; another run still gets yours.";
let last = null; // the latest choice, which new photographs start with

export class Card {
  static count = 0;

  constructor(file, path) {
    this.file = file;
    this.name = path;
    this.key = "";
    this.state = "queued";
    this.number = 0;
    this.broken = 0; // uploads that broke off although the program answers
    this.saved = false; // whether the result was downloaded
    this.hints = []; // colours at places, as saved
    this.variant = 0; // the colouring that is chosen, as saved
    this.history = null; // what was done to both
    this.element = document.getElementById("card").content.firstElementChild.cloneNode(true);
    const title = this.one(".name");
    title.textContent = this.name;
    title.id = `name-${++Card.count}`;
    this.element.setAttribute("aria-labelledby", title.id);
    this.run = this.one(".run");
    this.saturation = this.one(".saturation");
    this.slider = this.one(".slider");
    if (last) this.choose(last);
    this.factor();
    this.slider.addEventListener("input", () => this.cut());
    this.run.addEventListener("change", () => this.changed());
    this.saturation.addEventListener("input", () => this.changed());
    this.one(".remove").addEventListener("click", () => this.remove());
    this.one(".again").addEventListener("click", () => {
      this.again();
      this.element.focus();
    });
    this.one(".whole").addEventListener("click", () => open(this));
    this.one(".by-hand").addEventListener("click", () => correct(this));
    this.one(".download").addEventListener("click", () => {
      this.saved = true;
      summary();
    });
    this.one(".all").addEventListener("click", () => {
      for (const other of cards) {
        if (other === this) continue;
        other.choose(this.chosen());
        other.changed();
      }
    });
    this.one(".before").addEventListener("load", (event) => this.fit(event.target));
    this.cut();
    cards.add(this);
    this.busy("Waiting");
    list.append(this.element);
  }

  one(selector) {
    return this.element.querySelector(selector);
  }

  chosen() {
    const [run, saturation] = [Number(this.run.value), Number(this.saturation.value)];
    return this.takesHints()
      ? { run, saturation, hints: this.hints, variant: this.variant }
      : { run, saturation, hints: [], variant: 0 };
  }

  wants({ run, saturation, hints, variant }) {
    return equal(this.chosen(), { run, saturation, hints, variant });
  }

  takesHints() {
    return "hints" in this.run.selectedOptions[0].dataset;
  }

  // Whether the hints or the chosen colouring were changed and not saved.
  unsaved() {
    return this.history !== null && !equal(this.history.state, { hints: this.hints, variant: this.variant });
  }

  // Say which hints there are and which colouring it is, as far as the run takes any.
  hinted() {
    const { hints, variant } = this;
    const what = variant ? `Colouring ${variant + 1}` : "Coloured";
    const saved = (variant || hints.length) && `${what}${hints.length ? ` with ${counted(hints)}` : ""}.`;
    const changed = this.unsaved() && "There are changes that are not saved.";
    const given = this.takesHints() ? [saved, changed].filter(Boolean).join(" ") : saved && NOT_TAKEN;
    this.one(".hinted").hidden = !given;
    this.one(".hinted").textContent = given || "";
    this.one(".by-hand").hidden = this.state !== "done" || !this.takesHints();
    this.one(".hints-file").hidden = this.state !== "done" || !this.chosen().hints.length;
  }

  choose(settings) {
    this.run.value = settings.run;
    this.saturation.value = settings.saturation;
    this.factor();
  }

  factor() {
    this.one(".factor").textContent = this.saturation.value;
  }

  // A control was moved: colour the photograph again once it is released.
  changed() {
    this.factor();
    last = this.chosen();
    if (!this.key) return;
    this.state = "waiting";
    this.saved = false;
    this.busy("Waiting");
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.ask(), PATIENCE);
  }

  async ask() {
    if (!this.key) return;
    this.shown = "";
    try {
      const { hints, ...settings } = this.chosen();
      const address = `photographs/${this.key}/colour?${new URLSearchParams(settings)}`;
      const answer = await fetch(address, { ...POST, body: JSON.stringify(hints) });
      if (answer.status === 404) this.gone();
      else if (!answer.ok) this.fail((await answer.json()).problem);
    } catch {
      this.resting = setTimeout(() => this.ask(), AGAIN);
    }
    poll();
  }

  // Try once more, after a failure.
  again() {
    this.state = this.key ? "waiting" : "queued";
    this.broken = 0;
    this.busy("Waiting");
    if (this.key) this.ask();
    else upload();
  }

  send() {
    return send(this);
  }

  // The program has deleted the photograph, or was started again.
  gone() {
    this.key = "";
    this.one(".before").removeAttribute("src");
    if (["waiting", "working"].includes(this.state)) this.again();
    else if (this.state === "done") this.fail("the program was started again, or did not hear from this page for long, and no longer has it");
  }

  // Show the state that the program reported.
  show(status) {
    if (!this.wants(status)) return; // about earlier settings
    const text = JSON.stringify(status);
    if (this.shown === text) return;
    this.shown = text;
    this.state = status.state;
    if (status.before && !this.one(".before").hasAttribute("src")) {
      this.one(".pictures").hidden = false;
      this.one(".before").src = `photographs/${this.key}/before`;
      this.one(".before").alt = `${this.name}, original`;
    }
    if (status.state === "waiting") this.busy(status.ahead ? `Waiting, ${status.ahead} ahead` : "Waiting");
    else if (status.state === "working") this.busy(words(status.step), undefined, status.seconds);
    else if (status.state === "done") this.done(status.result);
    else if (status.state === "failed") this.fail(status.problem);
  }

  busy(text, share, seconds) {
    this.say(text, seconds);
    this.element.classList.add("busy");
    this.element.classList.remove("failed");
    for (const part of [".problem", ".again", ".whole", ...HINTED, ".download"]) this.one(part).hidden = true;
    const bar = this.one("progress");
    bar.hidden = this.state === "queued";
    if (share === undefined) bar.removeAttribute("value");
    else bar.value = share;
  }

  rest() {
    this.element.classList.remove("busy");
    this.one("progress").hidden = true;
  }

  done(result) {
    const after = `photographs/${this.key}/after/${result.number}`;
    if (this.one(".after").getAttribute("src") !== after) {
      this.number = result.number;
      this.width = result.width;
      this.height = result.height;
      this.saved = false;
      this.one(".after").src = after;
      this.one(".after").alt = `${this.name}, with guessed colours`;
      this.one(".download").href = `photographs/${this.key}/result/${result.number}`;
      this.one(".hints-file").href = `photographs/${this.key}/hints/${result.number}`;
    }
    this.one(".download").setAttribute("aria-label", `Download ${this.name}, full size`);
    this.one(".whole").setAttribute("aria-label", `View ${this.name} at 100 %`);
    this.one(".by-hand").setAttribute("aria-label", `Correct colours of ${this.name}`);
    this.one(".hints-file").setAttribute("aria-label", `Download the hints for ${this.name}`);
    this.one(".choices").hidden = false;
    for (const part of RESULT) this.one(part).hidden = false;
    this.hinted();
    this.one(".clipped").style.clipPath = "";
    this.rest();
    const size = `${result.width} × ${result.height} pixels, coloured in ${result.seconds.toFixed(1)} s.`;
    this.say(`Done: ${size}${result.remarks ? ` Note: ${result.remarks}.` : ""}`);
  }

  fail(problem) {
    this.state = "failed";
    this.element.classList.add("failed");
    this.rest();
    this.number = 0;
    const shown = this.one(".before").hasAttribute("src");
    for (const part of [...RESULT, ...HINTED]) this.one(part).hidden = true;
    this.one(".pictures").hidden = !shown;
    this.one(".choices").hidden = !this.key || !shown; // other settings would not help
    this.one(".clipped").style.clipPath = "none";
    this.one(".problem").hidden = false;
    this.one(".problem").textContent = `Not coloured: ${problem}.`;
    this.one(".again").hidden = false;
    this.one(".again").setAttribute("aria-label", `Try ${this.name} again`);
    this.say("");
  }

  say(text, seconds) {
    this.one(".state").hidden = !text;
    const what = this.one(".what");
    if (what.textContent !== text) what.textContent = text;
    this.one(".seconds").textContent = seconds ? `${Math.round(seconds)} s` : "";
    summary();
  }

  // Keep the picture's shape, as large as page and window allow; a long strip stays high enough to drag.
  fit(picture) {
    const shape = Math.min(8, Math.max(0.25, picture.naturalWidth / picture.naturalHeight));
    const stack = this.one(".stack");
    stack.style.aspectRatio = shape;
    stack.style.maxWidth = `min(100%, ${75 * shape}vh, ${Math.max(480, picture.naturalWidth)}px)`;
    this.one(".sides").style.maxWidth = stack.style.maxWidth;
    if (!this.number) this.one(".clipped").style.clipPath = "none";
  }

  cut() {
    const value = this.slider.value;
    this.one(".stack").style.setProperty("--cut", `${value}%`);
    this.slider.setAttribute("aria-valuetext", `${value} % before, the rest after`);
  }

  remove() {
    const next = this.element.nextElementSibling || this.element.previousElementSibling;
    forget([this]);
    this.leave();
    (next ? next.querySelector(".remove") : document.getElementById("choose")).focus();
    wait(0);
  }

  // Leave the page.
  leave() {
    cards.delete(this);
    clearTimeout(this.resting);
    if (this.request) this.request.abort();
    this.element.remove();
    summary();
  }
}

const equal = (state, other) => JSON.stringify(state) === JSON.stringify(other);

const words = (step) => (step ? step[0].toUpperCase() + step.slice(1) : "Starting");

// Tell whoever shows what all photographs have in common.
function summary() {
  document.dispatchEvent(new Event("photographs"));
}
