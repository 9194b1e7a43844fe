/**
 * The result of a query as a plot. With times: one line per figure, or, if a column of words divides the rows, one
 * line of the first figure per word. Else bars of the first figure.
 */

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
  const words = columns.findIndex((column, i) => divides(column, rows, i));
  if (drawn === "lines" && words >= 0) await lines.show(linesByWord(rows, time, words, figures[0]));
  else if (drawn === "lines")
    await lines.show(
      figures.map((column) => line(column.name, rows, time, column)),
      true,
    );
  else if (drawn === "bars") showBars(columns, rows, figures[0]);
  else say(legend, "A plot needs a column of numbers.");
}

/** Whether a column of words divides the rows into few enough lines. */
function divides({ type }, rows, i) {
  const count = isTime(type) || isNumber(type) ? 0 : new Set(rows.map((row) => row[i])).size;
  return count > 1 && count <= MOST_LINES;
}

function linesByWord(rows, time, words, column) {
  const names = [...new Set(rows.map((row) => row[words]))];
  return names.map((name) =>
    line(
      String(name),
      rows.filter((row) => row[words] === name),
      time,
      column,
    ),
  );
}

function line(name, rows, time, { i }) {
  const known = rows.filter((row) => row[i] !== null && row[time] !== null);
  return { name, points: known.map((row) => ({ time: timeOf(row[time]), value: Number(row[i]) })) };
}

function showBars(columns, rows, { name, i }) {
  const names = columns.map((_, n) => n).filter((n) => !isNumber(columns[n].type));
  const label = (row, n) => (names.length ? names.map((each) => row[each]).join(" ") : String(n + 1));
  bars.show(
    rows
      .slice(0, MOST_BARS)
      .map((row, n) => ({ label: label(row, n), value: Number(row[i]), text: `${label(row, n)}: ${row[i]}` })),
  );
  say(legend, rows.length > MOST_BARS ? `${name}, the first ${MOST_BARS} rows` : name);
}
