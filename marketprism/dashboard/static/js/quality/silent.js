/** Channels from which nothing comes although something should, and instruments that are down. */

import { byId, say } from "../core/dom.js";
import { fixed } from "../core/format.js";
import { Table } from "../core/table.js";

const table = new Table(
  byId("silent"),
  [
    { title: "Feed", name: true, text: (row) => row.feed },
    { title: "Channel", name: true, text: (row) => row.channel },
  ],
  { key: (row) => `${row.feed} ${row.channel}`, empty: "No channel is silent." },
);

/** @param {any[]} feeds the states of all feeds */
export function showSilent(feeds) {
  table.show(feeds.flatMap(({ feed, silent }) => silent.map((channel) => ({ feed, channel }))));
  const down = feeds.reduce((sum, feed) => sum + feed.instruments_down, 0);
  say(byId("silent-summary"), down ? `${fixed(down, 0)} instruments down` : "");
}
