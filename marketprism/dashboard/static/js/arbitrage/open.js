/** The opportunities that are open now. */

import { now } from "../core/clock.js";
import { byId, say } from "../core/dom.js";
import { age, amount, bps, decimals, fixed, money, price } from "../core/format.js";
import { tickOf } from "../core/instruments.js";
import { route } from "../core/signals.js";
import { Table } from "../core/table.js";

const priceAt = (event, side) => price(event[side].price, decimals(tickOf(event.symbol, event[side].exchange)));

const table = new Table(
  byId("open"),
  [
    {
      title: "Symbol",
      size: 98,
      name: true,
      text: (row) => row.symbol,
      link: (row) => `/compare/${row.symbol}?exchange=${row.buy.exchange}`,
    },
    { title: "Buy → sell", size: 112, name: true, text: route },
    { title: "Open for", size: 52, text: (row) => age(now() - row.opened_at) },
    { title: "Buy at", size: 72, wide: true, text: (row) => priceAt(row, "buy") },
    { title: "Sell at", size: 72, wide: true, text: (row) => priceAt(row, "sell") },
    {
      title: "Amount",
      size: 66,
      wide: true,
      text: (row) => amount(row.amount),
      hint: "Base units that pay after both fees",
    },
    {
      title: "Profit",
      size: 52,
      text: (row) => money(row.profit),
      tone: () => "strong",
      hint: "Quote units after both fees",
    },
    { title: "Net bps", size: 50, text: (row) => bps(row.net_bps), hint: "Best prices, after both taker fees" },
    { title: "Peak bps", size: 56, wide: true, text: (row) => bps(row.peak_net_bps) },
    {
      title: "z",
      size: 40,
      wide: true,
      text: (row) => fixed(row.spread_zscore, 1),
      hint: "Standard deviations from the pair’s mean spread",
    },
  ],
  { key: (row) => row.id, empty: "None open now." },
);

export const redrawOpen = () => table.redraw();

export function drawOpen(rows) {
  table.show(rows);
  say(byId("open-summary"), `${rows.length} open`);
}
