// A strip of a photograph's other colourings, of which a person chooses one.
const strip = document.getElementById("hints-strip");
const choices = [...strip.querySelectorAll("input")];

export class Strip {
  // `acts` has vary(variant).
  constructor(acts) {
    strip.addEventListener("change", (event) => acts.vary(Number(event.target.value)));
  }

  // Begin with another photograph of this size in pixels.
  begin(width, height) {
    Object.assign(this, { shown: "", chosen: -1 });
    for (const canvas of strip.querySelectorAll("canvas")) {
      canvas.width = 96;
      canvas.height = Math.max(1, (96 * height) / width);
    }
  }

  show(variant) {
    if (variant === this.chosen) return;
    this.chosen = variant;
    choices[variant].checked = true;
    choices[variant].parentElement.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  // Draw the colourings, which are one below the other, as those that are `shown`.
  draw(bitmap, shown) {
    this.shown = shown;
    const { width } = bitmap;
    const height = bitmap.height / choices.length;
    strip.querySelectorAll("canvas").forEach((canvas, number) => {
      Object.assign(canvas, { width, height });
      canvas.getContext("2d").drawImage(bitmap, 0, number * height, width, height, 0, 0, width, height);
    });
  }
}
