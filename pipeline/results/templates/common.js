// What the page of a run and the comparison share. Each data/<run>.js calls addRun.
"use strict";
const runs = new Map();

function addRun(run) {
  run.withoutPicture = new Set(run.withoutPicture);
  run.withoutTruth = new Set(run.withoutTruth);
  runs.set(run.run, run);
}

// An element with properties and children; text is always text, never markup.
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

const six = (row) => String(row).padStart(6, "0");

// Where a picture lies; undefined where there is none. kind: predicted, true or gray.
function pictureOf(run, kind, row) {
  const name = `${six(row)}.jpg`;
  if (kind === "predicted") {
    return run.withoutPicture.has(row) ? undefined : `../${encodeURIComponent(run.run)}/pictures/${name}`;
  }
  return run.withoutTruth.has(row) ? undefined : `pictures/${encodeURIComponent(run.dataset)}/${kind}/${name}`;
}

function told(value, digits) {
  if (value === undefined || Number.isNaN(value)) return "NaN";
  return Number.isFinite(value) ? value.toFixed(digits) : "∞";
}

// A picture of a wall, or a patch that says why there is none.
function thumbnail(run, kind, row, alt) {
  const source = pictureOf(run, kind, row);
  if (source) return make("img", { src: source, width: 224, height: 224, loading: "lazy", alt });
  return make("span", { className: "nothing" }, "no picture");
}

// Fills `wall` with what `tile(item)` makes of `items`, `count` at a time, as one scrolls or asks for more.
function growing(wall, more, tile, count) {
  let items = [];
  let shown = 0;
  const grow = () => {
    const part = items.slice(shown, shown + count);
    shown += part.length;
    wall.append(...part.map(tile));
    more.hidden = shown >= items.length;
  };
  const observer = new IntersectionObserver(
    (entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      grow();
      // Observed anew, it tells again if the end is still in sight.
      observer.unobserve(more);
      observer.observe(more);
    },
    { rootMargin: "400px" },
  );
  observer.observe(more);
  more.addEventListener("click", () => {
    const next = wall.children.length;
    grow();
    wall.children[next]?.focus();
  });
  return (all) => {
    items = all;
    shown = 0;
    wall.replaceChildren();
    grow();
  };
}
