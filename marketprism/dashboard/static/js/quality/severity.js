/** What a cell of the heat map says: the worst of what happened in its time. */

import { age, fixed } from "../core/format.js";

const SLOW = 10e6; // µs between two messages, beyond which a cell is marked

/** From good to bad. `letter` is drawn too: colour must not be the only sign. */
export const SEVERITIES = [
  { name: "fine", letter: "" },
  { name: "pause over 10 s", letter: "P" },
  { name: "silent", letter: "S" },
  { name: "differed", letter: "D" },
  { name: "gap", letter: "G" },
];

/** The index in SEVERITIES, or -1 for no data. */
export function severity(cell) {
  if (!cell) return -1;
  if (cell.gaps || cell.gap_time) return 4;
  if (cell.differed) return 3;
  if (cell.silent) return 2;
  return cell.max_age > SLOW ? 1 : 0;
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
