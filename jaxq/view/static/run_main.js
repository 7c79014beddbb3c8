// Puts the views of a run into the page.

import { costSummary } from "./costs.js";
import { byId, make } from "./dom.js";
import { episodeView } from "./episode.js";
import { expectationsView } from "./expectations.js";
import { learningView } from "./learning.js";
import { readable } from "./plot.js";
import { populationView } from "./population.js";
import { replayView } from "./replay.js";
import { statesView } from "./states.js";
import { themeButton } from "./theme.js";

const data = JSON.parse(byId("data").textContent);
const { iqm, interval } = data.summary;

byId("title").textContent = `${data.algorithm} on ${data.environment}`;
byId("name").textContent = data.name;
byId("lead").textContent = `${data.scores.length.toLocaleString("en")} ${data.scores.length === 1 ? "agent" : "agents"} after ${data.steps.toLocaleString("en")} env steps each${data.finished ? "" : ` of ${data.planned.toLocaleString("en")}, still training`}. ${
  iqm == null ? "No agent has finished an episode yet." : `Interquartile mean ${readable(iqm)}${interval ? ` [${interval.map(readable).join(", ")}]` : ""} (${data.scoredBy}).`}${costSummary(data.costs)}`;
byId("notes").append(...data.notes.map((note) => make("p", { class: "note" }, note)));
byId("settings").append(...data.settings.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
byId("settings-box").hidden = !data.settings.length;
themeButton();

const played = data.ranked.length > 0;
for (const id of ["episode-section", "expectations-section"]) byId(id).hidden = !played;
const views = played ? [episodeView(data), expectationsView(data)] : [];
if (data.table?.world) views.push(learningView(data));
if (data.table) views.push(statesView(data));
if (data.replays) views.push(replayView(data));
let stops = [];
populationView(data, (agent) => {
  for (const stop of stops) stop?.();
  stops = views.map((view) => view(agent));
});
