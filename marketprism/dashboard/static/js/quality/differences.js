/** Disagreements of rebuilt book and exchange, with both tops. */

import { byId, say } from "../core/dom.js";
import { clock, NOTHING } from "../core/format.js";
import { paint } from "../core/paint.js";
import { subscribe } from "../core/socket.js";
import { Table } from "../core/table.js";

const MOST = 100;

let events = [];

const table = new Table(
  byId("differences"),
  [
    { title: "Time", name: true, wide: true, text: (row) => clock(row.event.local_timestamp, 0) },
    { title: "Instrument", name: true, text: (row) => `${row.event.exchange} ${row.event.symbol}` },
    { title: "Side", name: true, text: (row) => row.side, tone: (row) => (row.side === "bid" ? "up" : "down") },
    { title: "Exchange’s", text: (row) => top(row.event.bbo, row.from), hint: "Price × amount of its own best price" },
    { title: "Ours", text: (row) => top(row.event.book, row.from), hint: "The same of the rebuilt book" },
  ],
  { key: (row) => `${row.event.source} ${row.event.sequence} ${row.side}`, empty: "None seen." },
);

const SIDES = [
  { side: "bid", from: 0 },
  { side: "ask", from: 2 },
];

/** One row for each side that differs. */
function rowsOf(event) {
  const differs = ({ from }) => top(event.bbo, from) !== top(event.book, from);
  return SIDES.filter(differs).map((side) => ({ event, ...side }));
}

function top(tops, from) {
  const [price, size] = tops.slice(from, from + 2);
  return price === "NULL" || price == null ? NOTHING : `${price} × ${size}`;
}

/** Collect differences until the returned function is called. */
export function start() {
  events = [];
  paint(draw);
  return subscribe(["quality"], ({ data }) => {
    const found = data.filter((event) => event.type === "difference" && event.check !== "candle");
    if (!found.length) return;
    const fresh = found.filter(
      (event) => !events.some((each) => each.source === event.source && each.sequence === event.sequence),
    );
    events = [...events, ...fresh].sort((a, b) => b.local_timestamp - a.local_timestamp).slice(0, MOST);
    paint(draw);
  });
}

function draw() {
  table.show(events.flatMap(rowsOf));
  say(byId("differences-summary"), events.length ? `${events.length} seen` : "");
}
