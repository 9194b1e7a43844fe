/** The server's clock, as far as its frames tell: ages must not depend on how well this machine's clock is set. */

let offset = null;

/** Learn from a frame's time. The frame that came fastest tells most: it has the largest offset. */
export function learn(time) {
  const seen = time - Date.now() * 1000;
  offset = offset === null ? seen : Math.max(seen, offset - 100); // forgets 0.1 ms a frame, should the clock drift
}

/** Forget what was learned, on a new connection. */
export function forget() {
  offset = null;
}

/** @returns {number} µs since the epoch */
export const now = () => Date.now() * 1000 + (offset ?? 0);
