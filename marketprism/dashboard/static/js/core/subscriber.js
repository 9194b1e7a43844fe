/** A panel's subscription, which follows what the panel shows. */

import { subscribe } from "./socket.js";

export class Subscriber {
  #end = null;
  #key = "";

  /**
   * Receive these channels instead of those before. Nothing happens if they are the same.
   * @param {string[]} patterns
   * @param {(change: import("./socket.js").Change, parts: string[]) => void} take
   * @returns {boolean} whether they changed
   */
  follow(patterns, take) {
    const key = patterns.join(" ");
    if (key === this.#key) return false;
    this.stop();
    this.#key = key;
    this.#end = subscribe(patterns, take);
    return true;
  }

  stop() {
    this.#end?.();
    this.#end = null;
    this.#key = "";
  }
}
