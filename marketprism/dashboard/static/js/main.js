/** Start the page: the frame at once, the view as soon as the instruments are known. */

import { byId } from "./core/dom.js";
import { loadInstruments } from "./core/instruments.js";
import { startKeyboard } from "./core/keyboard.js";
import { show, startRouter } from "./core/router.js";
import { connect } from "./core/socket.js";
import { switchTheme } from "./core/theme.js";
import { startConnection } from "./header/connection.js";
import { startDialog } from "./header/dialog.js";
import { startFeeds } from "./header/feeds.js";
import { startNavigation } from "./header/navigation.js";
import { startSymbol } from "./header/symbol.js";

const RETRY = 2000; // ms between two requests for the instruments of a server that is starting
const RELOAD = 60000; // ms; instruments are listed and delisted while the page is open

async function keepInstruments() {
  const found = await loadInstruments();
  setTimeout(keepInstruments, found ? RELOAD : RETRY);
  return found;
}

connect();
startConnection();
startNavigation();
startFeeds();
startSymbol();
startDialog();
startKeyboard();
byId("theme").addEventListener("click", switchTheme);

const known = await keepInstruments();
await startRouter();
if (!known) {
  const again = setInterval(async () => {
    if (!(await loadInstruments())) return;
    clearInterval(again);
    show();
  }, RETRY);
}
