/** Theme and palette: switched here, read here by whatever paints on a canvas. */

const root = document.documentElement;
const watchers = new Set();
let cache = new Map();

/** A colour by its CSS variable, `colour("up")`. Read from the stylesheet once per change of theme. */
export function colour(name) {
  if (!cache.has(name)) cache.set(name, getComputedStyle(root).getPropertyValue(`--${name}`).trim());
  return cache.get(name);
}

/** The same with an opacity, as a text that canvases and charts take. @param {number} opacity 0 to 1 */
export function faint(name, opacity) {
  return (
    colour(name) +
    Math.round(opacity * 255)
      .toString(16)
      .padStart(2, "0")
  );
}

/** Call `apply` on every change of theme. Returns what ends that. */
export function watchTheme(apply) {
  watchers.add(apply);
  return () => watchers.delete(apply);
}

function change(name, value) {
  root.dataset[name] = value;
  localStorage.setItem(name, value);
  cache = new Map();
  for (const apply of watchers) apply();
}

export const switchTheme = () => change("theme", root.dataset.theme === "dark" ? "light" : "dark");
export const choosePalette = (colourBlind) => change("palette", colourBlind ? "colour-blind" : "usual");
