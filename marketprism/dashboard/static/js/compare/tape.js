/** The latest trades of one exchange, newest on top; still while the pointer is on them. */

import { byId, element, say, textIn, write } from "../core/dom.js";
import { amount, clock, decimals, price } from "../core/format.js";
import { tickOf } from "../core/instruments.js";
import { paint } from "../core/paint.js";
import { Subscriber } from "../core/subscriber.js";

const ROWS = 60;

const subscriber = new Subscriber();
const body = element("tbody");
/** @type {any[]} trades not yet painted, oldest first */
let waiting = [];
let digits = 0;
let hovered = false;
let shownExchange = "";

byId("tape").replaceChildren(
  element("thead", {}, element("tr", {}, head("Time", "name"), head("Price"), head("Amount"))),
  body,
);
byId("tape").addEventListener("pointerenter", (event) => hover(event.pointerType === "mouse"));
byId("tape").addEventListener("pointerleave", () => hover(false));

function head(title, className = "") {
  return element("th", { scope: "col", className }, title);
}

function hover(on) {
  hovered = on;
  paint(draw);
}

export function show({ symbol, exchange }) {
  const changed = subscriber.follow([`trades:${symbol}:${exchange}`], (change) => {
    if (change.type === "snapshot") clear();
    waiting.push(...change.data);
    waiting = waiting.slice(-ROWS); // a hidden tab paints nothing: bound what waits
    paint(draw);
  });
  if (!changed) return;
  digits = decimals(tickOf(symbol, exchange));
  shownExchange = exchange;
  clear();
  paint(draw);
}

export function close() {
  subscriber.stop();
}

function clear() {
  waiting = [];
  body.replaceChildren();
}

function draw() {
  say(byId("tape-summary"), hovered && waiting.length ? `paused, ${waiting.length} new` : shownExchange);
  if (hovered && body.childElementCount) return;
  for (const trade of waiting) put(trade);
  waiting = [];
}

/** Write a trade into the oldest row, or a new one, and put it on top. */
function put(trade) {
  const row = body.childElementCount < ROWS ? build() : body.lastElementChild;
  const bought = trade.side === "buy";
  row.cells[1].className = bought ? "up" : "down";
  write(row.cells[0].firstChild, clock(trade.timestamp));
  write(row.cells[1].firstChild, `${bought ? "▲" : "▼"} ${price(trade.price, digits)}`);
  write(row.cells[2].firstChild, amount(trade.amount));
  row.title = trade.kind === "normal" ? "" : trade.kind.replaceAll("_", " ");
  body.prepend(row);
}

function build() {
  const cells = ["name soft", "", ""].map((className) => element("td", { className }));
  cells.forEach(textIn);
  return element("tr", {}, ...cells);
}
