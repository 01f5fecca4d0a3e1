// The photographs on the page: uploading them, polling their states, and showing the results.
export const cards = new Set();
const list = document.getElementById("photographs");
const lost = document.getElementById("lost");
const BUSY = 400; // milliseconds between two polls
const IDLE = 15000;
const LOST = 3000;
const PATIENCE = 400; // milliseconds without input, after which a moved control counts as released
const RESULT = [".after", ".line", ".slider", ".sides", ".download"];
let last = null; // the latest choice, which new photographs start with
let timer = 0;

export class Card {
  static count = 0;

  constructor(file) {
    this.file = file;
    this.name = file.name;
    this.key = "";
    this.state = "sending";
    this.number = 0;
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
    this.busy("Waiting to be uploaded");
    list.append(this.element);
  }

  one(selector) {
    return this.element.querySelector(selector);
  }

  chosen() {
    return { run: Number(this.run.value), saturation: Number(this.saturation.value) };
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
    this.busy("Waiting");
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.ask(), PATIENCE);
  }

  async ask() {
    try {
      const query = new URLSearchParams(this.chosen());
      const answer = await fetch(`photographs/${this.key}/colour?${query}`, { method: "POST" });
      if (!answer.ok) this.fail((await answer.json()).problem);
    } catch {
      this.resting = setTimeout(() => this.ask(), LOST);
      lost.hidden = false;
    }
    soon();
  }

  send() {
    return new Promise((resolve) => {
      const request = new XMLHttpRequest();
      const sent = this.chosen();
      this.request = request;
      request.open("POST", `photographs?${new URLSearchParams({ name: this.name, ...sent })}`);
      request.responseType = "json";
      request.setRequestHeader("content-type", "application/octet-stream");
      request.upload.addEventListener("progress", (event) => {
        if (event.lengthComputable) this.busy("Uploading", event.loaded / event.total);
      });
      request.addEventListener("loadend", () => {
        this.request = null;
        this.file = null;
        this.sent(request, sent);
        resolve();
      });
      this.busy("Uploading", 0);
      request.send(this.file);
    });
  }

  // The upload has ended, one way or another.
  sent(request, settings) {
    if (request.status === 201) {
      this.key = request.response.key;
      this.state = "waiting";
      if (!cards.has(this)) forget([this]);
      else if (same(this.chosen(), settings)) this.busy("Waiting");
      else this.changed();
    } else if (cards.has(this)) {
      const problem = request.response?.problem ?? "the file cannot be read, or the program has ended";
      this.fail(problem);
    }
  }

  // Show the state that the program reported.
  show(status) {
    if (!same(this.chosen(), status)) return; // about earlier settings
    this.state = status.state;
    if (status.before && !this.one(".before").src) {
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
    this.one(".problem").hidden = true;
    this.one(".download").hidden = true;
    const bar = this.one("progress");
    bar.hidden = false;
    if (share === undefined) bar.removeAttribute("value");
    else bar.value = share;
  }

  rest() {
    this.element.classList.remove("busy");
    this.one("progress").hidden = true;
  }

  done(result) {
    if (this.number !== result.number) {
      this.number = result.number;
      const after = this.one(".after");
      after.src = `photographs/${this.key}/after/${result.number}`;
      after.alt = `${this.name}, with guessed colours`;
      this.one(".download").href = `photographs/${this.key}/result/${result.number}`;
    }
    this.one(".download").setAttribute("aria-label", `Download ${this.name}, full size`);
    for (const part of RESULT) this.one(part).hidden = false;
    this.one(".clipped").style.clipPath = "";
    this.rest();
    const size = `${result.width} × ${result.height} pixels, coloured in ${result.seconds.toFixed(1)} s.`;
    this.say(`Done: ${size}${result.remarks ? ` Note: ${result.remarks}.` : ""}`);
  }

  fail(problem) {
    this.state = "failed";
    this.rest();
    this.number = 0;
    for (const part of RESULT) this.one(part).hidden = true;
    this.one(".choices").hidden = !this.key || !this.one(".before").src; // other settings would not help
    this.one(".clipped").style.clipPath = "none";
    this.one(".problem").hidden = false;
    this.one(".problem").textContent = `Not coloured: ${problem}.`;
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
    this.one(".pictures").hidden = false;
    if (!this.number) this.one(".clipped").style.clipPath = "none";
  }

  cut() {
    const value = this.slider.value;
    this.one(".stack").style.setProperty("--cut", `${value}%`);
    this.slider.setAttribute("aria-valuetext", `${value} % before, the rest after`);
  }

  remove() {
    const next = this.element.nextElementSibling || this.element.previousElementSibling;
    cards.delete(this);
    clearTimeout(this.resting);
    if (this.request) this.request.abort();
    forget([this]);
    this.element.remove();
    (next ? next.querySelector(".remove") : document.getElementById("choose")).focus();
    summary();
  }
}

const same = (one, other) => one.run === other.run && one.saturation === other.saturation;

const words = (step) => (step ? step[0].toUpperCase() + step.slice(1) : "Starting");

export function summary() {
  const count = (state) => [...cards].filter((card) => card.state === state).length;
  const failed = count("failed");
  const text = `${count("done")} of ${cards.size} photographs coloured${failed ? `, ${failed} failed` : ""}`;
  document.getElementById("summary").textContent = cards.size > 1 ? text : "";
  for (const card of cards) card.one(".all").hidden = cards.size < 2;
}

// Have the program delete the photographs. A beacon is sent even while the page closes.
export function forget(gone) {
  const keys = keysOf(gone);
  if (keys) navigator.sendBeacon(`end?keys=${keys}`);
}

function keysOf(some) {
  return [...some].map((card) => card.key).filter((key) => key).join(",");
}

async function poll() {
  const uploaded = [...cards].filter((card) => card.key);
  if (uploaded.length) {
    try {
      const answer = await fetch(`photographs?keys=${keysOf(uploaded)}`);
      if (!answer.ok) throw new Error();
      const states = new Map((await answer.json()).map((state) => [state.key, state]));
      lost.hidden = true;
      for (const card of uploaded) {
        if (!cards.has(card)) continue;
        if (states.has(card.key)) card.show(states.get(card.key));
        else {
          card.key = "";
          card.fail("the program no longer has it; drop it again");
        }
      }
    } catch {
      lost.hidden = false;
    }
  }
  clearTimeout(timer);
  const busy = [...cards].some((card) => card.key && ["waiting", "working"].includes(card.state));
  timer = setTimeout(poll, !lost.hidden ? LOST : busy ? BUSY : IDLE);
}

// Poll soon, because something has changed.
export function soon() {
  clearTimeout(timer);
  timer = setTimeout(poll, 100);
}
