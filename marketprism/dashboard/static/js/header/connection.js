/** The state of the connection, in words. */

import { byId, say } from "../core/dom.js";
import { age } from "../core/format.js";
import { connection, watchConnection } from "../core/socket.js";

export function startConnection() {
  const output = byId("connection");
  const show = () => {
    output.dataset.state = connection.state;
    document.body.classList.toggle("lost", connection.state === "lost");
    say(output, words());
  };
  watchConnection(show);
  setInterval(() => connection.state === "lost" && show(), 1000);
}

function words() {
  if (connection.state !== "lost") return connection.state;
  if (!connection.lastAt) return "no connection, retrying";
  const seconds = Math.round((Date.now() - connection.lastAt) / 1000);
  return `reconnecting, last data ${seconds < 60 ? `${seconds} s` : age(seconds * 1e6)} ago`;
}
