/** Which exchange is a side of an open opportunity; shared by the panels of the comparison. */

/** @type {Map<string, Set<string>>} exchange → `buy`, `sell` */
export const openSides = new Map();

/** @param {any[]} open the open opportunities of the symbol shown */
export function setOpenSides(open) {
  openSides.clear();
  for (const { buy, sell } of open) {
    sidesOf(buy.exchange).add("buy");
    sidesOf(sell.exchange).add("sell");
  }
}

function sidesOf(exchange) {
  if (!openSides.has(exchange)) openSides.set(exchange, new Set());
  return openSides.get(exchange);
}
