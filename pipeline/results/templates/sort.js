// Sort a table by a click on a heading: first ascending, then descending. Cells without a number stay last.
"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const headings = [...table.tHead.rows[0].cells];
  const initial = [...body.rows];
  const key = (row, column, numeric) => {
    const cell = row.cells[column];
    if (!numeric) return cell.dataset.value ?? cell.textContent.trim();
    return cell.dataset.value === undefined ? NaN : Number(cell.dataset.value);
  };
  headings.forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => {
      const falling = heading.getAttribute("aria-sort") === "ascending";
      for (const other of headings) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const numeric = heading.classList.contains("number");
      const sign = falling ? -1 : 1;
      const keyed = initial.map((row) => [key(row, column, numeric), row]);
      keyed.sort(([x], [y]) => {
        if (!numeric) return sign * x.localeCompare(y, "en", { numeric: true });
        if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
        return sign * (x < y ? -1 : x > y ? 1 : 0);
      });
      body.append(...keyed.map(([, row]) => row));
    });
  });
}
