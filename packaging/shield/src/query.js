// What a GET asks for, from its query string; a parameter that is misspelled is refused, not overlooked.
import { instant } from "./instant.js";
import { Refusal } from "./refusal.js";

const LISTED = 5; // the tutorial's
const LIMIT = 100;
const MOST = 1000;
const END = 8.64e15; // the last millisecond that a Date has

/** {sensor, from, to, limit} of a URL's `search`; raises Refusal (400). `sensor` null means all. */
export function query(search) {
  const parameters = new URLSearchParams(search);
  try {
    search.replace(/(%[0-9a-f]{2})+/gi, decodeURIComponent); // URLSearchParams guesses
  } catch {
    throw new Refusal(400, "query: not UTF-8");
  }
  const asked = { sensor: null, from: -END, to: END, limit: parameters.size ? LIMIT : LISTED };
  const seen = new Set();
  for (const [name, value] of parameters) {
    if (!Object.hasOwn(asked, name)) throw new Refusal(400, `${name.slice(0, 60)}: no such parameter`);
    if (seen.has(name)) throw new Refusal(400, `${name}: given twice`);
    seen.add(name);
    asked[name] = READ[name](value);
  }
  return asked;
}

const READ = {
  sensor: (value) => value,
  from: (value) => time("from", value),
  to: (value) => time("to", value),
  limit: (value) => {
    const limit = /^\d{1,4}$/.test(value) ? Number(value) : 0;
    if (limit < 1 || limit > MOST) throw new Refusal(400, `limit: a number from 1 to ${MOST} is needed`);
    return limit;
  },
};

function time(name, value) {
  const found = instant(value.replace(" ", "+")); // a plus sign in a query is a space
  if (Number.isNaN(found)) throw new Refusal(400, `${name}: an instant as 2026-11-23T09:14:22Z is needed`);
  return found;
}
