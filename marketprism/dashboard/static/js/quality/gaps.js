/** Gaps that are open now: known to the server, or opened since. */

import { now } from "../core/clock.js";
import { byId, say } from "../core/dom.js";
import { age } from "../core/format.js";
import { paint } from "../core/paint.js";
import { subscribe } from "../core/socket.js";
import { Table } from "../core/table.js";

/** @type {Map<string, any>} by id */
const open = new Map();

const table = new Table(
  byId("gaps"),
  [
    {
      title: "Instrument",
      name: true,
      text: (row) => `${row.exchange} ${row.symbol}`,
      link: (row) => `/compare/${row.symbol}?exchange=${row.exchange}`,
    },
    { title: "Cause", name: true, text: (row) => `${row.channel}: ${row.cause}` },
    { title: "Open for", text: (row) => age(now() - row.since) },
  ],
  { key: (row) => row.id, empty: "No gap is open." },
);

export const redrawGaps = () => table.redraw();

export function startGaps() {
  return subscribe(["gaps"], ({ data }) => {
    for (const gap of data) {
      if (gap.type === "opened") open.set(gap.id, gap);
      else open.delete(gap.id);
    }
    paint(draw);
  });
}

/** What the server knows to be open replaces what was collected here. */
export function showGaps(gaps) {
  open.clear();
  for (const gap of gaps) open.set(gap.id, gap);
  paint(draw);
}

function draw() {
  table.show([...open.values()].sort((a, b) => a.since - b.since));
  say(byId("gaps-summary"), open.size ? `${open.size} open` : "");
}
