/** Disagreements with the exchange: of rebuilt books, with both tops, and of candles, with both values. */

import { byId, say } from "../core/dom.js";
import { clock, NOTHING } from "../core/format.js";
import { paint } from "../core/paint.js";
import { subscribe } from "../core/socket.js";
import { Table } from "../core/table.js";

const MOST = 100;
const TONES = { bid: "up", ask: "down" };
const CAUSES = { gap: "trades missing", late: "late trades", not_on_book: "off the book", both_sides: "both sides" };

let events = [];

const table = new Table(
  byId("differences"),
  [
    { title: "Time", name: true, wide: true, text: (row) => clock(row.event.local_timestamp, 0) },
    { title: "Instrument", name: true, text: (row) => `${row.event.exchange} ${row.event.symbol}` },
    { title: "Of", name: true, text: (row) => row.what, tone: (row) => TONES[row.what] ?? "" },
    { title: "Exchange’s", text: (row) => row.theirs, hint: "Of a book: price × amount of its own best price" },
    { title: "Ours", text: (row) => row.ours, hint: "Of a candle: made of the trades" },
    { title: "Cause", name: true, wide: true, text: (row) => row.cause, tone: () => "soft" },
  ],
  { key: (row) => `${row.event.source} ${row.event.sequence} ${row.event.start} ${row.what}`, empty: "None seen." },
);

const rowsOf = (event) => (event.check === "candle" ? candleRows(event) : bookRows(event));

/** One row for each field that differs. */
function candleRows(event) {
  const cause = CAUSES[event.cause] ?? (event.cause || "unknown");
  return event.fields.map((field, i) => {
    const what = `${event.interval} ${clock(event.start, 0)} ${field.replaceAll("_", " ")}`;
    return { event, what, theirs: value(event.theirs[i]), ours: value(event.ours[i]), cause };
  });
}

const value = (text) => (text == null || text === "NULL" || text === "None" ? NOTHING : text);

/** One row for each side that differs. */
function bookRows(event) {
  return [
    { event, what: "bid", theirs: top(event.bbo, 0), ours: top(event.book, 0), cause: "" },
    { event, what: "ask", theirs: top(event.bbo, 2), ours: top(event.book, 2), cause: "" },
  ].filter(({ theirs, ours }) => theirs !== ours);
}

function top(tops, from) {
  const [price, size] = tops.slice(from, from + 2);
  return price === "NULL" || price == null ? NOTHING : `${price} × ${size}`;
}

const keyOf = ({ source, sequence, interval, start }) => [source, sequence, interval, start].join();

/** Collect differences until the returned function is called. */
export function start() {
  events = [];
  paint(draw);
  return subscribe(["quality"], ({ data }) => {
    const found = data.filter((event) => event.type === "difference");
    if (!found.length) return;
    const fresh = found.filter((event) => !events.some((each) => keyOf(each) === keyOf(event)));
    events = [...events, ...fresh].sort((a, b) => b.local_timestamp - a.local_timestamp).slice(0, MOST);
    paint(draw);
  });
}

function draw() {
  table.show(events.flatMap(rowsOf).slice(0, MOST));
  say(byId("differences-summary"), events.length ? `${events.length} seen` : "");
}
