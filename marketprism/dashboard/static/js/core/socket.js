/** The connection to /stream: subscriptions, reconnection, and who gets which change. */

import { forget, learn } from "./clock.js";

const FIRST_DELAY = 500; // ms before the first attempt to reconnect, doubled after each
const LAST_DELAY = 8000;
const SILENCE = 12000; // ms; the server sends a heartbeat every 5 s
const HIDDEN = 60000; // ms after which a tab that was hidden starts over

/** @typedef {{channel: string, type: "snapshot"|"change", sequence: number, data: any, skipped?: number}} Change */
/**
 * @typedef {object} Subscription
 * @property {string[]} patterns
 * @property {string[][]} parts of each pattern
 * @property {(change: Change, parts: string[]) => void} take
 * @property {boolean} [renewing] whether it is about to be asked for again
 */

/** @type {Set<Subscription>} */
const subscriptions = new Set();
const renewals = new Set();
const watchers = new Set();

/** @type {WebSocket|null} */
let socket = null;
let delay = FIRST_DELAY;
let silence = 0;
let hiddenSince = 0;

/** `state`: connecting, live or lost; `lastAt`: of the last frame, ms. */
export const connection = { state: "connecting", lastAt: 0 };

/** Whether it makes sense to ask for figures again: somebody looks, and the server answers. */
export const isWatched = () => connection.state === "live" && !document.hidden;

/** Call `watch` on every change of the connection's state. */
export function watchConnection(watch) {
  watchers.add(watch);
}

/** Call `renew` after a reconnection or a long time hidden, when figures from REST may have holes. */
export function onRenewal(renew) {
  renewals.add(renew);
  return () => renewals.delete(renew);
}

/**
 * Receive the changes of channels. Returns what ends the subscription.
 * @param {string[]} patterns `kind:symbol:exchange:detail`, each part may be `*`
 * @param {(change: Change, parts: string[]) => void} take gets the change and the channel's parts
 */
export function subscribe(patterns, take) {
  const subscription = { patterns, parts: patterns.map((pattern) => pattern.split(":")), take };
  subscriptions.add(subscription);
  send({ subscribe: patterns });
  return () => {
    if (subscriptions.delete(subscription)) send({ unsubscribe: patterns });
  };
}

export function connect() {
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/stream`);
  socket.onopen = () => {
    forget();
    const patterns = [...subscriptions].flatMap((each) => each.patterns);
    if (patterns.length) send({ subscribe: patterns });
    expectFrames();
  };
  socket.onmessage = (event) => receive(JSON.parse(event.data));
  socket.onclose = lose;
}

function send(message) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

function receive(frame) {
  expectFrames();
  connection.lastAt = Date.now();
  if (connection.state !== "live") become("live");
  delay = FIRST_DELAY;
  if (frame.time) learn(frame.time);
  if (frame.type === "error") console.warn(`/stream: ${frame.reason}`);
  for (const change of frame.changes ?? []) dispatch(change);
}

function dispatch(change) {
  if (change.data === null) return; // a channel that has no value yet
  const parts = change.channel.split(":");
  for (const subscription of subscriptions) {
    if (!subscription.parts.some((pattern) => matches(pattern, parts))) continue;
    try {
      subscription.take(change, parts);
    } catch (error) {
      reportError(error); // one broken panel must not end the others' data
    }
    if (change.skipped && change.type === "change") renewSoon(subscription);
  }
}

const matches = (pattern, parts) => pattern.every((part, i) => part === "*" || part === parts[i]);

/** Items were dropped on the way: ask for the latest ones again, once per second at most. */
function renewSoon(subscription) {
  if (subscription.renewing) return;
  subscription.renewing = true;
  setTimeout(() => {
    subscription.renewing = false;
    if (subscriptions.has(subscription)) askAgain(subscription.patterns);
  }, 1000);
}

function askAgain(patterns) {
  send({ unsubscribe: patterns });
  send({ subscribe: patterns });
}

function become(state) {
  const before = connection.state;
  connection.state = state;
  for (const watch of watchers) watch(state);
  if (state === "live" && before === "lost") for (const renew of renewals) renew();
}

function expectFrames() {
  clearTimeout(silence);
  silence = setTimeout(() => {
    socket?.close(); // a dead connection may need minutes to close
    lose();
  }, SILENCE);
}

function lose() {
  clearTimeout(silence);
  if (!socket) return;
  socket.onclose = socket.onmessage = null;
  socket = null;
  become("lost");
  setTimeout(connect, delay * (0.75 + Math.random() / 2));
  delay = Math.min(2 * delay, LAST_DELAY);
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) hiddenSince = Date.now();
  else if (Date.now() - hiddenSince > HIDDEN && connection.state === "live") {
    for (const { patterns } of subscriptions) askAgain(patterns);
    for (const renew of renewals) renew();
  }
});
