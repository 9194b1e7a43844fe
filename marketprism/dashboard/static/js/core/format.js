/** Figures as texts. Pure: no document, no clock. Prices and amounts arrive as decimal strings, times as µs. */

export const NOTHING = "–";
const MINUS = "−";
const MILLISECOND = 1e3;
const SECOND = 1e6;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const grouped = (digits) => digits.replace(/\B(?=(\d{3})+$)/g, ",");

/** @param {number} value @param {number} digits after the point */
export function fixed(value, digits) {
  if (value == null || !Number.isFinite(Number(value))) return NOTHING;
  const [whole, fraction] = Math.abs(value).toFixed(digits).split(".");
  const text = fraction ? `${grouped(whole)}.${fraction}` : grouped(whole);
  return value < 0 && /[1-9]/.test(text) ? MINUS + text : text;
}

const signed = (text) => (text === NOTHING || text.startsWith(MINUS) || !/[1-9]/.test(text) ? text : `+${text}`);

/**
 * A price exactly as published, never through a float. It has at least `decimals` digits after the point, and more
 * only if they are not zeros (Binance writes eight).
 * @param {string|null} text @param {number} decimals
 */
export function price(text, decimals = 0) {
  if (text == null || text === "") return NOTHING;
  const [whole, fraction = ""] = String(text).replace("-", "").split(".");
  const tail = fraction.replace(/0+$/, "").padEnd(decimals, "0");
  return (String(text).startsWith("-") ? MINUS : "") + grouped(whole) + (tail && `.${tail}`);
}

/** Digits after the point of a tick: `0.01` → 2, `0.50` → 1, `10` → 0. @param {string|null} tick */
export function decimals(tick) {
  return tick == null ? 0 : (String(tick).split(".")[1] ?? "").replace(/0+$/, "").length;
}

/** An amount with four digits after the point, from 10,000 on with fewer. */
export function amount(value) {
  if (value == null || value === "") return NOTHING;
  const number = Number(value);
  if (number !== 0 && Math.abs(number) < 0.00005) return "<0.0001";
  const size = Math.abs(number);
  return fixed(number, size < 1e4 ? 4 : size < 1e6 ? 1 : 0);
}

/** A large figure in thousands, millions, billions: `81.00 k`, `5.43 bn`. */
export function compact(value) {
  if (value == null || value === "") return NOTHING;
  const size = Math.abs(value);
  if (size >= 1e15) return Number(value).toExponential(3);
  if (size >= 1e9) return `${fixed(value / 1e9, 2)} bn`;
  if (size >= 1e6) return `${fixed(value / 1e6, 2)} M`;
  return size >= 1e4 ? `${fixed(value / 1e3, 2)} k` : fixed(value, 2);
}

export const bps = (value) => (value == null ? NOTHING : signed(fixed(value, 2)));
export const money = (value) => (value == null ? NOTHING : fixed(value, 2));

/** A fraction as a percentage with a sign: 0.0001 → `+0.0100 %`. */
export const rate = (fraction, digits = 4) =>
  fraction == null ? NOTHING : `${signed(fixed(fraction * 100, digits))} %`;

/** A share without a sign: 0.5 → `50.0 %`. */
export const share = (fraction, digits = 1) => (fraction == null ? NOTHING : `${fixed(fraction * 100, digits)} %`);

/** A span of time in its largest sensible unit: `7 ms`, `1.2 s`, `3 min`, `2 h`, `4 d`. @param {number|null} us */
export function age(us) {
  if (us == null) return NOTHING;
  const span = Math.max(0, us);
  if (span < SECOND) return `${Math.round(span / MILLISECOND)} ms`;
  if (span < MINUTE) return `${(Math.floor(span / 1e5) / 10).toFixed(1)} s`;
  if (span < 2 * HOUR) return `${Math.floor(span / MINUTE)} min`;
  return span < 2 * DAY ? `${Math.floor(span / HOUR)} h` : `${Math.floor(span / DAY)} d`;
}

/** The edge of a class of spans, without needless digits: `0`, `10 ms`, `3 s`. */
export const edge = (us) => (us === 0 ? "0" : age(us).replace(".0 ", " "));

/** The time until something: `7 h 12 min`, `4 min`, `now`. @param {number} us */
export function countdown(us) {
  if (us < MINUTE) return us > 0 ? "<1 min" : "now";
  const minutes = Math.floor(us / MINUTE);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

const clockFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const minuteFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const dayFormat = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** Time of day in the viewer's zone, `15:53:07.120`. @param {number|null} us since the epoch */
export function clock(us, digits = 3) {
  if (us == null) return NOTHING;
  const text = clockFormat.format(us / MILLISECOND);
  const rest = String(Math.floor((us % SECOND) / MILLISECOND)).padStart(3, "0");
  return digits ? `${text}.${rest.slice(0, digits)}` : text;
}

export const minute = (us) => minuteFormat.format(us / MILLISECOND);
export const day = (us) => dayFormat.format(us / MILLISECOND);

/** Day and time; the time alone if it is of the same day as `today`. @param {number} us @param {number} [today] µs */
export const dayAndMinute = (us, today) => (today && day(us) === day(today) ? minute(us) : `${day(us)} ${minute(us)}`);

/** The zone in as few letters as it has: `CET`, `GMT+5:30`. */
export function shortZone() {
  const parts = new Intl.DateTimeFormat("en-GB", { timeZoneName: "short" }).formatToParts(Date.now());
  return parts.find((part) => part.type === "timeZoneName")?.value ?? "";
}

/** The viewer's zone, named in full: `Europe/Berlin (CET)`. */
export function zone() {
  const name = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return name === shortZone() ? name : `${name} (${shortZone()})`;
}
