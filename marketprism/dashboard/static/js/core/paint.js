/** One paint per animation frame: sockets only store, and ask for a paint. */

const waiting = new Set();
let asked = false;

/** Call `draw` once in the next frame, however often it is asked for. @param {() => void} draw */
export function paint(draw) {
  waiting.add(draw);
  if (asked) return;
  asked = true;
  requestAnimationFrame(run);
}

function run() {
  asked = false;
  const draws = [...waiting];
  waiting.clear();
  for (const draw of draws) {
    try {
      draw();
    } catch (error) {
      reportError(error); // one broken panel must not stop the others
    }
  }
}

/** Call `draw` in a frame every `ms`, for texts that change with time alone. Returns what stops it. */
export function paintEvery(ms, draw) {
  const timer = setInterval(() => paint(draw), ms);
  return () => clearInterval(timer);
}
