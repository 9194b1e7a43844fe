/** Arbitrage of the symbol shown: open ones first, then those that ended, fading. */

import { now } from "../core/clock.js";
import { byId, say } from "../core/dom.js";
import { age, amount, bps, money } from "../core/format.js";
import { paint, paintEvery } from "../core/paint.js";
import { isOpen, Opportunities, route } from "../core/signals.js";
import { Subscriber } from "../core/subscriber.js";
import { Table } from "../core/table.js";
import { drawSides } from "./comparison.js";
import { setOpenSides } from "./sides.js";

const ROWS = 30;

const subscriber = new Subscriber();
const opportunities = new Opportunities();
let stopTicking = null;

const lifetime = (row) => (isOpen(row) ? now() - row.opened_at : row.lifetime);

const table = new Table(
  byId("here"),
  [
    { title: "Buy → sell", size: 118, name: true, text: route },
    {
      title: "Net bps",
      size: 58,
      text: (row) => bps(isOpen(row) ? row.net_bps : row.peak_net_bps),
      hint: "After both taker fees; of ended ones the highest",
    },
    { title: "Amount", size: 70, wide: true, text: (row) => amount(isOpen(row) ? row.amount : row.peak_amount) },
    {
      title: "Profit",
      size: 58,
      text: (row) => money(isOpen(row) ? row.profit : row.peak_profit),
      hint: "After fees; of ended ones the highest",
    },
    { title: "Lifetime", size: 58, text: (row) => age(lifetime(row)) },
    { title: "When", size: 76, text: (row) => (isOpen(row) ? "open" : `${age(now() - row.local_timestamp)} ago`) },
  ],
  {
    key: (row) => row.id,
    empty: "None seen yet. One opens when a price difference exceeds both fees.",
    tone: (row) => (isOpen(row) ? "open" : "closed"),
  },
);

export function open() {
  stopTicking = paintEvery(500, () => table.redraw());
}

export function show({ symbol }) {
  const changed = subscriber.follow([`signals:${symbol}`], (change) => {
    opportunities.take(change);
    paint(draw);
  });
  if (!changed) return;
  opportunities.clear();
  paint(draw);
}

export function close() {
  subscriber.stop();
  stopTicking?.();
}

function draw() {
  const { open, closed } = opportunities;
  setOpenSides(open);
  drawSides();
  table.show([...open, ...closed].slice(0, ROWS));
  say(byId("here-summary"), `${open.length} open`);
}
