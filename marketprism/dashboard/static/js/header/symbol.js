/** The choice of the symbol: a combobox over all instruments. */

import { byId, element } from "../core/dom.js";
import { allSymbols } from "../core/instruments.js";
import { goToSymbol, place, watchPlace } from "../core/router.js";

const MOST = 40; // entries shown; typing narrows them

const input = byId("symbol");
const list = byId("symbols");
let active = -1;

export function startSymbol() {
  watchPlace(({ symbol }) => {
    if (document.activeElement !== input) input.value = symbol;
  });
  input.addEventListener("focus", () => {
    input.select();
    open("");
  });
  input.addEventListener("input", () => open(input.value));
  input.addEventListener("keydown", keys);
  input.addEventListener("blur", close);
  list.addEventListener("pointerdown", (event) => {
    event.preventDefault(); // keeps the focus, so that blur does not close the list first
    const option = event.target.closest("li");
    if (option) choose(option.dataset.symbol);
  });
}

/** Symbols that contain every word typed, best match first. */
function matching(text) {
  const words = text
    .toUpperCase()
    .split(/[\s/-]+/)
    .filter(Boolean);
  const found = allSymbols().filter(({ symbol }) => words.every((word) => symbol.includes(word)));
  return words.length ? found.sort((a, b) => b.symbol.startsWith(words[0]) - a.symbol.startsWith(words[0])) : found;
}

function open(text) {
  const options = matching(text)
    .slice(0, MOST)
    .map(({ symbol, exchanges }, i) =>
      element(
        "li",
        { role: "option", id: `symbol-${i}`, "data-symbol": symbol },
        symbol,
        element("span", {}, [...exchanges.keys()].join(" ")),
      ),
    );
  list.replaceChildren(...options);
  list.hidden = !options.length;
  input.setAttribute("aria-expanded", String(!list.hidden));
  activate(text && options.length ? 0 : -1);
}

function activate(i) {
  active = i;
  [...list.children].forEach((option, n) => option.setAttribute("aria-selected", String(n === i)));
  if (i < 0) input.removeAttribute("aria-activedescendant");
  else {
    input.setAttribute("aria-activedescendant", `symbol-${i}`);
    list.children[i].scrollIntoView({ block: "nearest" });
  }
}

function keys(event) {
  const count = list.children.length;
  if (event.key === "ArrowDown" && count) activate((active + 1) % count);
  else if (event.key === "ArrowUp" && count) activate((active - 1 + count) % count);
  else if (event.key === "Enter") choose(list.children[active]?.dataset.symbol ?? input.value.trim().toUpperCase());
  else if (event.key === "Escape") input.blur();
  else return;
  event.preventDefault();
}

function choose(symbol) {
  if (symbol) goToSymbol(symbol);
  input.blur();
}

function close() {
  list.hidden = true;
  input.setAttribute("aria-expanded", "false");
  input.removeAttribute("aria-activedescendant");
  input.value = place.symbol;
}
