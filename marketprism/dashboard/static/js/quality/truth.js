/** The truth check: how often the rebuilt book's top agreed with the exchange's best prices. */

import { byId } from "../core/dom.js";
import { fixed, share } from "../core/format.js";
import { Table } from "../core/table.js";

const table = new Table(
  byId("truth"),
  [
    { title: "Instrument", name: true, text: instrument, sort: instrument },
    { title: "Compared", text: (row) => fixed(row.compared, 0), sort: (row) => row.compared },
    {
      title: "Differed",
      text: (row) => fixed(row.differed, 0),
      sort: (row) => row.differed,
      tone: (row) => (row.differed ? "warn strong" : ""),
    },
    { title: "Agreed", wide: true, text: agreed, sort: (row) => row.agreed / row.compared },
  ],
  { key: (row) => instrument(row), empty: "Nothing compared yet." },
);

function instrument({ exchange, symbol }) {
  return `${exchange} ${symbol}`;
}

/** Cut off, not rounded: 100 % must mean all. */
function agreed({ agreed: count, compared }) {
  return share(compared ? Math.floor((count / compared) * 1e5) / 1e5 : null, 3);
}

export const showTruth = (rows) => table.show(rows);
