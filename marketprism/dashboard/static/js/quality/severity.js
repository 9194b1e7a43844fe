/** What a cell of the heat map says: the worst of what happened in its time. */

import { age, fixed } from "../core/format.js";

const SLOW = 10e6; // µs between two messages, below which no cell is marked
const UNUSUAL = 3; // times the row's usual pause: what is polled once a minute always pauses

/** From good to bad. `letter` is drawn too: colour must not be the only sign. */
export const LEVELS = [
  { name: "fine", letter: "" },
  { name: "unusual pause", letter: "P" },
  { name: "silent", letter: "S" },
  { name: "differed", letter: "D" },
  { name: "gap", letter: "G" },
];

/** The indices in LEVELS of a row's cells, or -1 for no data. @param {any[]} cells */
export function levels(cells) {
  const pauses = cells
    .filter(Boolean)
    .map((cell) => cell.max_age)
    .sort((a, b) => a - b);
  const slow = Math.max(SLOW, UNUSUAL * (pauses[Math.floor(pauses.length / 2)] ?? 0));
  return cells.map((cell) => (cell ? severity(cell, slow) : -1));
}

function severity(cell, slow) {
  if (cell.gaps || cell.gap_time) return 4;
  if (cell.differed) return 3;
  if (cell.silent) return 2;
  return cell.max_age > slow ? 1 : 0;
}

/** A cell in words. */
export function describe(cell) {
  if (!cell) return "no data";
  const parts = [`${fixed(cell.messages, 0)} messages`, `longest pause ${age(cell.max_age)}`];
  if (cell.gaps) parts.push(`${cell.gaps} ${cell.gaps === 1 ? "gap" : "gaps"}`);
  if (cell.gap_time) parts.push(`${age(cell.gap_time)} missing`);
  if (cell.differed) parts.push(`${cell.differed} times not as the exchange’s best prices`);
  if (cell.silent) parts.push("silent");
  return parts.join(", ");
}
