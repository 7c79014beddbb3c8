// Puts the views into the page.

import { byId, make } from "./dom.js";
import { bellmanView } from "./bellman.js";
import { deepView } from "./deep.js";
import { labView } from "./lab.js";
import { quizView } from "./quiz.js";
import { themeButton } from "./theme.js";
import { trainingView } from "./training.js";

const data = JSON.parse(byId("data").textContent);
trainingView(data);
bellmanView(data);
labView(data);
deepView(data);
quizView();
for (const { name, right, wrong } of data.mistakes) {
  for (const [which, value] of [["right", right], ["wrong", wrong]]) {
    for (const place of document.querySelectorAll(`[data-mistake="${name}-${which}"]`)) place.textContent = String(value).replace("-", "−");
  }
}

/** Which of the two pictures is shown: the table's or the network's. */
function switchView(name) {
  for (const tab of document.querySelectorAll("[role=tab]")) {
    const on = tab.dataset.view === name;
    tab.setAttribute("aria-selected", String(on));
    tab.tabIndex = on ? 0 : -1;
    byId(tab.getAttribute("aria-controls")).hidden = !on;
  }
}
const tabs = [...document.querySelectorAll("[role=tab]")];
tabs.forEach((tab, i) => {
  tab.addEventListener("click", () => switchView(tab.dataset.view));
  tab.addEventListener("keydown", (event) => {
    if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    const other = tabs[(i + 1) % tabs.length];
    switchView(other.dataset.view);
    other.focus();
  });
});

themeButton();
byId("world-name").replaceChildren(make("span", {}, data.world.name));
