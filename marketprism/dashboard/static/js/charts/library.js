/** The chart library, loaded when a chart is first shown, and how its charts look here. */

import { clock, day, dayAndMinute, minute } from "../core/format.js";
import { colour } from "../core/theme.js";

/** @returns {Promise<any>} the library's module object */
export async function chartLibrary() {
  await import("/charts/lightweight-charts.js"); // a classic script that sets a global
  return window.LightweightCharts;
}

const SECOND = 1e6; // µs; the library counts seconds
const TICKS = [day, day, day, minute, (us) => clock(us, 0)]; // by its kinds: year, month, day, minute, second

/**
 * Create a chart that fits its element. The logo is off at creation, as the library writes it as markup, which the
 * page's policy forbids. The notice that the licence wants is below each chart.
 */
export function createChart(library, target) {
  return library.createChart(target, {
    autoSize: true,
    ...look(),
    localization: { timeFormatter: (time) => dayAndMinute(time * SECOND) },
    timeScale: {
      ...look().timeScale,
      timeVisible: true,
      secondsVisible: false,
      tickMarkFormatter: (time, kind) => TICKS[kind](time * SECOND),
    },
  });
}

/** Options that follow the theme. */
export function look() {
  const line = colour("line");
  return {
    layout: {
      attributionLogo: false,
      background: { type: "solid", color: colour("panel") },
      textColor: colour("soft"),
      fontFamily: getComputedStyle(document.body).fontFamily,
      fontSize: 11,
      panes: { separatorColor: line, separatorHoverColor: colour("raised") },
    },
    grid: { vertLines: { color: line }, horzLines: { color: line } },
    crosshair: {
      mode: 0,
      vertLine: { color: colour("soft"), labelBackgroundColor: colour("border") },
      horzLine: { color: colour("soft"), labelBackgroundColor: colour("border") },
    },
    rightPriceScale: { borderColor: line },
    timeScale: { borderColor: line },
  };
}

/** A series' own format of its values: without it, the prices' format is applied to volumes too. */
export const valueFormat = (formatter, minMove) => ({ type: "custom", formatter, minMove });
