/** The strip of feeds: state, latency, frames per second and age of each. A click selects the exchange. */

import { now } from "../core/clock.js";
import { byId, element, say, set, textIn, write } from "../core/dom.js";
import { age, fixed, NOTHING } from "../core/format.js";
import { arrowKeys } from "../core/keyboard.js";
import { paint, paintEvery } from "../core/paint.js";
import { place, refine, watchPlace } from "../core/router.js";
import { subscribe } from "../core/socket.js";

const REPORTED = 2000; // ms for which a reported age is taken as it is

/** @type {Map<string, any>} the latest state of each feed */
const feeds = new Map();
const chips = new Map();
const watchers = new Set();

/** Call `watch` with all feeds whenever one changes. Returns what ends that. */
export function watchFeeds(watch) {
  watchers.add(watch);
  watch([...feeds.values()]);
  return () => watchers.delete(watch);
}

export function startFeeds() {
  arrowKeys(byId("feeds"));
  subscribe(["feeds"], ({ data }) => {
    announce(feeds.get(data.feed), data);
    feeds.set(data.feed, { ...data, receivedAt: Date.now() });
    for (const watch of watchers) watch([...feeds.values()]);
    paint(draw);
  });
  watchPlace(() => paint(draw));
  paintEvery(250, draw);
}

/** Say a change of state to those who do not see the strip. */
function announce(before, after) {
  if (before && before.state !== after.state) say(byId("news"), `${after.feed} is ${after.state}. ${after.reason}`);
}

function draw() {
  for (const name of [...feeds.keys()].sort()) {
    const chip = chips.get(name) ?? build(name);
    drawChip(chip, feeds.get(name));
  }
}

function build(name) {
  const parts = {
    feed: element("span", { className: "feed" }, name),
    state: element("span", { className: "state" }),
    figures: element("span", { className: "figures" }),
  };
  const button = element("button", { type: "button" }, parts.feed, parts.state, parts.figures);
  button.addEventListener("click", () => refine({ exchange: feeds.get(name).exchange }));
  const chip = { button, state: textIn(parts.state), figures: textIn(parts.figures) };
  chips.set(name, chip);
  const after = [...chips.keys()].filter((each) => each > name).sort()[0];
  byId("feeds").insertBefore(button, after ? chips.get(after).button : null);
  return chip;
}

function drawChip(chip, feed) {
  const stopped = feed.state === "down" || feed.state === "stale";
  const since = ageOf(feed);
  set(chip.button, "data-state", feed.state);
  set(chip.button, "aria-pressed", String(feed.exchange === place.exchange));
  set(chip.button, "title", [feed.reason || `${feed.instruments} instruments`, ...feed.hosts].join("\n"));
  write(chip.state, feed.state === "degraded" && feed.by_rest.length ? "by REST" : feed.state);
  write(chip.figures, stopped ? `${age(since)} ago · ${feed.reason || "no data"}` : figures(feed, since));
}

/** The age as reported, which comes once a second; counted on from the last event when no report comes. */
function ageOf(feed) {
  if (Date.now() - feed.receivedAt < REPORTED) return feed.age;
  return feed.last_at ? now() - feed.last_at : null;
}

function figures(feed, since) {
  const latency = feed.latency == null ? NOTHING : age(feed.latency);
  return `${latency} · ${fixed(feed.frames_per_second, 0)}/s · ${age(since)} ago`;
}
