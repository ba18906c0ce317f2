// What a reading must be: a plausible temperature at a plausible time. Whatever else came with it is kept as it came.
import { instant } from "./instant.js";
import { Refusal } from "./refusal.js";

const LONGEST = 4096;
const LEVELS = 101; // of a reader in Python, whose json ends near 1,000

// Python's str() of a float among others; not the "", " 7 " and "0x10" that Number() would take
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const FIRST = Date.UTC(2000, 0, 1);
const AHEAD_MS = 24 * 3600 * 1000; // local time sent as UTC is up to 14 h off
const NAME_LETTERS = 200; // of a sensor, and of a key
// a structured-field string, RFC 8941 §3.3.3
const QUOTED = /^ *"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])+)" *$/;

/** The {time, celsius, sensor, written} of a parsed JSON value; raises Refusal (400). `now` is in milliseconds. */
export function reading(value, now, { coldest, hottest }) {
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new Refusal(400, `reading: an object is needed, not ${shown(value)}`);
  }
  if (isDeep(value, LEVELS)) throw new Refusal(400, "reading: nested too deeply");
  const sensor = value.sensor ?? null;
  if (sensor !== null && !isName(sensor, 0)) {
    throw new Refusal(400, `sensor: a string of at most ${NAME_LETTERS} letters is needed, not ${shown(sensor)}`);
  }
  const celsius = number(value.temperature);
  if (Number.isNaN(celsius)) {
    throw new Refusal(400, `temperature: a number is needed, or a string of one, not ${shown(value.temperature)}`);
  }
  if (!(coldest <= celsius && celsius <= hottest)) {
    throw new Refusal(400, `temperature: ${shown(value.temperature)} is not within ${coldest} and ${hottest} °C`);
  }
  const time = instant(value.time);
  if (Number.isNaN(time)) {
    throw new Refusal(400, `time: an instant as 2026-11-23T09:14:22Z is needed, not ${shown(value.time)}`);
  }
  if (time < FIRST) throw new Refusal(400, `time: ${shown(value.time)} is of a clock that was never set`);
  if (time > now + AHEAD_MS) throw new Refusal(400, `time: ${shown(value.time)} is more than a day ahead of here`);
  return { time, celsius, sensor, written: written(value) };
}

/** The reading of one item of a batch, with its `key`, which is no part of what is kept. */
export function item(value, now, limits) {
  const { key, ...rest } = value ?? {};
  const taken = reading(value && typeof value === "object" && !Array.isArray(value) ? rest : value, now, limits);
  if (!isName(key, 1)) {
    throw new Refusal(400, `key: a string of 1 to ${NAME_LETTERS} letters is needed, not ${shown(key)}`);
  }
  return { ...taken, key };
}

/** The key of an Idempotency-Key header; null for none, and for what is no quoted string, which RFC 8941 §4.2 ignores. */
export function keyOf(header) {
  const key = QUOTED.exec(header ?? "")?.[1].replace(/\\(.)/g, "$1") ?? null;
  if (key !== null && !isName(key, 1)) throw new Refusal(400, `Idempotency-Key: more than ${NAME_LETTERS} letters`);
  return key;
}

function isName(value, least) {
  // two units for a letter at most, so that a long text is not counted
  if (typeof value !== "string" || value.length > 2 * NAME_LETTERS) return false;
  const count = letters(value);
  return least <= count && count <= NAME_LETTERS;
}

/** Their number, of which a character beyond U+FFFF is one. */
function letters(text) {
  return [...text].length;
}

/** Whether objects and lists lie in one another in more than so many levels. */
function isDeep(value, levels) {
  if (value === null || typeof value !== "object") return false;
  return levels === 0 || Object.values(value).some((inner) => isDeep(inner, levels - 1));
}

function number(value) {
  if (typeof value === "number") return value;
  return typeof value === "string" && NUMBER.test(value) ? Number(value) : NaN;
}

function written(value) {
  const text = JSON.stringify(value);
  const length = text.length > LONGEST ? letters(text) : 0;
  if (length > LONGEST) throw new Refusal(400, `reading: ${length} characters of JSON, ${LONGEST} are the most`);
  return text;
}

function shown(value) {
  if (value !== null && typeof value === "object") return Array.isArray(value) ? "a list" : "an object";
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
