/** Which exchange has which symbol, from /api/instruments. */

import { get, items } from "./api.js";

/** @typedef {{symbol: string, kind: string, exchanges: Map<string, string|null>}} Listed: exchange → tick size */

/** @type {Map<string, Listed>} */
let bySymbol = new Map();

/** Load the list. Returns whether there is one: a server that is still starting has none. */
export async function loadInstruments() {
  const found = items(await get("instruments").catch(() => []));
  const next = new Map();
  for (const each of found) {
    const listed = next.get(each.symbol) ?? { symbol: each.symbol, kind: each.kind, exchanges: new Map() };
    listed.exchanges.set(each.exchange, each.tick_size ?? null);
    next.set(each.symbol, listed);
  }
  if (next.size) bySymbol = next;
  return next.size > 0;
}

const KINDS = ["spot", "perp", "future", "option"];

/** All symbols, spot first. @returns {Listed[]} */
export function allSymbols() {
  const rank = (each) => KINDS.indexOf(each.kind);
  return [...bySymbol.values()].sort(
    (a, b) => rank(a) - rank(b) || b.exchanges.size - a.exchanges.size || (a.symbol < b.symbol ? -1 : 1),
  );
}

export const isKnown = (symbol) => bySymbol.has(symbol);

/** @returns {string[]} the exchanges that have a symbol */
export const exchangesOf = (symbol) => [...(bySymbol.get(symbol)?.exchanges.keys() ?? [])];

/** @returns {string|null} the smallest step of a symbol's prices on an exchange */
export const tickOf = (symbol, exchange) => bySymbol.get(symbol)?.exchanges.get(exchange) ?? null;

/** The derivative to show for a symbol: itself, its perpetual, or the first perpetual known. */
export function derivativeOf(symbol) {
  const kind = bySymbol.get(symbol)?.kind ?? (symbol.split("-").length > 2 ? "perp" : "spot");
  if (kind !== "spot") return symbol;
  const own = `${symbol}-PERP`;
  return isKnown(own) || !bySymbol.size ? own : (allSymbols().find((each) => each.kind === "perp")?.symbol ?? own);
}
