// The choice of a hint's colour: likely ones, recent ones, and any.
const MOST = 8; // recent colours
const choice = document.getElementById("hints-choice");
const title = document.getElementById("hints-title");
const likely = document.getElementById("hints-likely");
const used = document.getElementById("hints-recent");
const any = document.getElementById("hints-any");
const HUES = "red orange yellow green green turquoise turquoise blue blue purple pink pink".split(" "); // 30° each
const recent = []; // on this page, the latest first

export class Palette {
  // `acts` has choose(color), remove() and leave().
  constructor(acts) {
    this.acts = acts;
    any.addEventListener("input", () => acts.choose(any.value));
    any.addEventListener("change", () => remember(any.value));
    document.getElementById("hints-delete").addEventListener("click", () => acts.remove());
    choice.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault(); // it would close the dialog
      acts.leave();
    });
  }

  // Offer colours for a hint, or nothing for none.
  open(number, hint) {
    choice.hidden = !hint;
    if (!hint) return;
    title.textContent = `Colour of hint ${number + 1}`;
    likely.replaceChildren();
    this.show(hint);
  }

  // Show the colour that a hint has.
  show(hint) {
    any.value = hint.color;
    this.list(used, recent, "Recent");
    for (const swatch of choice.querySelectorAll(".swatch")) mark(swatch, hint.color);
  }

  offer(colours) {
    this.list(likely, colours, "Likely");
    for (const swatch of likely.children) mark(swatch, any.value);
  }

  focus() {
    choice.focus();
  }

  list(parent, colours, kind) {
    parent.previousElementSibling.hidden = !colours.length;
    const same = (color, at) => parent.children[at].value === color;
    if (parent.childElementCount === colours.length && colours.every(same)) return;
    parent.replaceChildren(...colours.map((color) => this.swatch(color, kind)));
  }

  swatch(color, kind) {
    const swatch = document.createElement("button");
    swatch.type = "button";
    swatch.className = "swatch";
    swatch.value = color;
    swatch.style.setProperty("--colour", color);
    swatch.title = `${kind}: ${words(color)}`;
    swatch.setAttribute("aria-label", `${swatch.title}, ${color}`);
    swatch.addEventListener("click", () => {
      if (kind !== "Recent") remember(color); // those keep their order while one tries them
      this.acts.choose(color);
    });
    return swatch;
  }
}

function remember(color) {
  if (recent.includes(color)) return;
  recent.unshift(color);
  recent.length = Math.min(recent.length, MOST);
}

const mark = (swatch, color) => swatch.setAttribute("aria-pressed", swatch.value === color);

// A colour in words, for those who do not see it.
function words(color) {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
  const [most, least] = [Math.max(red, green, blue), Math.min(red, green, blue)];
  const range = most - least;
  const tone = most + least < 170 ? "dark " : most + least > 340 ? "light " : "";
  if (range < 24) return `${tone}gray`;
  let sixth = (green - blue) / range; // of the colour circle, from red on
  if (most === green) sixth = 2 + (blue - red) / range;
  else if (most === blue) sixth = 4 + (red - green) / range;
  return tone + HUES[Math.round(sixth * 2 + 12) % 12];
}
