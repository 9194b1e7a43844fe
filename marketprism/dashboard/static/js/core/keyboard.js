/** Keys of the whole page; the dialog behind `?` lists them. */

import { byId } from "./dom.js";
import { goToView, VIEW_NAMES } from "./router.js";
import { switchTheme } from "./theme.js";

const typing = (target) => target.matches?.("input, textarea, select");

export function startKeyboard() {
  document.addEventListener("keydown", (event) => {
    if (typing(event.target) || event.ctrlKey || event.metaKey || event.altKey || byId("dialog").open) return;
    const view = VIEW_NAMES[Number(event.key) - 1];
    if (view) goToView(view);
    else if (event.key === "/") byId("symbol").focus();
    else if (event.key === "t") switchTheme();
    else if (event.key === "?") byId("dialog").showModal();
    else return;
    event.preventDefault();
  });
}

/** Move the focus among the children of `group` with the arrow keys. */
export function arrowKeys(group) {
  group.addEventListener("keydown", (event) => {
    if (event.key === "ArrowRight") event.target.nextElementSibling?.focus();
    else if (event.key === "ArrowLeft") event.target.previousElementSibling?.focus();
  });
}
