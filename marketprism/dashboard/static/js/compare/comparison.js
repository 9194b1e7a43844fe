/** Bid and ask of one symbol on every exchange, with the distance to the best. */

import { now } from "../core/clock.js";
import { byId, say } from "../core/dom.js";
import { age, amount, bps, decimals, fixed, NOTHING, price } from "../core/format.js";
import { allSymbols, isKnown } from "../core/instruments.js";
import { paint, paintEvery } from "../core/paint.js";
import { place, refine } from "../core/router.js";
import { Subscriber } from "../core/subscriber.js";
import { Table } from "../core/table.js";
import { openSides } from "./sides.js";

const subscriber = new Subscriber();
let latest = null;
let digits = 0;
let chosen = "";
let stopTicking = null;

const crossing = (row, side) => (openSides.get(row.exchange)?.has(side) ? "crossing" : "");
const bidTone = (row) => `${row.is_best_bid ? "best-bid" : ""} ${crossing(row, "sell")}`;
const askTone = (row) => `${row.is_best_ask ? "best-ask" : ""} ${crossing(row, "buy")}`;
const since = (row) => age(row.last_at ? now() - row.last_at : null);

const COLUMNS = [
  { title: "Exchange", size: 64, name: true, text: (row) => row.exchange },
  { title: "Amount", size: 56, wide: true, text: (row) => amount(row.bid_amount), tone: () => "soft" },
  {
    title: "bps",
    size: 46,
    text: (row) => distance(row, row.bid_bps, row.is_best_bid),
    hint: "Bid below the best bid, in basis points",
    tone: () => "soft",
  },
  { title: "Bid", size: 78, text: (row) => price(row.bid, digits), tone: bidTone },
  { title: "Ask", size: 78, text: (row) => price(row.ask, digits), tone: askTone },
  {
    title: "bps",
    size: 46,
    text: (row) => distance(row, row.ask_bps, row.is_best_ask),
    hint: "Ask above the best ask, in basis points",
    tone: () => "soft",
  },
  { title: "Amount", size: 56, wide: true, text: (row) => amount(row.ask_amount), tone: () => "soft" },
  { title: "Age", size: 60, text: since },
];

const table = new Table(byId("comparison"), COLUMNS, {
  key: (row) => row.exchange,
  empty: "No exchange has quoted this symbol yet.",
  tone: (row) => `${row.exchange === chosen ? "chosen" : ""} ${row.state === "live" ? "" : "off"}`.trim(),
  pick: (row) => refine({ exchange: row.exchange }),
});

/** The distance to the best, or why the row does not take part. */
function distance({ state }, value, best) {
  if (state !== "live") return state === "rest" ? "REST" : state;
  return best ? "best" : bps(value);
}

export function open() {
  stopTicking = paintEvery(250, () => table.redraw());
}

export function show({ symbol, exchange }) {
  chosen = exchange;
  const changed = subscriber.follow([`compare:${symbol}`], ({ data }) => {
    latest = data;
    paint(draw);
  });
  if (changed) {
    latest = null;
    say(byId("comparison-title"), symbol);
  }
  paint(draw);
}

export function close() {
  subscriber.stop();
  stopTicking?.();
}

/** The highlight of open opportunities has changed. */
export const drawSides = () => table.redraw();

function draw() {
  digits = decimals(latest?.tick);
  table.show(latest?.rows ?? []);
  const row = latest?.rows.find((each) => each.exchange === chosen);
  byId("view-compare").classList.toggle("stopped", Boolean(row) && row.state !== "live");
  say(byId("comparison-summary"), latest ? summary(latest) : absence());
}

/** Why there is nothing: a symbol that no exchange lists, once the list is known. */
const absence = () => (!allSymbols().length || isKnown(place.symbol) ? "" : `no exchange lists ${place.symbol}`);

function summary({ rows, cross_bps }) {
  if (cross_bps == null) return NOTHING;
  const exchange = (best) => rows.find((row) => row[best])?.exchange;
  const route = `${exchange("is_best_ask")} → ${exchange("is_best_bid")}`;
  return cross_bps > 0
    ? `crossed by ${fixed(cross_bps, 2)} bps before fees: ${route}`
    : `apart by ${fixed(-cross_bps, 2)} bps`;
}
