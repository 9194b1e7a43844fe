/** Start the page: the frame at once, the view as soon as the instruments are known. */

import { byId } from "./core/dom.js";
import { allSymbols, loadInstruments } from "./core/instruments.js";
import { startKeyboard } from "./core/keyboard.js";
import { show, startRouter } from "./core/router.js";
import { connect } from "./core/socket.js";
import { switchTheme } from "./core/theme.js";
import { startConnection } from "./header/connection.js";
import { startDialog } from "./header/dialog.js";
import { startFeeds, watchFeeds } from "./header/feeds.js";
import { startNavigation } from "./header/navigation.js";
import { startSymbol } from "./header/symbol.js";

const PATIENCE = 2000; // ms between two requests for the instruments

let known = 0; // instruments of all feeds when the list was loaded
let asking = 0;

/** Ask for the list again when the feeds have other instruments than before, as while the server starts. */
function keepInstruments(feeds) {
  const count = feeds.reduce((sum, feed) => sum + feed.instruments, 0);
  if (!known && allSymbols().length) known = count;
  if (count === known || asking) return;
  asking = setTimeout(async () => {
    const found = await loadInstruments();
    asking = 0;
    if (!found) return;
    known = count;
    show();
  }, PATIENCE);
}

connect();
startConnection();
startNavigation();
startFeeds();
startSymbol();
startDialog();
startKeyboard();
byId("theme").addEventListener("click", switchTheme);

await loadInstruments();
await startRouter();
watchFeeds(keepInstruments);
