/** Mark price, funding and open interest of one derivative on every exchange. */

import { now } from "../core/clock.js";
import { byId, say } from "../core/dom.js";
import { age, bps, compact, countdown, decimals, NOTHING, price, rate, share } from "../core/format.js";
import { exchangesOf, tickOf } from "../core/instruments.js";
import { paint, paintEvery } from "../core/paint.js";
import { refine } from "../core/router.js";
import { Subscriber } from "../core/subscriber.js";
import { Table } from "../core/table.js";

const KINDS = ["funding", "mark_prices", "open_interest", "tickers"];
const HOURS_A_YEAR = 365 * 24;

const subscriber = new Subscriber();
/** @type {Map<string, any>} the latest event of each kind, by exchange */
const rows = new Map();
let shown = { symbol: "", exchange: "" };
let stopTicking = null;

const digits = (row) => decimals(tickOf(shown.symbol, row.exchange));
const mark = (row) => row.mark_prices?.mark_price ?? row.funding?.mark_price;
const index = (row) => row.mark_prices?.index_price ?? row.funding?.index_price;
const premium = (row) => (mark(row) && index(row) ? (mark(row) / index(row) - 1) * 1e4 : null);
const change = ({ tickers }) => (tickers?.open && tickers.last ? rate(tickers.last / tickers.open - 1, 2) : NOTHING);
const tone = (value) => (value > 0 ? "up" : value < 0 ? "down" : "");
const since = (row) => now() - Math.max(...KINDS.map((kind) => row[kind]?.local_timestamp ?? 0));

const table = new Table(
  byId("contracts"),
  [
    { title: "Exchange", size: 62, name: true, text: (row) => row.exchange },
    { title: "Last", size: 90, wide: true, text: (row) => price(row.tickers?.last, digits(row)) },
    { title: "24 h", size: 70, wide: true, text: change },
    {
      title: "Mark",
      size: 82,
      text: (row) => price(mark(row), digits(row)),
      hint: "The price by which positions are valued",
    },
    { title: "Index", size: 90, wide: true, text: (row) => price(index(row), digits(row)) },
    {
      title: "Premium bps",
      size: 80,
      wide: true,
      text: (row) => bps(premium(row)),
      hint: "Mark price above the index",
    },
    {
      title: "Funding",
      size: 78,
      text: (row) => rate(row.funding?.rate),
      tone: (row) => tone(row.funding?.rate),
      hint: "What the longs pay to the shorts in one interval",
    },
    { title: "a year", size: 70, wide: true, text: yearly, hint: "The rate times the intervals of a year" },
    { title: "Next", size: 78, text: next, hint: "Time until the next payment" },
    { title: "Open interest", size: 70, text: (row) => compact(row.open_interest?.amount), hint: "Base units" },
    { title: "Value", size: 84, wide: true, text: (row) => compact(row.open_interest?.value), hint: "Quote units" },
    {
      title: "Share",
      size: 130,
      wide: true,
      text: (row) => share(row.share),
      hint: "Of the open interest shown",
      bar: (row) => row.share ?? 0,
    },
    { title: "Age", size: 64, wide: true, text: (row) => (row.seen ? age(since(row)) : NOTHING) },
  ],
  {
    key: (row) => row.exchange,
    empty: "No exchange has this contract.",
    tone: (row) => (row.exchange === shown.exchange ? "chosen" : row.seen ? "" : "off"),
    pick: (row) => refine({ exchange: row.exchange }),
  },
);

function yearly({ funding }) {
  return funding?.interval_hours ? rate((funding.rate * HOURS_A_YEAR) / funding.interval_hours, 1) : NOTHING;
}

function next({ funding }) {
  if (!funding) return NOTHING;
  return funding.next_funding_at ? countdown(funding.next_funding_at - now()) : "continuous";
}

export function open() {
  stopTicking = paintEvery(1000, () => table.redraw());
}

export function show(place) {
  shown = place;
  const changed = subscriber.follow(
    KINDS.map((kind) => `${kind}:${place.symbol}`),
    ({ data }, [kind, , exchange]) => {
      if (kind === "funding" && data.type === "settled") return;
      rowOf(exchange)[kind] = data;
      rowOf(exchange).seen = true;
      paint(draw);
    },
  );
  if (changed) rows.clear();
  for (const exchange of exchangesOf(place.symbol)) rowOf(exchange);
  say(byId("contracts-title"), place.symbol);
  paint(draw);
}

export function close() {
  subscriber.stop();
  stopTicking?.();
}

function rowOf(exchange) {
  if (!rows.has(exchange)) rows.set(exchange, { exchange });
  return rows.get(exchange);
}

function draw() {
  const all = [...rows.values()].sort((a, b) => (a.exchange < b.exchange ? -1 : 1));
  const total = all.reduce((sum, row) => sum + Number(row.open_interest?.amount ?? 0), 0);
  for (const row of all) row.share = row.open_interest?.amount && total ? row.open_interest.amount / total : null;
  table.show(all);
}
