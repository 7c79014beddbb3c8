// Light or dark, as the reader likes; and agents that can be filtered on the axes of parallel coordinates.

document.getElementById("theme").addEventListener("click", () => {
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark";
  document.documentElement.dataset.theme = dark ? "light" : "dark";
});

for (const figure of document.querySelectorAll("svg.parallel")) {
  const lines = [...figure.querySelectorAll("polyline")];
  const ranges = new Map();
  const count = document.createElement("p");
  count.className = "count";
  figure.parentElement.append(count);

  function filter() {
    for (const line of lines) {
      const inside = [...ranges].every(([axis, [low, high]]) => line.points[axis].y >= low && line.points[axis].y <= high);
      line.classList.toggle("out", !inside);
    }
    const shown = lines.filter((line) => !line.classList.contains("out"));
    count.textContent = ranges.size
      ? `${shown.length} of ${lines.length} agents. A click on an axis shows all again.`
      : "Drag along an axis to see only the agents that pass there.";
  }

  for (const hold of figure.querySelectorAll(".hold")) {
    const axis = Number(hold.dataset.axis);
    const brush = hold.previousElementSibling;
    const place = (event) => new DOMPoint(event.clientX, event.clientY).matrixTransform(figure.getScreenCTM().inverse()).y;
    let from = null;
    hold.addEventListener("pointerdown", (event) => {
      hold.setPointerCapture(event.pointerId);
      from = place(event);
      ranges.delete(axis);
      brush.setAttribute("height", 0);
      filter();
    });
    hold.addEventListener("pointermove", (event) => {
      if (from == null) return;
      const [low, high] = [from, place(event)].sort((a, b) => a - b);
      if (high - low < 3) return;
      ranges.set(axis, [low, high]);
      brush.setAttribute("y", low);
      brush.setAttribute("height", high - low);
      filter();
    });
    hold.addEventListener("pointerup", () => (from = null));
  }
  filter();
}
