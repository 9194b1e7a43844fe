/** One derivative over all exchanges. */

import * as contracts from "./contracts.js";
import * as funding from "./funding.js";
import * as liquidations from "./liquidations.js";
import * as ratios from "./ratios.js";

const PANELS = [contracts, funding, ratios, liquidations];

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
