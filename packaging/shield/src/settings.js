// The Worker's variables as numbers; one that is no number stops the Worker with its name rather than keep for ever.

const HOUR_MS = 3600 * 1000;

/** Bounds of what is taken and kept: temperatures in °C, times in milliseconds. Raises Error. */
export function limits(env) {
  return {
    coldest: setting(env, "MIN_CELSIUS", -273.15),
    hottest: setting(env, "MAX_CELSIUS", 10000),
    keepMs: setting(env, "KEEP_HOURS", 24) * HOUR_MS,
    keepReadings: setting(env, "KEEP_READINGS", 50000),
    forgetMs: setting(env, "FORGET_DAYS", 90) * 24 * HOUR_MS,
  };
}

function setting(env, name, otherwise) {
  const value = Number(env[name] ?? otherwise);
  if (!Number.isFinite(value)) throw new Error(`${name}: a number is needed, not ${env[name]}`);
  return value;
}
