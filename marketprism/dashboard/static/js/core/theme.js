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

/** Call `watcher` on every change of theme. Returns what ends that. */
export function watchTheme(watcher) {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

function apply(name, value) {
  root.classList.add("switching"); // all colours change at once: what fades otherwise must not lag behind
  root.dataset[name] = value;
  getComputedStyle(document.body).color; // applies the styles
  requestAnimationFrame(() => root.classList.remove("switching"));
  cache = new Map();
  for (const watcher of watchers) watcher();
}

function choose(name, value) {
  localStorage.setItem(name, value);
  apply(name, value);
}

// Until the viewer chooses a theme, the page follows the system's.
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (system) => {
  if (!localStorage.getItem("theme")) apply("theme", system.matches ? "dark" : "light");
});

export const switchTheme = () => choose("theme", root.dataset.theme === "dark" ? "light" : "dark");
export const choosePalette = (colourBlind) => choose("palette", colourBlind ? "colour-blind" : "usual");
