/** The opportunities that have ended, newest first; sorted by a click on a head. */

import { byId, say } from "../core/dom.js";
import { age, amount, bps, clock, dayAndMinute, money, shortZone } from "../core/format.js";
import { now } from "../core/clock.js";
import { ending, route } from "../core/signals.js";
import { Table } from "../core/table.js";

const DAY = 86_400e6; // µs

const when = (us) => (now() - us < DAY ? clock(us, 0) : dayAndMinute(us));

const table = new Table(
  byId("closed"),
  [
    {
      title: "Ended",
      size: 60,
      name: true,
      text: (row) => when(row.local_timestamp),
      sort: (row) => row.local_timestamp,
    },
    {
      title: "Symbol",
      size: 98,
      name: true,
      text: (row) => row.symbol,
      sort: (row) => row.symbol,
      link: (row) => `/compare/${row.symbol}`,
    },
    { title: "Buy → sell", size: 112, name: true, text: route, sort: route },
    { title: "Lifetime", size: 52, text: (row) => age(row.lifetime), sort: (row) => row.lifetime },
    {
      title: "Amount",
      size: 66,
      wide: true,
      text: (row) => amount(row.peak_amount),
      sort: (row) => Number(row.peak_amount),
    },
    {
      title: "Profit",
      size: 46,
      text: (row) => money(row.peak_profit),
      sort: (row) => Number(row.peak_profit),
      hint: "Highest, after both fees, quote units",
    },
    { title: "Peak bps", size: 60, wide: true, text: (row) => bps(row.peak_net_bps), sort: (row) => row.peak_net_bps },
    { title: "Reason", size: 90, wide: true, name: true, text: ending, sort: ending, tone: () => "soft" },
  ],
  { key: (row) => row.id, empty: "None yet." },
);

export function drawClosed(rows) {
  table.show(rows);
  say(byId("closed-summary"), `the last ${rows.length}, times in ${shortZone()}`);
}
