/** The result of a query as a table, of which only the rows in sight are in the document. */

import { byId, element, say } from "../core/dom.js";
import { NOTHING } from "../core/format.js";
import { paint } from "../core/paint.js";
import { isNumber } from "./types.js";

const MARGIN = 20; // rows built beyond those in sight

const scroll = byId("result-scroll");
const body = element("tbody");
let columns = [];
let rows = [];
let sorting = null;

scroll.addEventListener("scroll", () => paint(draw));
new ResizeObserver(() => paint(draw)).observe(scroll);

/** @param {{columns: {name: string, type: string}[], rows: any[][]}} found */
export function showResult(found) {
  columns = found.columns.map((column) => ({ ...column, number: isNumber(column.type) }));
  rows = found.rows;
  sorting = null;
  byId("result").replaceChildren(element("thead", {}, element("tr", {}, ...columns.map(head))), body);
  scroll.scrollTop = 0;
  say(byId("result-summary"), columns.map(({ name, type }) => `${name} ${type}`).join(", "));
  paint(draw);
}

function head(column, i) {
  const button = element("button", { type: "button", title: column.type }, column.name);
  button.addEventListener("click", () => sortBy(i));
  return element("th", { scope: "col", className: column.number ? "" : "name" }, button);
}

function sortBy(i) {
  const down = sorting?.column === i ? !sorting.down : columns[i].number;
  sorting = { column: i, down };
  const heads = [...byId("result").tHead.rows[0].cells];
  heads.forEach((each) => each.removeAttribute("aria-sort"));
  heads[i].setAttribute("aria-sort", down ? "descending" : "ascending");
  heads.forEach((each, n) => say(each.firstChild, columns[n].name + (n === i ? (down ? " ↓" : " ↑") : "")));
  rows = [...rows].sort((a, b) => (down ? -1 : 1) * order(a[i], b[i], columns[i].number));
  paint(draw);
}

function order(a, b, number) {
  if (a === null || b === null) return (a === null) - (b === null);
  if (number) return Number(a) - Number(b);
  return a < b ? -1 : a > b ? 1 : 0;
}

function draw() {
  if (!rows.length) return body.replaceChildren(columns.length ? message("No rows.") : "");
  const height = body.querySelector("tr.row")?.offsetHeight || 26;
  const first = Math.max(0, Math.floor(scroll.scrollTop / height) - MARGIN);
  const last = Math.min(rows.length, Math.ceil((scroll.scrollTop + scroll.clientHeight) / height) + MARGIN);
  const shown = rows.slice(first, last).map(line);
  body.replaceChildren(space(first * height), ...shown, space((rows.length - last) * height));
}

const message = (text) => element("tr", { className: "empty" }, element("td", { colSpan: columns.length }, text));

/** A row as high as those that are not built. */
function space(height) {
  const row = element("tr", { hidden: height === 0 });
  const cell = element("td", { colSpan: columns.length });
  cell.style.height = `${height}px`;
  row.append(cell);
  return row;
}

function line(values) {
  const cells = values.map((value, i) => element("td", { className: columns[i].number ? "" : "name" }, textOf(value)));
  return element("tr", { className: "row" }, ...cells);
}

function textOf(value) {
  if (value === null) return NOTHING;
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
