// A picture with hints as markers, which mouse, touch and keys add, move, open and delete.
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const FAR = 10; // pixels on the screen for an arrow key with Shift, otherwise 1
const STILL = 4; // pixels that a finger may move while it taps
const frame = document.getElementById("hints-frame");
const picture = document.getElementById("hints-picture");
const cross = document.getElementById("hints-cross");
const list = document.getElementById("hints-markers");
const canvas = picture.querySelector("canvas");
const pen = canvas.getContext("2d", { willReadFrequently: true });

export class Markers {
  // `acts` has add(x, y, byKey), move(number, x, y), open(number, byKey) and remove(number).
  constructor(acts) {
    this.acts = acts;
    this.hints = [];
    picture.addEventListener("click", (event) => {
      if (this.loaded) acts.add(...this.under(event), false);
    });
    picture.addEventListener("keydown", (event) => this.crossKey(event));
  }

  // Begin with another photograph of this size in pixels.
  begin(width, height) {
    Object.assign(this, { width, height, loaded: false, cross: { x: width >> 1, y: height >> 1 } });
    frame.style.setProperty("--shape", width / height);
    canvas.width = canvas.height = 1;
    this.place(cross, this.cross);
  }

  draw(image, width, height) {
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    pen.drawImage(image, 0, 0);
    this.loaded = true;
  }

  // The colour that is shown at a pixel of the photograph.
  colourAt(x, y) {
    const column = Math.floor(((x + 0.5) / this.width) * canvas.width);
    const row = Math.floor(((y + 0.5) / this.height) * canvas.height);
    const [red, green, blue] = pen.getImageData(column, row, 1, 1).data;
    return `#${((red << 16) | (green << 8) | blue).toString(16).padStart(6, "0")}`;
  }

  show(hints, opened) {
    this.hints = hints;
    while (list.children.length > hints.length) list.lastChild.remove();
    while (list.children.length < hints.length) list.append(this.made(list.children.length));
    hints.forEach((hint, number) => {
      const marker = list.children[number];
      this.place(marker, hint);
      marker.style.setProperty("--colour", hint.color);
      marker.setAttribute("aria-label", `Hint ${number + 1}, ${hint.color} at ${hint.x}, ${hint.y}`);
      marker.setAttribute("aria-expanded", number === opened);
    });
  }

  focus(number) {
    (list.children[number] ?? picture).focus();
  }

  made(number) {
    const marker = document.createElement("button");
    marker.type = "button";
    marker.className = "marker";
    let from = null; // where it is dragged from
    let dragged = false;
    marker.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      from = { event, hint: this.hints[number] };
      dragged = false;
      marker.setPointerCapture(event.pointerId);
    });
    marker.addEventListener("pointermove", (event) => {
      if (!from) return;
      const [across, down] = [event.clientX - from.event.clientX, event.clientY - from.event.clientY];
      dragged ||= Math.hypot(across, down) > STILL;
      if (dragged) this.move(number, from.hint, across * this.scale(), down * this.scale());
    });
    marker.addEventListener("lostpointercapture", () => {
      from = null;
    });
    marker.addEventListener("click", (event) => {
      if (!dragged || !event.detail) this.acts.open(number, !event.detail);
      dragged = false;
    });
    marker.addEventListener("keydown", (event) => {
      if (STEPS[event.key]) this.move(number, this.hints[number], ...this.steps(event));
      else if (["Delete", "Backspace"].includes(event.key)) this.acts.remove(number);
      else return;
      event.preventDefault();
    });
    return marker;
  }

  crossKey(event) {
    if (STEPS[event.key]) {
      this.cross = this.moved(this.cross, ...this.steps(event));
      this.place(cross, this.cross);
    } else if (event.key === "Enter" && this.loaded) this.acts.add(this.cross.x, this.cross.y, true);
    else return;
    event.preventDefault();
  }

  move(number, from, across, down) {
    const { x, y } = this.moved(from, across, down);
    this.acts.move(number, x, y);
  }

  moved({ x, y }, across, down) {
    return { x: within(Math.round(x + across), this.width), y: within(Math.round(y + down), this.height) };
  }

  // How many pixels of the photograph one of the screen shows.
  scale() {
    return this.width / frame.clientWidth;
  }

  // How far an arrow key moves: by pixels of the screen, each at least one of the photograph.
  steps(event) {
    const far = (event.shiftKey ? FAR : 1) * Math.max(1, this.scale());
    return STEPS[event.key].map((step) => step * far);
  }

  under(event) {
    const { left, top, width, height } = frame.getBoundingClientRect();
    const x = Math.floor(((event.clientX - left) / width) * this.width);
    const y = Math.floor(((event.clientY - top) / height) * this.height);
    return [within(x, this.width), within(y, this.height)];
  }

  place(element, { x, y }) {
    element.style.left = `${((x + 0.5) / this.width) * 100}%`;
    element.style.top = `${((y + 0.5) / this.height) * 100}%`;
  }
}

const within = (value, size) => Math.min(size - 1, Math.max(0, value));
