/** Addresses ↔ what is shown. Every choice that a link should keep is part of the address. */

import { byId } from "./dom.js";
import { allSymbols, derivativeOf, exchangesOf, isKnown } from "./instruments.js";

/** @typedef {{view: string, symbol: string, exchange: string, interval: string, query: URLSearchParams}} Place */

const VIEWS = {
  compare: { title: "Compare", load: () => import("../compare/view.js"), path: (symbol) => `/compare/${symbol}` },
  arbitrage: { title: "Arbitrage", load: () => import("../arbitrage/view.js"), path: () => "/arbitrage" },
  derivatives: {
    title: "Derivatives",
    load: () => import("../derivatives/view.js"),
    path: (symbol) => `/derivatives/${derivativeOf(symbol)}`,
  },
  quality: { title: "Quality", load: () => import("../quality/view.js"), path: () => "/quality" },
  sql: { title: "SQL", load: () => import("../sql/view.js"), path: () => "/sql" },
};
export const VIEW_NAMES = Object.keys(VIEWS);
const KEPT = ["exchange", "interval", "origin"]; // choices that another symbol keeps
const NAMING = ["compare", "derivatives"]; // views whose path names a symbol

const watchers = new Set();
const remembered = { symbol: "BTC-USDT", exchange: "", interval: "1m" };

/** @type {Place} */
export let place = { view: "", ...remembered, query: new URLSearchParams() };
let open = null;

/** Call `watch` with each new place. */
export function watchPlace(watch) {
  watchers.add(watch);
}

/** Go to a view, with the symbol chosen last. */
export const goToView = (view) => go(VIEWS[view].path(remembered.symbol));

/** Choose a symbol: of this view, or of the comparison if this view has none. */
export function goToSymbol(symbol) {
  const view = NAMING.includes(place.view) ? place.view : "compare";
  if (place.view === "arbitrage") go(`/arbitrage?symbol=${symbol}`);
  else go(`/${view}/${symbol}${search(Object.fromEntries(KEPT.map((name) => [name, place.query.get(name)])))}`);
}

/** Change parts of the address's query, such as the exchange: `refine({ exchange: "okx" })`. */
export function refine(changes) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value == null || value === "") query.delete(name);
    else query.set(name, value);
  }
  go(location.pathname + (query.size ? `?${query}` : ""), { replace: true });
}

const search = (values) => {
  const query = new URLSearchParams(Object.entries(values).filter(([, value]) => value));
  return query.size ? `?${query}` : "";
};

export async function go(path, { replace = false } = {}) {
  if (replace) history.replaceState(null, "", path);
  else if (path !== location.pathname + location.search) history.pushState(null, "", path);
  await show();
}

/** Show what the address says. */
export async function show() {
  place = read(new URL(location.href));
  remember(place);
  const { title, load } = VIEWS[place.view];
  document.title = NAMING.includes(place.view) ? `${place.symbol} · MarketPrism` : `${title} · MarketPrism`;
  for (const watch of watchers) watch(place);
  const view = await load();
  if (open !== view) {
    open?.close();
    for (const name of VIEW_NAMES) byId(`view-${name}`).hidden = name !== place.view;
    open = view;
    view.open();
  }
  view.show(place);
}

/** Keep the choices for the next view. The derivative of a symbol does not replace it: one may want to go back. */
function remember({ view, symbol, exchange, interval }) {
  Object.assign(remembered, { exchange, interval });
  if (view !== "derivatives" || derivativeOf(remembered.symbol) !== symbol) remembered.symbol = symbol;
}

/** @param {URL} url @returns {Place} */
function read(url) {
  const [name, text] = url.pathname.split("/").slice(1);
  const view = name in VIEWS ? name : "compare";
  const symbol = symbolOf(view, text || url.searchParams.get("symbol"));
  const path = NAMING.includes(view) ? `/${view}/${symbol}` : `/${view}`;
  if (url.pathname !== path) history.replaceState(null, "", path + url.search);
  const exchange = url.searchParams.get("exchange") || remembered.exchange;
  const interval = url.searchParams.get("interval") || remembered.interval;
  return { view, symbol, exchange: offering(symbol, exchange), interval, query: url.searchParams };
}

/** The symbol asked for, or the one chosen last, or the first there is. */
function symbolOf(view, asked) {
  let symbol = (asked || remembered.symbol).toUpperCase();
  if (!asked && !isKnown(symbol)) symbol = allSymbols()[0]?.symbol ?? symbol;
  return view === "derivatives" ? derivativeOf(symbol) : symbol;
}

/** The chosen exchange, or the first that has the symbol. */
function offering(symbol, exchange) {
  const exchanges = exchangesOf(symbol);
  return exchanges.length && !exchanges.includes(exchange) ? exchanges[0] : exchange || "binance";
}

/** Follow links within the page without loading it again. */
export function startRouter() {
  addEventListener("popstate", show);
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href^='/']");
    if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (link.dataset.view) goToView(link.dataset.view);
    else go(link.getAttribute("href"));
  });
  return show();
}
