/** The dialog of keys and settings. */

import { byId, say } from "../core/dom.js";
import { zone } from "../core/format.js";
import { choosePalette } from "../core/theme.js";

export function startDialog() {
  const palette = byId("palette");
  palette.checked = document.documentElement.dataset.palette === "colour-blind";
  palette.addEventListener("change", () => choosePalette(palette.checked));
  byId("help").addEventListener("click", () => byId("dialog").showModal());
  say(byId("zone"), zone());
}
