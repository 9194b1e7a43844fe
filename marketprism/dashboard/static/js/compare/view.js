/** The comparison of one symbol over all exchanges, and one exchange in detail. */

import { byId, tabs } from "../core/dom.js";
import * as candles from "./candles.js";
import * as comparison from "./comparison.js";
import * as depth from "./depth.js";
import * as here from "./here.js";
import * as ladder from "./ladder.js";
import * as tape from "./tape.js";

const PANELS = [comparison, here, depth, candles, ladder, tape];

tabs(byId("side"));

export function open() {
  for (const panel of PANELS) panel.open?.();
}

/** @param {import("../core/router.js").Place} place */
export function show(place) {
  for (const panel of PANELS) panel.show(place);
}

export function close() {
  for (const panel of PANELS) panel.close();
}
