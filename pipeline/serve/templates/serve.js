// Photographs go to the program one after the other; it is asked how it stands with them until all are done.
"use strict";
(() => {
  const drop = document.getElementById("drop");
  const list = document.getElementById("photographs");
  const refused = document.getElementById("refused");
  const lost = document.getElementById("lost");
  const most = { photographs: Number(drop.dataset.photographs), bytes: Number(drop.dataset.bytes) };
  const BUSY = 400; // milliseconds between two questions
  const IDLE = 15000;
  const PATIENCE = 400; // until a moved control is taken to rest
  const RESULT = [".after", ".line", ".slider", ".sides", ".download"];
  const cards = new Set();
  const sending = [];
  let last = null; // what was chosen last holds for the next photograph
  let timer = 0;

  class Card {
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
      this.busy("Waiting to be sent");
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

    // A control was moved: once it rests, the photograph is coloured anew.
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
        const answer = await fetch(`photographs/${this.key}/colour`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify(this.chosen()),
        });
        if (!answer.ok) this.fail((await answer.json()).problem);
      } catch {
        this.resting = setTimeout(() => this.ask(), 3000);
        lost.hidden = false;
      }
      soon();
    }

    send() {
      return new Promise((resolve) => {
        const request = new XMLHttpRequest();
        const query = new URLSearchParams({ name: this.name, ...this.chosen() });
        const sent = this.chosen();
        this.request = request;
        request.open("POST", `photographs?${query}`);
        request.setRequestHeader("content-type", "application/octet-stream");
        request.upload.addEventListener("progress", (event) => {
          if (!event.lengthComputable) return;
          this.busy("Sending", event.loaded / event.total);
        });
        request.addEventListener("loadend", () => {
          this.request = null;
          this.file = null;
          if (request.status === 201) {
            const told = JSON.parse(request.responseText);
            this.key = told.key;
            this.state = "waiting";
            if (!cards.has(this)) this.forget();
            else if (same(this.chosen(), sent)) this.busy("Waiting");
            else this.changed();
          } else if (cards.has(this)) {
            let problem = "it could not be sent: the file cannot be read, or the program has ended";
            try {
              problem = JSON.parse(request.responseText).problem;
            } catch {
              // No answer at all.
            }
            this.fail(problem);
          }
          resolve();
        });
        this.busy("Sending", 0);
        request.send(this.file);
      });
    }

    // What the program tells of it.
    hear(told) {
      if (!same(this.chosen(), told)) return; // of what was chosen before
      this.state = told.state;
      if (told.before && !this.one(".before").src) {
        this.one(".before").src = `photographs/${this.key}/before`;
        this.one(".before").alt = `${this.name}, as it was`;
      }
      if (told.state === "waiting") this.busy(told.ahead ? `Waiting, ${told.ahead} before it` : "Waiting");
      else if (told.state === "working") this.busy(words(told.step), undefined, told.seconds);
      else if (told.state === "done") this.done(told.made);
      else if (told.state === "failed") this.fail(told.problem);
    }

    busy(text, share, seconds) {
      this.tell(text, seconds);
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

    done(made) {
      if (this.number !== made.number) {
        this.number = made.number;
        const after = this.one(".after");
        after.src = `photographs/${this.key}/after/${made.number}`;
        after.alt = `${this.name}, with guessed colours`;
        this.one(".download").href = `photographs/${this.key}/result/${made.number}`;
      }
      this.one(".download").setAttribute("aria-label", `Download ${this.name}, full size`);
      for (const part of RESULT) this.one(part).hidden = false;
      this.one(".clipped").style.clipPath = "";
      this.rest();
      const size = `${made.width} × ${made.height} pixels, coloured in ${made.seconds.toFixed(1)} s.`;
      this.tell(`Done: ${size}${made.remarks ? ` Note: ${made.remarks}.` : ""}`);
    }

    fail(problem) {
      this.state = "failed";
      this.rest();
      this.number = 0;
      for (const part of RESULT) this.one(part).hidden = true;
      this.one(".choices").hidden = !this.key || !this.one(".before").src; // nothing else would help
      this.one(".clipped").style.clipPath = "none";
      this.one(".problem").hidden = false;
      this.one(".problem").textContent = `Not coloured: ${problem}.`;
      this.tell("");
    }

    tell(text, seconds) {
      this.one(".state").hidden = !text;
      const what = this.one(".what");
      if (what.textContent !== text) what.textContent = text;
      this.one(".seconds").textContent = seconds ? `${Math.round(seconds)} s` : "";
      summary();
    }

    // The picture's own shape, as large as page and window allow; a strip stays high enough to be held.
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

    forget() {
      if (this.key) navigator.sendBeacon("end", this.key);
    }

    remove() {
      const next = this.element.nextElementSibling || this.element.previousElementSibling;
      cards.delete(this);
      clearTimeout(this.resting);
      if (this.request) this.request.abort();
      this.forget();
      this.element.remove();
      (next ? next.querySelector(".remove") : document.getElementById("choose")).focus();
      summary();
    }
  }
  Card.count = 0;

  const same = (one, other) => one.run === other.run && one.saturation === other.saturation;

  const words = (step) => (step ? step[0].toUpperCase() + step.slice(1) : "Starting");

  function summary() {
    const done = [...cards].filter((card) => card.state === "done").length;
    const failed = [...cards].filter((card) => card.state === "failed").length;
    const text = `${done} of ${cards.size} photographs coloured${failed ? `, ${failed} failed` : ""}`;
    const told = document.getElementById("told");
    told.textContent = cards.size > 1 ? text : "";
    for (const card of cards) card.one(".all").hidden = cards.size < 2;
  }

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

  async function hear() {
    const asked = [...cards].filter((card) => card.key);
    if (asked.length) {
      try {
        const answer = await fetch(`photographs?keys=${asked.map((card) => card.key).join(",")}`);
        if (!answer.ok) throw new Error();
        const told = new Map((await answer.json()).map((one) => [one.key, one]));
        lost.hidden = true;
        for (const card of asked) {
          if (!cards.has(card)) continue;
          if (told.has(card.key)) card.hear(told.get(card.key));
          else {
            card.key = "";
            card.fail("it is no longer here; drop it again");
          }
        }
      } catch {
        lost.hidden = false;
      }
    }
    clearTimeout(timer);
    const busy = [...cards].some((card) => card.key && ["waiting", "working"].includes(card.state));
    timer = setTimeout(hear, !lost.hidden ? 3000 : busy ? BUSY : IDLE);
  }

  function soon() {
    clearTimeout(timer);
    timer = setTimeout(hear, 100);
  }

  document.getElementById("choose").addEventListener("change", (event) => {
    take([...event.target.files]);
    event.target.value = "";
  });
  // Anywhere on the page: a photograph dropped beside the field would else take the page's place.
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
    for (const folder of folders) refuse(folder.name, "a folder; drop the photographs that are in it.");
  });
  addEventListener("pagehide", () => {
    const keys = [...cards].map((card) => card.key).filter((key) => key);
    if (keys.length) navigator.sendBeacon("end", keys.join(","));
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload(); // its photographs are gone
  });
})();
