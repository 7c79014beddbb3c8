// Light or dark: the system's choice, until the reader makes one.

import { byId } from "./dom.js";

export function themeButton() {
  byId("theme").addEventListener("click", () => {
    const dark = getComputedStyle(document.documentElement).colorScheme === "dark";
    document.documentElement.dataset.theme = dark ? "light" : "dark";
  });
}
