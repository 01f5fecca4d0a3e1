// Light or dark, as the system or the remembered choice says. Runs before the page is drawn.
"use strict";
(() => {
  const set = (theme) => {
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
  };
  let theme = "";
  try {
    theme = localStorage.getItem("theme") || "";
  } catch {
    // Some browsers store nothing for pages from file://.
  }
  set(theme);
  addEventListener("DOMContentLoaded", () => {
    const select = document.getElementById("theme");
    select.value = document.documentElement.dataset.theme || "";
    select.closest("label").hidden = false;
    select.addEventListener("change", () => {
      set(select.value);
      try {
        localStorage.setItem("theme", select.value);
      } catch {
        // As above; the choice then lasts until the page is closed.
      }
    });
  });
})();
