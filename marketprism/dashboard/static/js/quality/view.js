/** How complete and how right the data is, over time and now. */

import { get, tolerate } from "../core/api.js";
import { byId, choice, say } from "../core/dom.js";
import { paintEvery } from "../core/paint.js";
import { refine } from "../core/router.js";
import { isWatched, onRenewal } from "../core/socket.js";
import { watchFeeds } from "../header/feeds.js";
import * as differences from "./differences.js";
import { redrawGaps, showGaps, startGaps } from "./gaps.js";
import { HeatMap } from "./heatmap.js";
import * as scores from "./scores.js";
import * as severity from "./severity.js";
import { showSilent } from "./silent.js";
import { showTruth } from "./truth.js";

const HOURS = ["1", "6", "24"];
const COLUMNS = 60;
const SCORES = 24; // hours
const PHONE_COLUMNS = 18; // cells of a phone keep a finger's width
const REFRESH = 5000; // ms

const map = new HeatMap(byId("map"), byId("map-key"), severity, (text) => say(byId("map-cell"), text));
const press = choice(
  byId("map-hours"),
  HOURS,
  (hours) => `${hours} h`,
  (hours) => refine({ hours }),
);
let hours = HOURS[0];
let ends = [];

export function open() {
  const timer = setInterval(() => isWatched() && load(), REFRESH);
  ends = [
    () => clearInterval(timer),
    onRenewal(load),
    watchFeeds(showSilent),
    startGaps(),
    paintEvery(1000, redrawGaps),
    differences.start(),
    scores.start(() => (isPhone() ? PHONE_COLUMNS : SCORES)),
  ];
}

/** @param {import("../core/router.js").Place} place */
export function show({ query }) {
  hours = HOURS.includes(query.get("hours")) ? query.get("hours") : HOURS[0];
  press(hours);
  load();
}

export function close() {
  for (const end of ends) end();
}

async function load() {
  const asked = hours;
  const columns = isPhone() ? PHONE_COLUMNS : COLUMNS;
  const found = await get("quality/map", { hours, columns }).catch(tolerate);
  if (!found || asked !== hours) return;
  const rows = found.rows.map(({ feed, channel, cells }) => ({ group: feed, name: channel, cells }));
  map.show({ start: found.start, step: found.step, rows });
  showGaps(found.gaps);
  showTruth(found.truth);
}

const isPhone = () => innerWidth < 720;
