/** The map of scores: each instrument's last hours. */

import { get, tolerate } from "../core/api.js";
import { byId, say } from "../core/dom.js";
import { isWatched } from "../core/socket.js";
import { HeatMap } from "./heatmap.js";
import * as score from "./score.js";

const HOUR = 3600e6; // µs
const REFRESH = 60_000; // ms; ClickHouse reads a day for it

const map = new HeatMap(byId("scores"), byId("scores-key"), score, (text) => say(byId("scores-cell"), text));

/** Keep the map up to date. @param {() => number} hours how many fit @returns {() => void} ends it */
export function start(hours) {
  const load = async () => {
    const found = await get("quality/scores", { hours: hours() }).catch(tolerate);
    if (found) map.show({ start: found.start, step: HOUR, rows: rowsOf(found) });
  };
  load();
  const timer = setInterval(() => isWatched() && load(), REFRESH);
  return () => clearInterval(timer);
}

function rowsOf({ start, end, rows }) {
  const empty = () => Array(Math.ceil((end - start) / HOUR)).fill(null);
  const found = new Map();
  for (const row of rows) {
    const key = `${row.exchange} ${row.symbol}`;
    if (!found.has(key)) found.set(key, { group: row.exchange, name: row.symbol, cells: empty() });
    found.get(key).cells[(row.hour - start) / HOUR] = row;
  }
  return [...found.keys()].sort().map((key) => found.get(key));
}
