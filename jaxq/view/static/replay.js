// What lies in the replay of the chosen agent.

import { byId, make, svg } from "./dom.js";
import { Plot, histogram, readable } from "./plot.js";

export function replayView(data) {
  byId("replay-section").hidden = false;
  return (agent) => {
    const { filled, capacity, actions, terminated, cut, rewards } = data.replays[agent];
    const most = Math.max(...actions, 1);
    const rows = actions.map((count, a) => make("div", { class: "row" }, make("span", {}, data.actions[a]),
      svg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" }, svg("rect", { x: 0, y: 1, width: (100 * count) / most, height: 8, class: "column" })),
      make("b", {}, filled ? `${Math.round((100 * count) / filled)}%` : "0%")));
    const plot = new Plot("Rewards in the replay", "reward →", "of a sample");
    const bins = histogram(rewards, 20);
    plot.range([bins.low, bins.low + bins.width * 20], [0, Math.max(...bins.counts, 1) * 1.05]).bars(bins);
    plot.say(`from ${readable(Math.min(...rewards))} to ${readable(Math.max(...rewards))}`);
    byId("replay").replaceChildren(
      make("p", { class: "status" }, make("strong", {}, filled.toLocaleString("en")), ` of ${capacity.toLocaleString("en")} transitions; ${terminated.toLocaleString("en")} of them end an episode, ${cut.toLocaleString("en")} are where one was cut off.`),
      make("div", { class: "pair" }, make("div", {}, make("h3", {}, "Actions"), make("div", { class: "bars wide" }, ...rows)), make("div", {}, make("h3", {}, "Rewards"), plot.element)));
  };
}
