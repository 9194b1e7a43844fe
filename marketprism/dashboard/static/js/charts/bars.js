/** Small bar charts on a canvas: a distribution, or one figure per hour. */

import { AXIS_FONT, sharp, ticks } from "../core/canvas.js";
import { colour, faint, watchTheme } from "../core/theme.js";

const MARGIN = { left: 44, right: 12, top: 10, bottom: 20 };
const LABEL_GAP = 10; // px between two labels below the bars

/** @typedef {{label: string, value: number, text: string}} Bar: `text` says it in full, when pointed at */

export class Bars {
  /** @param {HTMLCanvasElement} canvas @param {{fill: string, axis: (value: number) => string, empty: string}} options */
  constructor(canvas, options) {
    this.options = options;
    this.bars = [];
    this.pointed = -1;
    this.redraw = sharp(canvas, (context, width, height) => this.#draw(context, width, height));
    canvas.addEventListener("pointermove", (event) => this.#point(event.offsetX, canvas.clientWidth));
    canvas.addEventListener("pointerleave", () => this.#point(-1, canvas.clientWidth));
    watchTheme(this.redraw);
  }

  /** @param {Bar[]} bars */
  show(bars) {
    this.bars = bars;
    this.redraw();
  }

  #point(x, width) {
    const i = Math.floor(((x - MARGIN.left) / (width - MARGIN.left - MARGIN.right)) * this.bars.length);
    const pointed = i >= 0 && i < this.bars.length && x >= 0 ? i : -1;
    if (pointed !== this.pointed) this.redraw.soon();
    this.pointed = pointed;
  }

  #draw(context, width, height) {
    context.font = AXIS_FONT;
    context.fillStyle = colour("soft");
    const most = Math.max(...this.bars.map((bar) => bar.value));
    if (!(most > 0)) return context.fillText(this.options.empty, 12, 20);
    const floor = height - MARGIN.bottom;
    const y = (value) => floor - (Math.max(0, value) / most) * (floor - MARGIN.top);
    this.#drawScale(context, width, most, y);
    this.#drawBars(context, (width - MARGIN.left - MARGIN.right) / this.bars.length, floor, y);
    if (this.bars[this.pointed]) this.#drawText(context, width);
  }

  #drawScale(context, width, most, y) {
    context.textAlign = "right";
    context.strokeStyle = colour("line");
    for (const value of [0, ...ticks(most, 4)]) {
      const at = Math.round(y(value)) + 0.5;
      context.beginPath();
      context.moveTo(MARGIN.left, at);
      context.lineTo(width - MARGIN.right, at);
      context.stroke();
      context.fillText(this.options.axis(value), MARGIN.left - 6, at + 4);
    }
  }

  #drawBars(context, step, floor, y) {
    const widest = Math.max(...this.bars.map((bar) => context.measureText(bar.label).width));
    const every = Math.ceil((widest + LABEL_GAP) / step);
    context.textAlign = "center";
    this.bars.forEach((bar, i) => {
      const left = MARGIN.left + i * step;
      context.fillStyle = faint(this.options.fill, i === this.pointed ? 1 : 0.6);
      context.fillRect(left + 1, y(bar.value), Math.max(1, step - 2), floor - y(bar.value));
      context.fillStyle = colour("soft");
      if (i % every === 0) context.fillText(bar.label, left + step / 2, floor + 14);
    });
  }

  #drawText(context, width) {
    const { text } = this.bars[this.pointed];
    const size = context.measureText(text).width + 12;
    context.fillStyle = colour("raised");
    context.fillRect(width - MARGIN.right - size, 0, size, 18);
    context.fillStyle = colour("text");
    context.textAlign = "right";
    context.fillText(text, width - MARGIN.right - 6, 13);
  }
}
