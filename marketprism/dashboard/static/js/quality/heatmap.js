/** A heat map over time, of rows in groups, for pointer, finger and keyboard. */

import { AXIS_FONT } from "../core/canvas.js";
import { element } from "../core/dom.js";
import { minute, shortZone } from "../core/format.js";
import { paint, paintSoon } from "../core/paint.js";
import { colour, watchTheme } from "../core/theme.js";

const ROW = 16; // px
const AXIS = 20;
const NAMES = 210; // px for group and name; on a phone the group stands above its rows
const PHONE_NAMES = 110;
const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

export class HeatMap {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {HTMLElement} key gets the names of the levels
   * @param {{LEVELS: any[], levels: (cells: any[]) => number[], describe: (cell: any) => string}} scale
   * @param {(text: string) => void} say gets the pointed cell in words
   */
  constructor(canvas, key, scale, say) {
    this.canvas = canvas;
    this.scale = scale;
    this.say = say;
    this.found = null;
    this.cell = null;
    this.lines = [];
    const redraw = () => paint(this.#draw);
    canvas.addEventListener("pointermove", (event) => this.#point(event));
    canvas.addEventListener("pointerdown", (event) => this.#point(event));
    canvas.addEventListener("keydown", (event) => this.#step(event));
    new ResizeObserver(redraw).observe(canvas.parentElement);
    watchTheme(redraw);
    showKey(key, scale);
  }

  /** @param {{start: number, step: number, rows: {group: string, name: string, cells: any[]}[]}} found times: µs */
  show(found) {
    this.found = found;
    paint(this.#draw);
  }

  #draw = () => {
    if (!this.found) return;
    this.#fit();
    const context = this.context;
    context.clearRect(0, 0, this.width, this.height);
    context.font = AXIS_FONT;
    this.lines.forEach((line, i) => this.#drawNames(context, line, i * ROW));
    this.#drawCells(context);
    this.#drawTimes(context);
    if (this.cell) this.#drawCell(context);
  };

  /** Measure the cells, and give the canvas the size of all rows. */
  #fit() {
    const { rows } = this.found;
    const narrow = innerWidth < 720;
    this.lines = rows.flatMap((row, i) =>
      narrow && row.group !== rows[i - 1]?.group
        ? [{ title: row.group }, { row }]
        : [{ row, first: row.group !== rows[i - 1]?.group }],
    );
    this.names = narrow ? PHONE_NAMES : NAMES;
    this.width = this.canvas.parentElement.clientWidth;
    this.height = this.lines.length * ROW + AXIS;
    this.step = Math.max(narrow ? 12 : 12, (this.width - this.names - 12) / Math.max(1, rows[0]?.cells.length ?? 1));
    this.canvas.style.width = `${this.width}px`;
    this.canvas.style.height = `${this.height}px`;
    this.canvas.width = Math.round(this.width * devicePixelRatio);
    this.canvas.height = Math.round(this.height * devicePixelRatio);
    this.context = this.canvas.getContext("2d");
    this.context.scale(devicePixelRatio, devicePixelRatio);
  }

  #drawNames(context, { title, row, first }, top) {
    context.textAlign = "left";
    context.fillStyle = colour("text");
    if (title ?? first) context.fillText(title ?? row.group, 12, top + 12);
    if (!row) return;
    context.fillStyle = colour("soft");
    context.fillText(
      row.name,
      this.names === NAMES ? 104 : 20,
      top + 12,
      this.names - (this.names === NAMES ? 108 : 24),
    );
  }

  /** All cells of one severity at once: thousands of changes of the colour would take long. */
  #drawCells(context) {
    const { LEVELS, levels } = this.scale;
    const cells = this.lines.flatMap(({ row }, i) =>
      levels(row?.cells ?? []).map((level, n) => ({ level, left: this.names + n * this.step, top: i * ROW })),
    );
    for (let level = -1; level < LEVELS.length; level++) {
      const same = cells.filter((cell) => cell.level === level);
      context.fillStyle = level < 0 ? colour("line") : colour(`heat-${level}`);
      context.beginPath();
      for (const { left, top } of same) {
        if (level < 0) context.rect(left + this.step / 2 - 1, top + ROW / 2 - 1, 2, 2);
        else context.rect(left + 0.5, top + 0.5, this.step - 1, ROW - 1);
      }
      context.fill();
      if (level > 0) this.#drawLetters(context, same, LEVELS[level].letter);
    }
  }

  #drawLetters(context, cells, letter) {
    context.textAlign = "center";
    context.fillStyle = colour("heat-text");
    for (const { left, top } of cells) context.fillText(letter, left + this.step / 2, top + 12);
  }

  #drawTimes(context) {
    const { start, step, rows } = this.found;
    const count = rows[0]?.cells.length ?? 0;
    const every = Math.ceil(56 / this.step);
    context.textAlign = "center";
    context.fillStyle = colour("soft");
    for (let i = 0; i < count; i += every) {
      context.fillText(minute(start + i * step), this.names + (i + 0.5) * this.step, this.height - 6);
    }
    context.textAlign = "left";
    context.fillText(shortZone(), 12, this.height - 6);
  }

  #drawCell(context) {
    context.strokeStyle = colour("link");
    context.lineWidth = 2;
    context.strokeRect(this.names + this.cell.column * this.step, this.cell.line * ROW, this.step, ROW);
  }

  #point({ offsetX, offsetY }) {
    this.#choose(Math.floor(offsetY / ROW), Math.floor((offsetX - this.names) / this.step));
  }

  #step(event) {
    const move = STEPS[event.key];
    if (!move) return;
    event.preventDefault();
    let line = (this.cell?.line ?? -1) + move[0];
    if (this.lines[line]?.title) line += move[0] || 1; // names of groups have no cells
    if (!this.cell) line = this.lines.findIndex((each) => each.row);
    this.#choose(line, (this.cell?.column ?? -1) + move[1]);
  }

  #choose(line, column) {
    const row = this.lines[line]?.row;
    if (!row || column < 0 || column >= row.cells.length) return;
    this.cell = { line, column };
    const from = this.found.start + column * this.found.step;
    const times = `${minute(from)} to ${minute(from + this.found.step)}`;
    this.say(`${row.group} ${row.name}, ${times}: ${this.scale.describe(row.cells[column])}`);
    paintSoon(this.#draw);
  }
}

function showKey(key, { LEVELS }) {
  const entries = LEVELS.map(({ name, letter }, i) =>
    element("span", {}, element("i", { className: `heat-${i}` }, letter), name),
  );
  key.replaceChildren(
    ...entries,
    element("span", {}, element("i", { className: "heat-none" }, "·"), "no data"),
  );
}
