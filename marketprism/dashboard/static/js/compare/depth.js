/** The depth chart of one exchange: cumulative amounts as steps, both sides on one scale. */

import { AXIS_FONT, sharp, ticks } from "../core/canvas.js";
import { byId, say } from "../core/dom.js";
import { amount, decimals, fixed, price } from "../core/format.js";
import { tickOf } from "../core/instruments.js";
import { Subscriber } from "../core/subscriber.js";
import { colour, faint, watchTheme } from "../core/theme.js";

const AXIS = 20; // px below the steps

const subscriber = new Subscriber();
const canvas = byId("depth");
let book = null;
let digits = 0;
let pointer = null;
let forgetTheme = null;

const redraw = sharp(canvas, draw);

canvas.addEventListener("pointermove", (event) => point(event.offsetX));
canvas.addEventListener("pointerleave", () => point(null));

function point(x) {
  pointer = x;
  redraw.soon();
}

export function open() {
  forgetTheme = watchTheme(redraw);
}

export function show({ symbol, exchange }) {
  const changed = subscriber.follow([`depth:${symbol}:${exchange}`], ({ data }) => {
    book = shape(data);
    redraw();
  });
  if (!changed) return;
  book = null;
  digits = decimals(tickOf(symbol, exchange));
  say(byId("depth-summary"), exchange);
  redraw();
}

export function close() {
  subscriber.stop();
  forgetTheme?.();
}

/** Numbers for the geometry: cumulative steps, and the span of prices that both sides reach. */
function shape({ bids, asks, exchange, state }) {
  const sides = [cumulate(bids), cumulate(asks)];
  if (!sides[0].length || !sides[1].length) return null;
  const middle = (sides[0][0].price + sides[1][0].price) / 2;
  const reach = Math.min(middle - sides[0].at(-1).price, sides[1].at(-1).price - middle);
  const inside = (side) => side.filter((each) => Math.abs(each.price - middle) <= reach);
  const [below, above] = sides.map(inside);
  return {
    below,
    above,
    middle,
    reach: reach || 1,
    exchange,
    state,
    most: Math.max(below.at(-1)?.total ?? 0, above.at(-1)?.total ?? 0),
  };
}

function cumulate(levels) {
  let total = 0;
  return levels.map(([text, size]) => ({ price: Number(text), total: (total += Number(size)) }));
}

function draw(context, width, height) {
  context.font = AXIS_FONT;
  context.globalAlpha = book && book.state !== "live" ? 0.4 : 1; // what is not live must not look it
  if (!book) {
    context.fillStyle = colour("soft");
    return context.fillText("No book yet.", 12, 20);
  }
  const frame = {
    width,
    height: height - AXIS,
    x: (at) => width / 2 + ((at - book.middle) / book.reach) * (width / 2),
  };
  frame.y = (total) => frame.height - (total / book.most) * (frame.height - 12);
  drawSide(context, frame, book.below, "up", 0);
  drawSide(context, frame, book.above, "down", width);
  drawScale(context, frame);
  drawPrices(context, frame);
  if (pointer !== null) drawPointer(context, frame);
  describe();
}

function describe() {
  const percent = fixed((book.reach / book.middle) * 100, 3);
  const live = book.state === "live" ? "" : `, ${book.state}`;
  say(
    byId("depth-summary"),
    `${book.exchange}${live}, within ${percent} % of ${price(book.middle.toFixed(digits), digits)}`,
  );
}

function drawScale(context, { width, y }) {
  context.strokeStyle = colour("line");
  context.fillStyle = colour("soft");
  context.textAlign = "left";
  for (const total of ticks(book.most, 4)) {
    const at = Math.round(y(total)) + 0.5;
    context.beginPath();
    context.moveTo(0, at);
    context.lineTo(width, at);
    context.stroke();
    context.fillText(fixed(total, total < 10 ? 2 : 0), 12, at - 3);
  }
}

function drawSide(context, { height, x, y }, steps, name, end) {
  if (!steps.length) return;
  context.beginPath();
  context.moveTo(x(steps[0].price), height);
  let level = height;
  for (const each of steps) {
    context.lineTo(x(each.price), level);
    level = y(each.total);
    context.lineTo(x(each.price), level);
  }
  context.lineTo(end, level);
  context.strokeStyle = colour(name);
  context.lineWidth = 1.5;
  context.stroke();
  context.lineWidth = 1;
  context.lineTo(end, height);
  context.fillStyle = faint(name, 0.2);
  context.fill();
}

function drawPrices(context, { width, height, x }) {
  const steps = width > 480 ? [-0.75, -0.375, 0, 0.375, 0.75] : [-0.6, 0, 0.6];
  context.fillStyle = colour("soft");
  context.strokeStyle = colour("line");
  context.textAlign = "center";
  context.beginPath();
  context.moveTo(0, height + 0.5);
  context.lineTo(width, height + 0.5);
  context.stroke();
  for (const step of steps) {
    const at = book.middle + step * book.reach;
    context.fillText(price(at.toFixed(digits), digits), x(at), height + 14);
  }
}

/** What one would trade down or up to the pointer's price. */
function drawPointer(context, { width, height, x, y }) {
  const at = book.middle + ((pointer - width / 2) / (width / 2)) * book.reach;
  const steps = at < book.middle ? book.below : book.above;
  const reached = steps.filter((each) => (at < book.middle ? each.price >= at : each.price <= at)).at(-1);
  context.strokeStyle = colour("soft");
  context.beginPath();
  context.moveTo(pointer + 0.5, 0);
  context.lineTo(pointer + 0.5, height);
  context.stroke();
  if (!reached) return;
  const text = `${amount(reached.total)} to ${price(at.toFixed(digits), digits)}`;
  const half = context.measureText(text).width / 2 + 6;
  const center = Math.min(Math.max(pointer, half), width - half);
  const top = Math.max(y(reached.total) - 24, 4);
  context.fillStyle = colour("raised");
  context.fillRect(center - half, top, 2 * half, 18);
  context.fillStyle = colour("text");
  context.fillText(text, center, top + 13);
  context.fillRect(x(reached.price) - 2, y(reached.total) - 2, 4, 4);
}
