// Two runs side by side. Which ones is in the address: #a=<run>&b=<run>.
"use strict";
{
  const by = (id) => document.getElementById(id);
  const sides = ["a", "b"].map(by);
  const names = [...by("a").options].map((option) => option.value);

  function load(name) {
    if (runs.has(name)) return Promise.resolve(runs.get(name));
    return new Promise((resolve, reject) => {
      const script = make("script", { src: `data/${encodeURIComponent(name)}.js` });
      script.addEventListener("load", () => resolve(runs.get(name)));
      script.addEventListener("error", () => reject(new Error(`data/${name}.js cannot be loaded`)));
      document.head.append(script);
    });
  }

  const heading = (text, className = "") => make("th", { scope: "col", className }, text);
  const rowHeading = (text) => make("th", { scope: "row" }, text);

  function number(cell) {
    const [text, interval] = cell ?? ["–", ""];
    return make("td", { className: "number" }, text, ...(interval ? [make("small", {}, interval)] : []));
  }

  function scores(a, b, same) {
    const parts = [a, b].map((run) => run.scores[by("partition").value] ?? {});
    const metrics = [...new Set([...Object.keys(a.metrics), ...parts.flatMap(Object.keys)])];
    // Reference answers are the same for both, if they were scored on the same images.
    const others = same ? ["gray", "mean", "majority"] : [];
    const head = ["", `a: ${a.run}`, `b: ${b.run}`, ...others.map((name) => (name === "mean" ? "mean colour" : name))];
    const rows = metrics
      .filter((metric) => parts.some((part) => part[metric]?.model))
      .map((metric) =>
        make(
          "tr",
          {},
          rowHeading(a.metrics[metric] ?? b.metrics[metric] ?? metric),
          ...parts.map((part) => number(part[metric]?.model)),
          ...others.map((name) => number(parts[0][metric]?.[name])),
        ),
      );
    const cells = head.map((text) => (text ? heading(text, "number") : make("td")));
    by("scores").replaceChildren(make("thead", {}, make("tr", {}, ...cells)), make("tbody", {}, ...rows));
  }

  function findings(...pair) {
    const made = pair.map((run, k) =>
      make(
        "article",
        { className: "card" },
        make("h3", {}, `${"ab"[k]}: `, make("a", { href: `${encodeURIComponent(run.run)}.html` }, run.run)),
        make("p", { className: "badges" }, ...run.badges.flatMap(([kind, text]) => [
          make("strong", { className: `badge ${kind}` }, text), " ",
        ])),
        make("ul", {}, ...run.findings.map((sentence) => make("li", {}, sentence))),
      ),
    );
    by("findings").replaceChildren(...made);
  }

  function settings(a, b) {
    const keys = [...new Set([...Object.keys(a.settings), ...Object.keys(b.settings)])];
    const rows = keys
      .filter((key) => a.settings[key] !== b.settings[key] && key !== "settings.run")
      .map((key) => make("tr", {}, rowHeading(key), ...[a, b].map((run) => make("td", {}, run.settings[key] ?? "–"))));
    if (!rows.length) rows.push(make("tr", {}, make("td", { colSpan: 3 }, "None but the name of the run.")));
    const head = make("tr", {}, make("td"), heading("a"), heading("b"));
    by("settings").replaceChildren(make("thead", {}, head), make("tbody", {}, ...rows));
  }

  let unknown = []; // names in the address that are no runs
  let pair = [];
  const show = growing(by("wall"), by("more"), ({ row, id, errors }) => {
    const [a, b] = pair;
    const picture = (run, kind, title, error) =>
      make(
        "figure",
        {},
        make("a", { href: `${encodeURIComponent(run.run)}.html#image=${six(row)}` },
          thumbnail(run, kind, row, `Test image ${row}, ${title}`)),
        make("figcaption", {}, title, error === undefined ? "" : ` · ${told(error, 2)}`),
      );
    return make(
      "div",
      { className: "triple", tabIndex: -1 },
      make("p", {}, `${six(row)} ${id}`),
      picture(a, "predicted", "a", errors[0]),
      picture(a, "true", "true"),
      picture(b, "predicted", "b", errors[1]),
    );
  }, 24);

  function images(a, b, same) {
    const places = new Map(b.rows.map((row, i) => [row, i]));
    const error = (run, i) => run.measures.ciede2000?.[i] ?? NaN;
    const items = same
      ? a.rows.flatMap((row, i) => {
          const j = places.get(row);
          return j === undefined ? [] : [{ row, id: a.ids[i], errors: [error(a, i), error(b, j)] }];
        })
      : [];
    const sign = { a: 1, b: -1 }[by("order").value];
    if (sign) {
      const gap = (item) => sign * (item.errors[0] - item.errors[1]);
      const last = (item) => Number.isNaN(gap(item));
      items.sort((x, y) => last(x) - last(y) || (last(x) ? 0 : gap(x) - gap(y)) || x.row - y.row);
    }
    show(items);
  }

  async function update() {
    const chosen = sides.map((select) => select.value);
    if (chosen.some((name) => !name)) {
      by("notices").replaceChildren(make("p", { className: "notice" }, "There are no runs yet."));
      return;
    }
    try {
      pair = await Promise.all(chosen.map(load));
    } catch (error) {
      by("notices").replaceChildren(make("p", { className: "notice bad" }, error.message));
      return;
    }
    if (sides.some((select, k) => select.value !== chosen[k])) return; // chosen again meanwhile
    const [a, b] = pair;
    const same = a.table === b.table;
    const notices = same ? [] : [make("p", { className: "notice bad" },
      "These runs were not scored on the same images: their numbers cannot be compared, and no images are shown.")];
    for (const name of unknown) notices.push(make("p", { className: "notice bad" }, `There is no run ${name} here.`));
    if (a.run === b.run) notices.push(make("p", { className: "notice" }, "This is one run twice; choose another for a or b."));
    by("notices").replaceChildren(...notices);
    document.title = `${a.run} and ${b.run} – DeepColor`;
    scores(a, b, same);
    findings(a, b);
    settings(a, b);
    images(a, b, same);
  }

  function follow() {
    const asked = new URLSearchParams(location.hash.slice(1));
    unknown = ["a", "b"].map((side) => asked.get(side)).filter((name) => name !== null && !names.includes(name));
    sides.forEach((select, k) => {
      const name = asked.get("ab"[k]);
      if (names.includes(name)) select.value = name;
    });
    if (!asked.has("b")) {
      // Another run, of the same dataset if there is one.
      const dataset = by("a").selectedOptions[0]?.parentElement.label;
      const others = [...by("b").options].filter((option) => option.value !== by("a").value);
      const other = others.find((option) => option.parentElement.label === dataset) ?? others[0];
      if (other) by("b").value = other.value;
    }
    update();
  }

  function choose() {
    unknown = [];
    history.replaceState(null, "", `#${new URLSearchParams({ a: by("a").value, b: by("b").value })}`);
    update();
  }
  for (const select of sides) select.addEventListener("change", choose);
  by("partition").addEventListener("change", update);
  by("order").addEventListener("change", update);
  by("choice").addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", follow);
  follow();
}
