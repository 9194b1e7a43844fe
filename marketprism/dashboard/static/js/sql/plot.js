/** The result of a query as a plot: lines over time if it has times, else bars of its first figure. */

import { Bars } from "../charts/bars.js";
import { Lines } from "../charts/lines.js";
import { byId, element, say } from "../core/dom.js";
import { compact, fixed } from "../core/format.js";
import { isNumber, isTime, timeOf } from "./types.js";

const MOST_LINES = 6;
const MOST_BARS = 60;

const target = byId("plot");
const legend = byId("plot-legend");
const linesCell = element("div", { className: "chart", hidden: true });
const barsCell = element("div", { className: "canvas", hidden: true });
const canvas = element("canvas");
barsCell.append(canvas);
target.append(linesCell, barsCell);
const lines = new Lines(linesCell, legend, figure);
const bars = new Bars(canvas, { fill: "link", axis: figure, empty: "Nothing above zero." });

function figure(value) {
  const size = Math.abs(value);
  if (size >= 1e6) return compact(value);
  return fixed(value, size >= 100 || value === 0 ? 2 : size >= 1 ? 4 : 6);
}

/** @param {{columns: {name: string, type: string}[], rows: any[][]}} found */
export async function showPlot({ columns, rows }) {
  const time = columns.findIndex(({ type }) => isTime(type));
  const figures = columns.map((column, i) => ({ ...column, i })).filter(({ type }) => isNumber(type));
  const drawn = rows.length && figures.length ? (time >= 0 ? "lines" : "bars") : "";
  linesCell.hidden = drawn !== "lines";
  barsCell.hidden = drawn !== "bars";
  if (drawn === "lines") await lines.show(linesOf(columns, rows, time, figures));
  else if (drawn === "bars") showBars(columns, rows, figures[0]);
  else say(legend, "A plot needs a column of numbers.");
}

/** One line per column; or, if a column of words divides the rows, one line of the first figure per word. */
function linesOf(columns, rows, time, figures) {
  const words = columns.findIndex(({ type }, i) => !isTime(type) && !isNumber(type) && distinct(rows, i) > 1 && distinct(rows, i) <= MOST_LINES);
  const point = (row, i) => ({ time: timeOf(row[time]), value: Number(row[i]) });
  const known = (i) => rows.filter((row) => row[i] !== null && row[time] !== null);
  if (words < 0) return figures.slice(0, MOST_LINES).map(({ name, i }) => ({ name, points: known(i).map((row) => point(row, i)) }));
  const [{ i }] = figures;
  return [...new Set(rows.map((row) => row[words]))].map((word) => ({
    name: String(word),
    points: known(i).filter((row) => row[words] === word).map((row) => point(row, i)),
  }));
}

const distinct = (rows, i) => new Set(rows.map((row) => row[i])).size;

function showBars(columns, rows, { name, i }) {
  const names = columns.map((_, n) => n).filter((n) => !isNumber(columns[n].type));
  const label = (row, n) => (names.length ? names.map((each) => row[each]).join(" ") : String(n + 1));
  bars.show(rows.slice(0, MOST_BARS).map((row, n) => ({ label: label(row, n), value: Number(row[i]), text: `${label(row, n)}: ${row[i]}` })));
  say(legend, rows.length > MOST_BARS ? `${name}, the first ${MOST_BARS} rows` : name);
}
