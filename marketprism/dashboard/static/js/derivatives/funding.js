/** Funding rates over time, one line per exchange. */

import { Lines } from "../charts/lines.js";
import { get, items, tolerate } from "../core/api.js";
import { byId, say } from "../core/dom.js";
import { rate } from "../core/format.js";
import { onRenewal } from "../core/socket.js";

const MOST = 1000; // events fetched

const lines = new Lines(byId("funding"), byId("funding-legend"), (value) => rate(value));
let symbol = "";
let endRenewal = null;

export function open() {
  endRenewal = onRenewal(load);
}

export function show(place) {
  if (place.symbol === symbol) return;
  symbol = place.symbol;
  load();
}

export function close() {
  symbol = "";
  endRenewal?.();
}

async function load() {
  const asked = symbol;
  const past = (type, from) => get("funding/history", { symbol, type, from, limit: MOST, order: "desc" });
  const settled = items(await past("settled", "30d ago").catch(tolerate));
  const shown = settled.length ? settled : items(await past("estimated", "1h ago").catch(tolerate));
  if (asked !== symbol) return;
  say(byId("funding-title"), settled.length ? "Funding paid" : "Funding, estimated");
  await lines.show(byExchange(shown));
  if (!shown.length) say(byId("funding-legend"), "None stored yet.");
}

function byExchange(events) {
  const names = [...new Set(events.map((event) => event.exchange))].sort();
  const points = (name) =>
    events
      .filter((event) => event.exchange === name)
      .map((event) => ({ time: event.timestamp, value: Number(event.rate) }));
  return names.map((name) => ({ name, points: points(name) }));
}
