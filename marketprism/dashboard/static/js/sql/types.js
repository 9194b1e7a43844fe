/** ClickHouse's types, as far as the page must know them. */

/** The type inside `Nullable(…)` and `LowCardinality(…)`. */
export function plain(type) {
  const inner = /^(?:Nullable|LowCardinality)\((.*)\)$/.exec(type);
  return inner ? plain(inner[1]) : type;
}

export const isNumber = (type) => /^(U?Int|Float|Decimal|BFloat)/.test(plain(type));
export const isTime = (type) => /^Date/.test(plain(type));

/** µs since the epoch. The server writes times as `2026-11-26 06:00:00.000000`, in UTC. */
export function timeOf(text) {
  const iso = String(text).replace(" ", "T");
  const [whole, fraction = ""] = iso.replace("Z", "").split(".");
  return (
    Date.parse(`${whole.includes("T") ? whole : `${whole}T00:00:00`}Z`) * 1000 +
    Number(fraction.padEnd(6, "0").slice(0, 6))
  );
}
