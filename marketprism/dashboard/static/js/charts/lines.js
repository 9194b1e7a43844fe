/** Line charts over time, one line per name, with a legend that follows the crosshair. */

import { element } from "../core/dom.js";
import { dayAndMinute } from "../core/format.js";
import { colour, watchTheme } from "../core/theme.js";
import { chartLibrary, createChart, look, valueFormat } from "./library.js";

const SECOND = 1e6; // µs
const COLOURS = 6;

/** @typedef {{name: string, points: {time: number, value: number}[]}} Line: times in µs */

export class Lines {
  /** @param {HTMLElement} target @param {HTMLElement} legend @param {(value: number) => string} format of the values */
  constructor(target, legend, format) {
    this.target = target;
    this.legend = legend;
    this.format = format;
    this.shown = [];
    watchTheme(() => this.#applyTheme());
  }

  /**
   * @param {Line[]} lines
   * @param {boolean} [apart] each line with a scale of its own, below the one before
   */
  async show(lines, apart = false) {
    const library = await chartLibrary();
    this.chart ??= this.#create(library);
    for (const { series } of this.shown) this.chart.removeSeries(series);
    this.shown = lines.slice(0, COLOURS).map((line, i) => this.#add(library, line, i, apart ? i : 0));
    this.chart.timeScale().fitContent();
    this.#drawLegend(null);
  }

  #create(library) {
    const chart = createChart(library, this.target);
    chart.subscribeCrosshairMove((event) => this.#drawLegend(event.time ? event : null));
    return chart;
  }

  #add(library, { name, points }, i, pane) {
    const priceFormat = valueFormat(this.format, 1e-8);
    const series = this.chart.addSeries(
      library.LineSeries,
      { color: colour(`series-${i}`), lineWidth: 2, priceFormat, priceLineVisible: false, lastValueVisible: false },
      pane,
    );
    series.setData(ascending(points));
    return { name, series };
  }

  #applyTheme() {
    this.chart?.applyOptions(look());
    this.shown.forEach(({ series }, i) => series.applyOptions({ color: colour(`series-${i}`) }));
    this.#drawLegend(null);
  }

  #drawLegend(event) {
    const parts = this.shown.map(({ name, series }, i) => {
      const value = event ? event.seriesData.get(series)?.value : series.data().at(-1)?.value;
      const part = element("span", {}, `— ${name} ${value === undefined ? "–" : this.format(value)}  `);
      part.style.color = colour(`series-${i}`);
      return part;
    });
    this.legend.replaceChildren(...(event ? [`${dayAndMinute(event.time * SECOND)}  `] : []), ...parts);
  }
}

/** One point per second, in order: the library refuses anything else. */
function ascending(points) {
  const bySecond = new Map(points.map(({ time, value }) => [Math.floor(time / SECOND), value]));
  return [...bySecond].sort(([a], [b]) => a - b).map(([time, value]) => ({ time, value }));
}
