/** Opportunities as they come from `signals:SYMBOL`: the newest event of each, open ones first. */

const MOST = 300; // closed ones kept

export class Opportunities {
  /** @type {Map<string, any>} by id */
  #byId = new Map();

  /** Grows with each change of the closed ones: a long table is shown again only then. */
  closings = 0;

  /** @param {import("./socket.js").Change} change */
  take(change) {
    if (change.type === "snapshot") this.#forget(change.channel.split(":")[1]);
    for (const event of change.data) this.add(event);
  }

  /** Keep an event unless it is older than what is known of the same opportunity. */
  add(event) {
    const known = this.#byId.get(event.id);
    if (known && (known.type === "closed" || known.local_timestamp > event.local_timestamp)) return;
    this.#byId.set(event.id, event);
    if (!isOpen(event)) this.closings++;
    this.#bound();
  }

  clear() {
    this.closings++;
    this.#byId.clear();
  }

  /** The open ones, the longest open first: a fixed order, so that rows do not jump. */
  get open() {
    return [...this.#byId.values()].filter(isOpen).sort((a, b) => a.opened_at - b.opened_at);
  }

  /** The closed ones, newest first. */
  get closed() {
    return [...this.#byId.values()]
      .filter((each) => !isOpen(each))
      .sort((a, b) => b.local_timestamp - a.local_timestamp);
  }

  /** A snapshot names all open ones: others of its symbol have ended unseen. */
  #forget(symbol) {
    for (const [id, each] of this.#byId) if (isOpen(each) && each.symbol === symbol) this.#byId.delete(id);
  }

  #bound() {
    if (this.#byId.size <= 2 * MOST) return;
    for (const each of this.closed.slice(MOST)) this.#byId.delete(each.id);
  }
}

export const isOpen = (event) => event.type !== "closed";

/** Where to buy and where to sell. */
export const route = (event) => `${event.buy.exchange} → ${event.sell.exchange}`;

const REASONS = { spread_gone: "spread gone", quote_too_old: "quote too old", book_not_live: "book not live" };

export const ending = (event) => REASONS[event.reason] ?? event.reason;
