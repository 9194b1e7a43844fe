/** Arbitrage over all symbols or one: what is open now, what has been, and what it would have earned. */

import { get, items, tolerate } from "../core/api.js";
import { byId, choice } from "../core/dom.js";
import { paint, paintEvery } from "../core/paint.js";
import { refine } from "../core/router.js";
import { Opportunities } from "../core/signals.js";
import { isWatched, onRenewal } from "../core/socket.js";
import { Subscriber } from "../core/subscriber.js";
import { drawClosed } from "./closed.js";
import { drawOpen, redrawOpen } from "./open.js";
import { showStatistics } from "./statistics.js";

const ROWS = 100; // closed opportunities shown: a longer table takes a slow phone too long to move
const REFRESH = 15000; // ms between two requests for the statistics

const subscriber = new Subscriber();
const opportunities = new Opportunities();
let symbol;
let chosen = "BTC-USDT";
let closingsShown = -1;
let ends = [];

export function open() {
  const timer = setInterval(() => isWatched() && refreshStatistics(), REFRESH);
  ends = [paintEvery(250, redrawOpen), onRenewal(load), () => clearInterval(timer)];
}

/** @param {import("../core/router.js").Place} place */
export function show(place) {
  symbol = place.query.get("symbol") ? place.symbol : undefined;
  if (symbol) chosen = symbol;
  else chosen = place.symbol;
  const press = choice(
    byId("arbitrage-scope"),
    [undefined, chosen],
    (name) => name ?? "All symbols",
    (name) => refine({ symbol: name }),
  );
  press(symbol);
  const changed = subscriber.follow([`signals:${symbol ?? "*"}`], (change) => {
    opportunities.take(change);
    paint(draw);
  });
  if (!changed) return;
  opportunities.clear();
  paint(draw);
  load();
}

export function close() {
  subscriber.stop();
  for (const end of ends) end();
}

async function load() {
  const asked = symbol;
  refreshStatistics();
  const found = await get("signals/history", { symbol, type: "closed", from: "24h ago", limit: ROWS, order: "desc" }).catch(tolerate);
  if (!found || asked !== symbol) return;
  for (const event of items(found)) opportunities.add(event);
  paint(draw);
}

async function refreshStatistics() {
  const asked = symbol;
  const found = await get("signals/statistics", { hours: 24, symbol }).catch(tolerate);
  if (found && asked === symbol) showStatistics(found);
}

function draw() {
  drawOpen(opportunities.open);
  if (closingsShown === opportunities.closings) return;
  closingsShown = opportunities.closings;
  drawClosed(opportunities.closed.slice(0, ROWS));
}
