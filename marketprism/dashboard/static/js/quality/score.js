/** What a cell of the map of scores says: how good an hour was, and why it was not better. */

import { fixed, share } from "../core/format.js";

/** From good to bad. `letter`, the first figure of the lowest score, is drawn too. */
export const LEVELS = [
  { name: "99 or more", letter: "", least: 99 },
  { name: "95 to 99", letter: "9", least: 95 },
  { name: "80 to 95", letter: "8", least: 80 },
  { name: "50 to 80", letter: "5", least: 50 },
  { name: "below 50", letter: "0", least: 0 },
];

/** The indices in LEVELS of a row's hours, or -1 for one in which nothing was expected. @param {any[]} cells */
export function levels(cells) {
  return cells.map((cell) => (cell ? LEVELS.findIndex(({ least }) => cell.score >= least) : -1));
}

/** An hour in words. Scores are cut off, not rounded: 100 must mean all. */
export function describe(cell) {
  if (!cell) return "no data";
  const parts = [`score ${fixed(Math.floor(cell.score * 10) / 10, 1)}${cell.reason && `, for ${cell.reason}`}`];
  for (const channel of ["trades", "books"]) {
    const covered = cell[`${channel}_coverage`];
    if (covered != null) parts.push(`${channel} ${share(Math.floor(covered * 1000) / 1000)}`);
  }
  if (cell.gaps) parts.push(`${cell.gaps} ${cell.gaps === 1 ? "gap" : "gaps"}`);
  if (cell.trades_lost) parts.push(`${fixed(cell.trades_lost, 0)} trades lost`);
  if (cell.trades_late) parts.push(`${fixed(cell.trades_late, 0)} trades late`);
  for (const [check, name] of [["book", "tops"], ["candle", "candles"]]) {
    const [differed, compared] = [cell[`${check}_differed`], cell[`${check}_compared`]];
    if (differed) parts.push(`${fixed(differed, 0)} of ${fixed(compared, 0)} ${name} differed`);
  }
  return parts.join("; ");
}
