/** Canvases that keep the size of their cell, in device pixels. */

import { paint, paintSoon } from "./paint.js";

/**
 * Keep a canvas sharp and painted. Returns what asks for a paint: `redraw()`, or `redraw.soon()` in answer to a pointer.
 * @param {HTMLCanvasElement} canvas
 * @param {(context: CanvasRenderingContext2D, width: number, height: number) => void} draw
 */
export function sharp(canvas, draw) {
  const context = canvas.getContext("2d");
  const size = { width: 0, height: 0 };
  const redraw = () => {
    if (!size.width || !size.height) return;
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    context.clearRect(0, 0, size.width, size.height);
    draw(context, size.width, size.height);
  };
  const observer = new ResizeObserver(() => {
    size.width = canvas.parentElement.clientWidth;
    size.height = canvas.parentElement.clientHeight;
    canvas.width = Math.round(size.width * devicePixelRatio);
    canvas.height = Math.round(size.height * devicePixelRatio);
    redraw();
  });
  observer.observe(canvas.parentElement);
  return Object.assign(() => paint(redraw), { soon: () => paintSoon(redraw) });
}

export const AXIS_FONT = '11px Inter, "Segoe UI", Roboto, system-ui, sans-serif';

/** Round steps for an axis from 0 to `most`: 1, 2 or 5 times a power of ten, at most `count` of them. */
export function ticks(most, count) {
  if (!(most > 0)) return [];
  const rough = most / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((each) => each * power >= rough);
  return Array.from({ length: Math.floor(most / step) }, (_, i) => (i + 1) * step);
}
