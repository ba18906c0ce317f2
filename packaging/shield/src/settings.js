// The Worker's variables as numbers. A wrong one stops the Worker with its name: "" would be 0 and keep nothing.
import { Mistake } from "./refusal.js";

const HOUR_MS = 3600 * 1000;

/** Bounds of what is taken and kept: temperatures in °C, times in milliseconds. Raises Mistake. */
export function limits(env) {
  const bounds = {
    coldest: setting(env, "MIN_CELSIUS", -273.15, -Infinity),
    hottest: setting(env, "MAX_CELSIUS", 10000, -Infinity),
    keepMs: setting(env, "KEEP_HOURS", 24, 0) * HOUR_MS,
    keepReadings: setting(env, "KEEP_READINGS", 50000, 0),
    forgetMs: setting(env, "FORGET_DAYS", 90, 0) * 24 * HOUR_MS,
  };
  for (const name of ["ONLY_REGISTERED", "BY_ADDRESS"]) {
    const given = env[name] ?? "no";
    if (given !== "yes" && given !== "no") {
      throw new Mistake(`${name}: "yes" or "no" is needed, not ${JSON.stringify(given)}`);
    }
  }
  if (bounds.coldest > bounds.hottest) throw new Mistake("MIN_CELSIUS: it is above MAX_CELSIUS");
  // what is acknowledged would be deleted before its time
  if (bounds.forgetMs === 0 || bounds.forgetMs < bounds.keepMs) {
    throw new Mistake("FORGET_DAYS: more than KEEP_HOURS is needed");
  }
  return bounds;
}

function setting(env, name, otherwise, least) {
  const given = env[name] ?? otherwise;
  const value = String(given).trim() === "" ? NaN : Number(given);
  if (!Number.isFinite(value)) throw new Mistake(`${name}: a number is needed, not ${JSON.stringify(given)}`);
  if (value < least) throw new Mistake(`${name}: ${value} is less than ${least}`);
  return value;
}
