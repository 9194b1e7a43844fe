/** What the last 24 hours held: lifetimes, profit per hour, routes. */

import { Bars } from "../charts/bars.js";
import { byId, say } from "../core/dom.js";
import { age, dayAndMinute, edge, fixed, minute, money } from "../core/format.js";
import { Table } from "../core/table.js";

const lifetimes = new Bars(byId("lifetimes"), {
  fill: "link",
  axis: (value) => fixed(value, 0),
  empty: "None in this time.",
});
const profits = new Bars(byId("profits"), { fill: "up", axis: compactAxis, empty: "No profit in this time." });

const routes = new Table(
  byId("routes"),
  [
    { title: "Symbol", size: 104, name: true, text: (row) => row.symbol, sort: (row) => row.symbol },
    {
      title: "Buy → sell",
      size: 112,
      name: true,
      text: (row) => `${row.buy_exchange} → ${row.sell_exchange}`,
      sort: (row) => row.buy_exchange,
    },
    { title: "Count", size: 40, text: (row) => fixed(row.count, 0), sort: (row) => row.count },
    { title: "Profit", size: 60, text: (row) => money(row.profit), sort: (row) => Number(row.profit) },
    {
      title: "Median",
      size: 54,
      text: (row) => age(row.lifetime_median),
      sort: (row) => row.lifetime_median,
      hint: "Median lifetime",
    },
  ],
  { key: (row) => `${row.symbol} ${row.buy_exchange} ${row.sell_exchange}`, empty: "None yet." },
);

function compactAxis(value) {
  if (value >= 1e4) return `${fixed(value / 1e3, 0)} k`;
  return fixed(value, value < 10 && value % 1 ? 1 : 0);
}

export function showStatistics(found) {
  lifetimes.show(found.lifetimes.map(lifetimeBar));
  profits.show(found.hours.map(hourBar));
  routes.show(found.routes);
  say(byId("lifetimes-summary"), `${fixed(found.opportunities, 0)} opportunities`);
  say(byId("profits-summary"), `${money(found.profit)} in all`);
}

function lifetimeBar({ from_us, to_us, count }) {
  const span = to_us == null ? `from ${edge(from_us)}` : `${edge(from_us)} to ${edge(to_us)}`;
  return { label: edge(from_us), value: count, text: `${span}: ${fixed(count, 0)}` };
}

function hourBar({ start, count, profit }) {
  return {
    label: minute(start),
    value: Number(profit),
    text: `${dayAndMinute(start)}: ${money(profit)} from ${fixed(count, 0)}`,
  };
}
