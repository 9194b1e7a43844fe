/** When to paint: sockets only store, and ask for a paint in an animation frame. */

const PACE = 90; // ms between two paints of data: nobody reads faster, and a slow phone has time for the rest

const waiting = new Set();
const urgent = new Set();
let paintedAt = 0;

/** Call `draw` once in the next paint of data, however often it is asked for. @param {() => void} draw */
export function paint(draw) {
  waiting.add(draw);
  if (waiting.size > 1) return;
  const wait = paintedAt + PACE - performance.now();
  if (wait > 0) setTimeout(requestAnimationFrame, wait, run);
  else requestAnimationFrame(run);
}

/** Call `draw` in the next frame, as an answer to pointer or keyboard. */
export function paintSoon(draw) {
  urgent.add(draw);
  if (urgent.size === 1) requestAnimationFrame(() => all(urgent));
}

function run() {
  paintedAt = performance.now();
  all(waiting);
}

function all(draws) {
  const now = [...draws];
  draws.clear();
  for (const draw of now) {
    try {
      draw();
    } catch (error) {
      reportError(error); // one broken panel must not stop the others
    }
  }
}

/** Call `draw` in a paint every `ms`, for texts that change with time alone. Returns what stops it. */
export function paintEvery(ms, draw) {
  const timer = setInterval(() => paint(draw), ms);
  return () => clearInterval(timer);
}
