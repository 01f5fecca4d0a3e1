// The wall of a run's test images, and the viewer of one image, with a slider between two pictures. data/<run>.js sets
// `run`.
"use strict";
const wall = document.getElementById("wall");
if (wall) {
  const by = (id) => document.getElementById(id);
  const errors = run.measures.ciede2000 ?? [];
  const errorOf = (i) => errors[i] ?? NaN;
  const withoutPicture = new Set(run.withoutPicture);
  const withoutTruth = new Set(run.withoutTruth);
  let chosen = []; // places in run.rows, in the order shown
  let shown = 0; // how many of them are on the wall
  let current = -1; // place in run.rows of the enlarged image

  // Make an element with properties and children; text is never parsed as markup.
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

  function rounded(value, digits) {
    if (value === undefined || Number.isNaN(value)) return "NaN";
    return Number.isFinite(value) ? value.toFixed(digits) : "∞";
  }

  // The path of a picture, or undefined if it is missing. kind: predicted, true or gray.
  function pictureOf(kind, row) {
    const name = `${six(row)}.jpg`;
    if (kind === "predicted") {
      return withoutPicture.has(row) ? undefined : `../${encodeURIComponent(run.run)}/pictures/${name}`;
    }
    return withoutTruth.has(row) ? undefined : `pictures/${encodeURIComponent(run.dataset)}/${kind}/${name}`;
  }

  const describe = (i) => (Number.isNaN(errorOf(i)) ? "not a number" : `CIEDE2000 ${rounded(errorOf(i), 2)}`);

  function tile(i) {
    const row = run.rows[i];
    const source = pictureOf("predicted", row);
    const picture = source
      ? make("img", { src: source, width: 224, height: 224, loading: "lazy", alt: "" })
      : make("span", { className: "nothing" }, "no picture");
    const label = `Test image ${row}, ${run.ids[i]}, ${describe(i)}`;
    const button = make("button", { type: "button", className: "tile", "aria-label": label });
    button.append(picture, make("span", {}, rounded(errorOf(i), 2)));
    button.addEventListener("click", () => open(i));
    return button;
  }

  // The wall grows when its end is scrolled into view, or on a click.
  const more = by("more");
  function grow() {
    const part = chosen.slice(shown, shown + 48);
    shown += part.length;
    wall.append(...part.map(tile));
    more.hidden = shown >= chosen.length;
  }
  const observer = new IntersectionObserver(
    (entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      grow();
      // Observing anew reports again if the end is still in view.
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

  function choose() {
    const least = by("least").valueAsNumber;
    const most = by("most").valueAsNumber;
    const all = Number.isNaN(least) && Number.isNaN(most);
    // A comparison with NaN is false, so an empty field sets no limit.
    chosen = run.rows.map((_, i) => i);
    if (!all) chosen = chosen.filter((i) => !Number.isNaN(errorOf(i)) && !(errorOf(i) < least) && !(errorOf(i) > most));
    const sign = { falling: -1, rising: 1 }[by("order").value];
    if (sign) {
      const last = (i) => Number.isNaN(errorOf(i));
      chosen.sort((i, j) => last(i) - last(j) || (last(i) ? 0 : sign * (errorOf(i) - errorOf(j))) || i - j);
    }
    by("count").textContent = `${chosen.length} of ${run.rows.length} images`;
    shown = 0;
    wall.replaceChildren();
    grow();
  }
  const known = errors.filter((value) => Number.isFinite(value));
  const range = known.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, 0]);
  if (known.length) {
    by("least").placeholder = rounded(range[0], 2);
    by("most").placeholder = rounded(range[1], 2);
  }
  for (const end of ["least", "most"]) by(end).addEventListener("input", choose);
  by("order").addEventListener("change", choose);
  by("filter").addEventListener("reset", () => setTimeout(choose));
  by("filter").addEventListener("submit", (event) => event.preventDefault());

  const viewer = by("viewer");
  const slider = by("slider");

  function slide() {
    viewer.style.setProperty("--cut", `${slider.value}%`);
    const [left, right] = [by("left-name").textContent, by("right-name").textContent];
    slider.setAttribute("aria-valuetext", `${slider.value} % ${left}, the rest ${right}`);
  }

  function draw() {
    const row = run.rows[current];
    const sides = viewer.querySelector("input[name=sides]:checked").value.split(",");
    ["left", "right"].forEach((side, k) => {
      const source = pictureOf(sides[k], row);
      const picture = by(side);
      picture.hidden = !source;
      picture.alt = `Test image ${row}, ${sides[k]}`;
      if (source) picture.src = source;
      by(`${side}-nothing`).hidden = Boolean(source);
      by(`${side}-nothing`).textContent = "no picture";
      by(`${side}-name`).textContent = sides[k];
    });
    by("viewer-title").textContent = `Image ${six(row)}`;
    const measured = Object.entries(run.measures).map(([name, all]) => {
      return `${run.metrics[name] ?? name} ${rounded(all[current], run.digits[name])}`;
    });
    by("image-scores").textContent = [run.ids[current], ...measured].join(" · ");
    by("link").href = `#image=${six(row)}`;
    const place = chosen.indexOf(current);
    by("previous").disabled = place === 0;
    by("next").disabled = place === chosen.length - 1;
    // A disabled button would keep the focus and swallow the keys.
    if (document.activeElement.disabled) slider.focus();
    slide();
  }

  function open(i) {
    current = i;
    // Replace the entry, so that "back" leads to the previous page, not the previous image.
    history.replaceState(null, "", `#image=${six(run.rows[i])}`);
    draw();
    if (!viewer.open) {
      viewer.showModal();
      slider.focus();
    }
  }

  function step(far) {
    const place = chosen.indexOf(current);
    // An image opened by a link may have been filtered out.
    const next = place < 0 ? chosen[0] : chosen[place + far];
    if (next !== undefined) open(next);
  }

  slider.addEventListener("input", slide);
  by("sides").addEventListener("change", draw);
  by("next").addEventListener("click", () => step(1));
  by("previous").addEventListener("click", () => step(-1));
  by("close").addEventListener("click", () => viewer.close());
  viewer.addEventListener("click", (event) => {
    if (event.target === viewer) viewer.close(); // the backdrop
  });
  viewer.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "n") step(1);
    else if (event.key === "p") step(-1);
    else if (event.key === "t") {
      const choices = [...viewer.querySelectorAll("input[name=sides]")];
      choices[(choices.findIndex((choice) => choice.checked) + 1) % choices.length].checked = true;
      draw();
    }
  });
  viewer.addEventListener("close", () => {
    history.replaceState(null, "", "#images");
    wall.children[chosen.indexOf(current)]?.focus();
  });

  function follow() {
    const match = /^#image=(\d+)$/.exec(location.hash);
    if (!match) return;
    const i = run.rows.indexOf(Number(match[1]));
    if (i >= 0) open(i);
    else by("count").textContent = `This run has no test image ${match[1]}. ${by("count").textContent}`;
  }
  choose();
  follow();
  addEventListener("hashchange", follow);
}
