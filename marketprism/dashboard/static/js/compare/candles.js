/** Candles with volume of one exchange, its own or made of its trades: history by REST, the latest as it changes. */

import { chartLibrary, createChart, look } from "../charts/library.js";
import { get, tolerate } from "../core/api.js";
import { now } from "../core/clock.js";
import { byId, choice, element, say } from "../core/dom.js";
import { amount, dayAndMinute, decimals, NOTHING, price, shortZone } from "../core/format.js";
import { exchangesOf, tickOf } from "../core/instruments.js";
import { paint, paintSoon } from "../core/paint.js";
import { place, refine } from "../core/router.js";
import { isWatched, onRenewal } from "../core/socket.js";
import { Subscriber } from "../core/subscriber.js";
import { watchTheme } from "../core/theme.js";
import { CandleSeries } from "./candle_series.js";

const INTERVALS = ["1m", "5m", "15m", "1h", "4h", "1d"];
const FIRST = 500; // candles
const POLL = 2000; // ms; for intervals that come by no channel
const QUIET = 3500; // ms without a change after which they are asked for
const PATIENCE = 5000; // ms between two loads because of missing candles; minutes without trades have none

const subscriber = new Subscriber();
/** @type {CandleSeries|null} */
let series = null;
let asked = "";
let request = new AbortController();
let changedAt = 0;
let loadedAt = 0;
let latest = null;
let pointed = null;
let ends = [];

const press = choice(
  byId("intervals"),
  INTERVALS,
  (name) => name,
  (interval) => refine({ interval }),
);
byId("candles-exchange").addEventListener("change", (event) => refine({ exchange: event.target.value }));
byId("candles-origin").addEventListener("change", (event) => refine({ origin: event.target.value }));
byId("candles-latest").addEventListener("click", () => series?.follow());
byId("candles-in").addEventListener("click", () => series?.zoom(0.7));
byId("candles-out").addEventListener("click", () => series?.zoom(1 / 0.7));

export function open() {
  const timer = setInterval(poll, POLL);
  ends = [watchTheme(applyTheme), onRenewal(() => load(place)), () => clearInterval(timer)];
}

export async function show(next) {
  press(next.interval);
  offerExchanges(next);
  byId("candles-origin").value = originAsked(next);
  const key = keyOf(next);
  if (key === asked) return;
  asked = key;
  latest = pointed = null;
  subscriber.follow([`candles:${key}`], ({ data }) => receive(data));
  await ensureSeries();
  await load(next);
}

export function close() {
  subscriber.stop();
  request.abort();
  for (const end of ends) end();
  asked = "";
}

/** `trades`, or empty: the exchange's own, or those of the trades where it has none. */
const originAsked = ({ query }) => (query.get("origin") === "trades" ? "trades" : "");

/** What is shown, as the channel of its latest candle is named. */
const keyOf = (place) =>
  [`${place.symbol}:${place.exchange}:${place.interval}`, originAsked(place)].filter(Boolean).join(".");

/** Fetch candles of a place. */
const fetchCandles = (place, more) => {
  const asked = originAsked(place) ? { origin: originAsked(place) } : {};
  const parameters = { interval: place.interval, ...asked, ...more };
  return get(`candles/${place.exchange}/${place.symbol}`, parameters, request.signal);
};

function offerExchanges({ symbol, exchange }) {
  const select = byId("candles-exchange");
  const names = exchangesOf(symbol);
  if ([...select.options].map((each) => each.value).join() !== names.join()) {
    select.replaceChildren(...names.map((name) => element("option", { value: name }, name)));
  }
  select.value = exchange;
}

async function ensureSeries() {
  if (series) return;
  const library = await chartLibrary();
  series ??= new CandleSeries(library, createChart(library, byId("candles")), { pointed: point, moved, older });
}

/** Fetch the history of what is shown, and show it instead of what was. */
async function load(wanted) {
  const { symbol, exchange } = wanted;
  request.abort();
  if (!exchangesOf(symbol).includes(exchange)) return showNone(`${exchange} does not list ${symbol}.`);
  request = new AbortController();
  loadedAt = Date.now();
  try {
    const found = await fetchCandles(wanted, { limit: FIRST });
    series.format(decimals(tickOf(symbol, exchange)));
    series.replace(found.items);
    note(found.items.length ? originOf(found) : "No candles yet.");
    latest = found.items.at(-1) ?? null;
  } catch (error) {
    if (error.name !== "AbortError") showNone(error.message);
  }
  paint(drawLegend);
}

function showNone(reason) {
  series.replace([]);
  note(reason);
}

const originOf = ({ origin, exchange }) =>
  origin === "trades" ? `From ${exchange}’s trades.` : `${exchange}’s own candles.`;
const note = (text) => say(byId("candles-note"), `${text} Times in ${shortZone()}.`);

/** Older candles, when the reader scrolls to the left end. */
async function older(before) {
  const key = asked;
  const found = await fetchCandles(place, { limit: FIRST, to: before }).catch(tolerate);
  return found && key === asked ? found.items : [];
}

function receive(candle) {
  if (candle.contract) return; // of a continuous contract, not of the instrument
  changedAt = Date.now();
  latest = candle;
  paint(drawLatest);
}

/** Ask for the latest candles of an interval that no channel carries. */
async function poll() {
  if (!isWatched() || !asked || !series || Date.now() - changedAt < QUIET) return;
  const key = asked;
  const found = await fetchCandles(place, { limit: 2 }).catch(tolerate);
  if (!found || key !== asked) return;
  for (const candle of found.items) series.update(candle);
  latest = found.items.at(-1) ?? latest;
  paint(drawLegend);
}

function drawLatest() {
  if (!series || !latest) return;
  const loadAgain = Date.now() - loadedAt > PATIENCE;
  if (series.update(latest, !loadAgain) === "hole") load(place); // candles closed unseen
  drawLegend();
}

function point(candle) {
  pointed = candle;
  paintSoon(drawLegend);
}

function moved(following) {
  byId("candles-latest").hidden = following;
}

function applyTheme() {
  series?.apply(look());
}

function drawLegend() {
  const candle = pointed ?? latest;
  const legend = byId("candles-legend");
  if (!candle) return say(legend, NOTHING);
  const digits = decimals(tickOf(place.symbol, place.exchange));
  const figures = ["open", "high", "low", "close"].map(
    (name) => `${name[0].toUpperCase()} ${price(candle[name], digits)}`,
  );
  say(legend, `${dayAndMinute(candle.start, now())}  ${figures.join("  ")}  V ${amount(candle.volume)}`);
}
