/** How accounts, positions and takers are divided between long and short. */

import { now } from "../core/clock.js";
import { byId } from "../core/dom.js";
import { age, fixed, share } from "../core/format.js";
import { paint } from "../core/paint.js";
import { Subscriber } from "../core/subscriber.js";
import { Table } from "../core/table.js";

const SCOPES = {
  top_accounts: "top accounts",
  top_positions: "top positions",
  all_accounts: "all accounts",
  taker_volume: "taker volume",
};

const subscriber = new Subscriber();
const rows = new Map();

/** The longs' share: published, or from what is. Of the takers' volume it is the part bought. */
function long(row) {
  if (row.long != null && row.short != null) return row.long / (Number(row.long) + Number(row.short));
  return row.ratio == null ? null : row.ratio / (1 + Number(row.ratio));
}

const ratio = (row) => row.ratio ?? (long(row) == null ? null : long(row) / (1 - long(row)));

const table = new Table(
  byId("ratios"),
  [
    { title: "Exchange", size: 64, name: true, text: (row) => row.exchange },
    {
      title: "Of",
      size: 132,
      name: true,
      text: (row) => SCOPES[row.scope] + (row.currency ? `, all ${row.symbol}` : ""),
    },
    {
      title: "Long",
      size: 84,
      text: (row) => share(long(row)),
      bar: (row) => long(row) ?? 0,
      hint: "Of taker volume: bought",
    },
    { title: "Ratio", size: 50, text: (row) => fixed(ratio(row), 3), hint: "Long divided by short" },
    { title: "Age", size: 60, wide: true, text: (row) => age(now() - row.timestamp) },
  ],
  {
    key: (row) => `${row.exchange} ${row.symbol} ${row.scope}`,
    empty: "None yet: exchanges publish them every 5 min.",
  },
);

export function show({ symbol }) {
  const currency = symbol.split("-")[0];
  const patterns = [`long_short_ratios:${symbol}`, `long_short_ratios:${currency}`];
  const changed = subscriber.follow(patterns, ({ data }) => {
    rows.set(`${data.exchange} ${data.symbol} ${data.scope}`, { ...data, currency: data.symbol === currency });
    paint(draw);
  });
  if (changed) rows.clear();
  paint(draw);
}

export function close() {
  subscriber.stop();
}

function draw() {
  const scopes = Object.keys(SCOPES);
  const place = (row) => `${scopes.indexOf(row.scope)} ${row.exchange} ${row.symbol}`;
  table.show([...rows.values()].sort((a, b) => (place(a) < place(b) ? -1 : 1)));
}
