/** Forced orders of one derivative on every exchange, newest on top. */

import { byId, say } from "../core/dom.js";
import { amount, clock, compact, decimals, price } from "../core/format.js";
import { tickOf } from "../core/instruments.js";
import { paint } from "../core/paint.js";
import { Subscriber } from "../core/subscriber.js";
import { Table } from "../core/table.js";

const MOST = 100;

const subscriber = new Subscriber();
let events = [];

const paid = (row) => row.average_price ?? row.price;

const table = new Table(
  byId("liquidations"),
  [
    { title: "Time", size: 68, name: true, text: (row) => clock(row.timestamp, 0) },
    { title: "Exchange", size: 62, name: true, text: (row) => row.exchange },
    {
      title: "Closed",
      size: 58,
      name: true,
      text: (row) => (row.side === "sell" ? "▼ long" : "▲ short"),
      tone: (row) => (row.side === "sell" ? "down" : "up"),
    },
    { title: "Price", size: 78, text: (row) => price(paid(row), decimals(tickOf(row.symbol, row.exchange))) },
    { title: "Amount", size: 62, text: (row) => amount(row.amount) },
    {
      title: "Value",
      size: 70,
      wide: true,
      text: (row) => (paid(row) ? compact(paid(row) * row.amount) : "–"),
      hint: "Quote units",
    },
  ],
  { key: (row) => row.source, empty: "None seen yet." },
);

export function show({ symbol }) {
  const changed = subscriber.follow([`liquidations:${symbol}`], (change, [, , exchange]) => {
    if (change.type === "snapshot") events = events.filter((event) => event.exchange !== exchange);
    events = [...events, ...change.data].sort((a, b) => b.timestamp - a.timestamp).slice(0, MOST);
    paint(draw);
  });
  if (changed) events = [];
  paint(draw);
}

export function close() {
  subscriber.stop();
}

function draw() {
  table.show(events);
  const sampled = [...new Set(events.filter((event) => event.sampled).map((event) => event.exchange))];
  say(byId("liquidations-summary"), sampled.length ? `${sampled.join(", ")}: a sample only` : "");
}
