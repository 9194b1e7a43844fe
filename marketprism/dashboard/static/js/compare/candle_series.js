/** The chart of candles and volumes. Texts come from the candles themselves, numbers are for the geometry only. */

import { valueFormat } from "../charts/library.js";
import { compact, price } from "../core/format.js";
import { colour, faint } from "../core/theme.js";

const SECOND = 1e6; // µs
const MOST = 5000; // candles kept
const NEAR_START = 20; // candles from the left end at which older ones are fetched

const timeOf = (candle) => candle.start / SECOND;

export class CandleSeries {
  /** @type {Map<number, any>} candles by time, ascending */
  #candles = new Map();
  #fetching = false;
  #touched = false; // by the reader: what is in sight while the chart is set up asks for nothing
  #last = 0;

  /**
   * @param {any} library
   * @param {any} chart
   * @param {object} listeners
   * @param {(candle: any) => void} listeners.pointed gets the candle below the pointer, or null
   * @param {(following: boolean) => void} listeners.moved gets whether the latest candle is in sight
   * @param {(before: number) => Promise<any[]>} listeners.older fetches candles before a time, µs
   */
  constructor(library, chart, listeners) {
    this.chart = chart;
    this.listeners = listeners;
    this.bars = chart.addSeries(library.CandlestickSeries, { borderVisible: false });
    this.volumes = chart.addSeries(
      library.HistogramSeries,
      { priceFormat: valueFormat(compact, 0.0001), priceLineVisible: false, lastValueVisible: false },
      1,
    );
    chart.panes()[0].setStretchFactor(4);
    chart.panes()[1].setStretchFactor(1);
    this.#applyColours();
    chart.subscribeCrosshairMove(({ time }) => listeners.pointed(this.#candles.get(time) ?? null));
    chart.timeScale().subscribeVisibleLogicalRangeChange((range) => this.#ranged(range));
    for (const type of ["wheel", "pointerdown"]) {
      chart.chartElement().addEventListener(type, () => (this.#touched = true), { passive: true });
    }
  }

  format(digits) {
    const minMove = 10 ** -digits;
    this.bars.applyOptions({ priceFormat: valueFormat((value) => price(value.toFixed(digits), digits), minMove) });
  }

  /** Show these candles instead of all before, the latest in sight. */
  replace(candles) {
    this.#candles = new Map(candles.map((candle) => [timeOf(candle), candle]));
    this.#fetching = false;
    this.#setAll();
    this.chart.timeScale().applyOptions({ rightOffset: 4, barSpacing: 7 }); // px, room for the latest to grow into
    this.follow();
  }

  /**
   * Show a new candle, or a new state of the last. Older ones are ignored: the library refuses them.
   * @param {boolean} [anyway] show it even if candles before it are missing
   * @returns {"shown"|"ignored"|"hole"} `hole`: candles between the last and this one are missing
   */
  update(candle, anyway = false) {
    const time = timeOf(candle);
    const before = this.#candles.get(this.#last);
    if (time < this.#last) return "ignored";
    if (!before) this.replace([]);
    else if (!anyway && candle.start > before.end) return "hole";
    this.#candles.set(time, candle);
    this.#last = time;
    this.bars.update(this.#bar(candle));
    this.volumes.update(this.#volume(candle));
    return "shown";
  }

  apply(options) {
    this.chart.applyOptions(options);
    this.#applyColours();
    this.#setAll(); // each volume bar has its own colour
  }

  follow() {
    this.chart.timeScale().scrollToRealTime();
  }

  /** @param {number} factor below 1: closer */
  zoom(factor) {
    this.#touched = true;
    const scale = this.chart.timeScale();
    const range = scale.getVisibleLogicalRange();
    if (range) scale.setVisibleLogicalRange({ from: range.to - (range.to - range.from) * factor, to: range.to });
  }

  #setAll() {
    const candles = [...this.#candles.values()];
    this.#last = candles.length ? timeOf(candles.at(-1)) : 0;
    this.bars.setData(candles.map(this.#bar));
    this.volumes.setData(candles.map((candle) => this.#volume(candle)));
  }

  #applyColours() {
    const [up, down] = [colour("up"), colour("down")];
    this.bars.applyOptions({
      upColor: up,
      downColor: down,
      wickUpColor: up,
      wickDownColor: down,
      priceLineColor: colour("soft"),
    });
  }

  #bar = (candle) => ({
    time: timeOf(candle),
    open: Number(candle.open),
    high: Number(candle.high),
    low: Number(candle.low),
    close: Number(candle.close),
  });

  #volume(candle) {
    const name = Number(candle.close) >= Number(candle.open) ? "up" : "down";
    return { time: timeOf(candle), value: Number(candle.volume ?? 0), color: faint(name, 0.4) };
  }

  #ranged(range) {
    if (!range) return;
    this.listeners.moved(this.chart.timeScale().scrollPosition() > -2);
    const wanted = this.#touched && range.from < NEAR_START;
    if (wanted && !this.#fetching && this.#candles.size && this.#candles.size < MOST) this.#prepend();
  }

  async #prepend() {
    this.#fetching = true;
    const shown = this.#candles;
    const [first] = shown.values();
    const found = (await this.listeners.older(first.start)).filter((candle) => candle.start < first.start);
    if (found.length && shown === this.#candles) {
      this.#candles = new Map([...found.map((candle) => [timeOf(candle), candle]), ...shown]);
      this.#setAll();
    }
    this.#fetching = !found.length && shown === this.#candles; // nothing older: do not ask again until replaced
  }
}
