/** The order book of one exchange: asks over bids, the cumulative amount as a bar. */

import { byId, say } from "../core/dom.js";
import { amount, bps, decimals, price } from "../core/format.js";
import { tickOf } from "../core/instruments.js";
import { paint } from "../core/paint.js";
import { Subscriber } from "../core/subscriber.js";
import { Table } from "../core/table.js";

const ROW = 20; // px
const OTHERS = 400; // px of the page's height that the book leaves to header, feeds and trades

const subscriber = new Subscriber();
let book = null;
let digits = 0;

const table = new Table(
  byId("ladder"),
  [
    { title: "Price", size: 90, text: (row) => row.middle ?? price(row.price, digits), tone: (row) => row.tone },
    { title: "Amount", size: 80, text: (row) => (row.middle ? "" : amount(row.amount)) },
    {
      title: "Total",
      size: 90,
      text: (row) => (row.middle ? "" : amount(row.total)),
      bar: (row) => row.share,
      tone: (row) => row.side,
    },
  ],
  {
    key: (row) => row.key,
    empty: "No book yet.",
    tone: (row) => `${row.middle ? "spread" : ""} ${book?.state === "live" ? "" : "off"}`.trim(),
  },
);

export function show({ symbol, exchange }) {
  const changed = subscriber.follow([`books:${symbol}:${exchange}`], ({ data }) => {
    book = data;
    paint(draw);
  });
  if (!changed) return;
  book = null;
  digits = decimals(tickOf(symbol, exchange));
  say(byId("ladder-summary"), exchange);
  paint(draw);
}

export function close() {
  subscriber.stop();
}

function draw() {
  if (!book) return table.show([]);
  const bids = side(book.bids, "bid", "up");
  const asks = side(book.asks, "ask", "down");
  const most = Math.max(bids.at(-1)?.total ?? 0, asks.at(-1)?.total ?? 0);
  for (const row of [...bids, ...asks]) row.share = most ? row.total / most : 0;
  table.show([...asks.reverse(), { key: "middle", middle: spread(book), share: 0 }, ...bids]);
  say(byId("ladder-summary"), book.state === "live" ? book.exchange : `${book.exchange}, ${book.state}`);
}

/** How many levels of each side there is room for. */
const count = () => Math.max(6, Math.min(15, Math.floor((innerHeight - OTHERS) / (2 * ROW))));

/** Rows of one side, best first. A row's key is its place, so that rows are rewritten and not moved. */
function side(levels, name, tone) {
  let total = 0;
  return levels.slice(0, count()).map(([each, size], i) => {
    total += Number(size);
    return { key: `${name}${i}`, price: each, amount: size, total, side: name, tone };
  });
}

function spread({ bids, asks }) {
  if (!bids.length || !asks.length) return "one side is empty";
  const [bid, ask] = [Number(bids[0][0]), Number(asks[0][0])];
  const width = price((ask - bid).toFixed(digits), digits);
  return `spread ${width}, ${bps(((ask - bid) / bid) * 1e4).replace("+", "")} bps`;
}
