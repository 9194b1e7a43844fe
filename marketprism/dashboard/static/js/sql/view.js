/** Questions to the tables: editor, result as table and plot, download. A link fills the editor and runs nothing. */

import { get, items, post, tolerate } from "../core/api.js";
import { byId, element, say, tabs } from "../core/dom.js";
import { fixed } from "../core/format.js";
import { refine } from "../core/router.js";
import { showPlot } from "./plot.js";
import { showResult } from "./result.js";

const editor = byId("query");
let request = null;
let questions = [];

tabs(byId("sql-side"));
byId("run").addEventListener("click", run);
byId("csv").addEventListener("click", download);
byId("questions").addEventListener("change", (event) => ask(questions[event.target.value]));
editor.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run();
});

export async function open() {
  if (questions.length) return;
  questions = items((await get("sql/questions").catch(tolerate)) ?? []);
  const options = questions.map(({ title }, i) => element("option", { value: String(i) }, `${i + 1}. ${title}`));
  byId("questions").replaceChildren(element("option", { value: "" }, "Ready-made questions …"), ...options);
}

/** @param {import("../core/router.js").Place} place */
export function show({ query }) {
  const text = query.get("q");
  if (text !== null && text !== editor.value) editor.value = text;
}

export function close() {
  request?.abort();
}

function ask(chosen) {
  if (!chosen) return;
  editor.value = chosen.query;
  say(byId("question"), chosen.question.replaceAll("`", ""));
}

/** Send the query; `path` says as what it is answered. Only the last one sent may answer. */
async function send(path, take) {
  request?.abort();
  const own = (request = new AbortController());
  state("running …");
  try {
    await take(await post(path, { query: editor.value }, own.signal));
  } catch (error) {
    if (error.name !== "AbortError") state(error.message, "down");
  }
  if (request === own) request = null;
}

function state(text, tone = "soft") {
  byId("sql-state").className = tone;
  say(byId("sql-state"), text);
}

function run() {
  if (!editor.value.trim()) return;
  refine({ q: editor.value });
  send("sql", async (response) => {
    const found = await response.json();
    showResult(found);
    await showPlot(found);
    const cut = found.truncated ? ", cut off: only the first rows are shown" : "";
    state(`${fixed(found.rows.length, 0)} rows in ${fixed(found.seconds, 3)} s${cut}`);
  });
}

function download() {
  if (!editor.value.trim()) return;
  send("sql?format=csv", async (response) => {
    const address = URL.createObjectURL(await response.blob());
    element("a", { href: address, download: "marketprism.csv" }).click();
    URL.revokeObjectURL(address);
    state("downloaded");
  });
}
