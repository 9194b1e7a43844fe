/** The links to the views: which one is current, and in sight on a phone. */

import { watchPlace } from "../core/router.js";

export function startNavigation() {
  const links = [...document.querySelectorAll("nav [data-view]")];
  watchPlace(({ view }) => {
    for (const link of links) {
      if (link.dataset.view === view) {
        link.setAttribute("aria-current", "page");
        link.scrollIntoView({ block: "nearest", inline: "nearest" });
      } else link.removeAttribute("aria-current");
    }
  });
}
