/** Tables: rows are built once per key, and only changed texts are written. */

import { element, set, textIn, write } from "./dom.js";

/**
 * @typedef {object} Column
 * @property {string} title
 * @property {(row: any) => string} text
 * @property {boolean} [name] left-aligned
 * @property {boolean} [wide] left out on a phone
 * @property {number} [size] width in px, of a table whose columns must not move as its figures change
 * @property {string} [hint] explanation of the title
 * @property {(row: any) => string} [tone] classes of the cell
 * @property {(row: any) => number} [bar] length of a bar behind the figure, 0 to 1
 * @property {(row: any) => string} [link] where the cell leads
 * @property {(row: any) => any} [sort] value to sort by; makes the head a button
 */

export class Table {
  /**
   * @param {HTMLTableElement} table
   * @param {Column[]} columns
   * @param {{key: (row: any) => any, empty?: string, tone?: (row: any) => string, pick?: (row: any) => void}} options
   */
  constructor(table, columns, options) {
    this.columns = columns;
    this.options = options;
    this.lines = new Map();
    this.rows = [];
    this.sorting = null;
    this.body = element("tbody");
    this.heads = columns.map((column, i) => this.#head(column, i));
    table.classList.toggle(
      "steady",
      columns.some((column) => column.size),
    );
    table.replaceChildren(element("thead", {}, element("tr", {}, ...this.heads)), this.body);
    this.emptyLine = element(
      "tr",
      { className: "empty" },
      element("td", { colSpan: columns.length }, options.empty ?? ""),
    );
    if (options.pick) this.#listen();
    this.show([]);
  }

  /** Show these rows in this order, or in the order that the reader chose. */
  show(rows) {
    this.rows = rows;
    const shown = this.#sorted(rows).map((row) => [this.options.key(row), row]);
    this.#drop(new Set(shown.map(([key]) => key)));
    let next = this.body.firstElementChild;
    for (const [key, row] of shown) {
      const line = this.lines.get(key) ?? this.#build(key);
      if (line.element === next) next = next.nextElementSibling;
      else this.body.insertBefore(line.element, next);
      this.#draw(line, row);
    }
    if (rows.length) this.emptyLine.remove();
    else this.body.replaceChildren(this.emptyLine);
  }

  /** Write the texts again that change with time. */
  redraw() {
    for (const line of this.lines.values()) this.#draw(line, line.row);
  }

  #drop(kept) {
    for (const [key, line] of this.lines) {
      if (kept.has(key)) continue;
      line.element.remove();
      this.lines.delete(key);
    }
  }

  #head(column, i) {
    const head = element("th", { scope: "col", className: classes(column), title: column.hint ?? "" });
    if (column.size) head.style.width = `${column.size}px`;
    if (!column.sort) head.append(column.title);
    else {
      const button = element("button", { type: "button" }, column.title);
      button.addEventListener("click", () => this.#sortBy(i));
      head.append(button);
    }
    return head;
  }

  #sortBy(i) {
    const down = this.sorting?.column === i ? !this.sorting.down : !this.columns[i].name;
    this.sorting = { column: i, down };
    this.heads.forEach((head) => head.removeAttribute("aria-sort"));
    this.heads[i].setAttribute("aria-sort", down ? "descending" : "ascending");
    this.heads.forEach((head, n) => {
      if (this.columns[n].sort)
        head.firstChild.textContent = this.columns[n].title + (n === i ? (down ? " ↓" : " ↑") : "");
    });
    this.show(this.rows);
  }

  #sorted(rows) {
    if (!this.sorting) return rows;
    const value = this.columns[this.sorting.column].sort;
    const sign = this.sorting.down ? -1 : 1;
    return [...rows].sort((a, b) => sign * order(value(a), value(b)));
  }

  #build(key) {
    const cells = this.columns.map((column, i) => buildCell(column, i));
    const line = { element: element("tr", {}, ...cells.map((cell) => cell.element)), cells, row: null, tone: "" };
    if (this.options.pick) line.element.tabIndex = 0;
    this.lines.set(key, line);
    return line;
  }

  #draw(line, row) {
    line.row = row;
    this.columns.forEach((column, i) => drawCell(line.cells[i], column, row));
    const tone = this.options.tone?.(row) ?? "";
    if (tone !== line.tone) line.element.className = line.tone = tone;
  }

  #listen() {
    const lineOf = (event) => [...this.lines.values()].find((line) => line.element === event.target.closest("tr"));
    this.body.addEventListener("click", (event) => {
      const line = event.target.closest("a") ? null : lineOf(event);
      if (line) this.options.pick(line.row);
    });
    this.body.addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown") event.target.closest("tr").nextElementSibling?.focus();
      else if (event.key === "ArrowUp") event.target.closest("tr").previousElementSibling?.focus();
      else if (event.key === "Enter" && event.target.matches("tr")) this.options.pick(lineOf(event).row);
      else return;
      event.preventDefault();
    });
  }
}

const classes = (column) => [column.name && "name", column.wide && "wide"].filter(Boolean).join(" ");

function buildCell(column, i) {
  const base = [classes(column), column.bar && "barred"].filter(Boolean).join(" ");
  const made = element(i === 0 && column.name ? "th" : "td", { className: base });
  if (i === 0 && column.name) made.scope = "row";
  const bar = column.bar && element("i");
  if (bar) made.append(bar);
  const link = column.link && element("a");
  if (link) made.append(link);
  return { element: made, base, tone: "", bar, link, text: textIn(link ?? made), length: -1 };
}

function drawCell(cell, column, row) {
  write(cell.text, column.text(row));
  if (column.link) set(cell.link, "href", column.link(row));
  if (column.tone) {
    const tone = column.tone(row) ?? "";
    if (tone !== cell.tone) cell.element.className = `${cell.base} ${tone}`;
    cell.tone = tone;
  }
  if (column.bar) {
    const length = Math.round(column.bar(row) * 1000) / 1000;
    if (length !== cell.length) cell.bar.style.transform = `scaleX(${length})`;
    cell.length = length;
  }
}

function order(a, b) {
  if (a === b) return 0;
  if (a == null || b == null) return a == null ? 1 : -1;
  return a < b ? -1 : 1;
}
