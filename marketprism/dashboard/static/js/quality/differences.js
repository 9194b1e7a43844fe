/** Disagreements of rebuilt book and exchange, with both tops. */

import { byId, say } from "../core/dom.js";
import { clock } from "../core/format.js";
import { paint } from "../core/paint.js";
import { subscribe } from "../core/socket.js";
import { Table } from "../core/table.js";

const MOST = 100;

let events = [];

const table = new Table(
  byId("differences"),
  [
    { title: "Time", name: true, text: (row) => clock(row.local_timestamp, 0) },
    { title: "Instrument", name: true, text: (row) => `${row.exchange} ${row.symbol}` },
    { title: "Exchange’s", text: (row) => top(row.bbo), hint: "Bid amount × price | price × amount of the ask" },
    { title: "Ours", text: (row) => top(row.book) },
  ],
  { key: (row) => row.source + row.sequence, empty: "None seen." },
);

function top([bid, bidAmount, ask, askAmount]) {
  const side = (price, size) => (price === "NULL" || price == null ? "–" : `${price} × ${size}`);
  return `${side(bid, bidAmount)} | ${side(ask, askAmount)}`;
}

/** Collect differences until the returned function is called. */
export function start() {
  events = [];
  paint(draw);
  return subscribe(["quality"], ({ data }) => {
    const found = data.filter((event) => event.type === "difference");
    if (!found.length) return;
    const fresh = found.filter((event) => !events.some((each) => each.source === event.source && each.sequence === event.sequence));
    events = [...events, ...fresh].sort((a, b) => b.local_timestamp - a.local_timestamp).slice(0, MOST);
    paint(draw);
  });
}

function draw() {
  table.show(events);
  say(byId("differences-summary"), events.length ? `${events.length} seen` : "");
}
