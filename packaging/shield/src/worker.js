// The shield's API: routes. Every request is somebody's before it is anything else; what a device sends goes to its own
// Durable Object, which is the only one that a name of this visitor leads to.
import { parsed } from "./body.js";
import { query } from "./query.js";
import { item, keyOf, reading } from "./reading.js";
import { Mistake, Refusal } from "./refusal.js";
import { BATCH, html, json, offering, text } from "./reply.js";
import { limits } from "./settings.js";
import { visitor } from "./visitor.js";
import page from "./reader.html";

export { Device } from "./device.js";

const ROWS_LETTERS = 4 << 20; // of all rows of /sensors; a Worker has 128 MB

const ROUTES = {
  "/": { GET: () => html(page) },
  "/temps": { GET: listed, POST: posted },
  "/sensors": { GET: sensors },
};

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    let answer = null;
    try {
      answer = await routed(request, pathname, env);
    } catch (error) {
      answer = refused(error);
    }
    return pathname === "/temps" ? offering(answer) : answer;
  },
};

async function routed(request, pathname, env) {
  const who = await visitor(request, env);
  limits(env); // a setting that is wrong is told to everybody, not only to who posts
  const methods = Object.hasOwn(ROUTES, pathname) ? ROUTES[pathname] : null;
  if (methods === null) return text(404, "nothing here: /temps, /sensors and / are there\n");
  const allow = [...Object.keys(methods), "HEAD", "OPTIONS"].join(", ");
  if (request.method === "OPTIONS") return new Response(null, { status: 204, headers: { Allow: allow } });
  const handler = methods[request.method === "HEAD" ? "GET" : request.method];
  if (!handler) return text(405, `${pathname} takes ${allow}\n`, { Allow: allow });
  const answer = await handler(request, who, env);
  return request.method === "HEAD" ? new Response(null, answer) : answer;
}

function refused(error) {
  if (error instanceof Mistake) {
    console.error(error.message); // for `wrangler tail`
    return text(error.status, `${error.message}\n`, { "Retry-After": "60" });
  }
  if (error instanceof Refusal) return text(error.status, `${error.message}\n`);
  // an object that is moved or has too much to do says so; everything else is a fault, and is to be seen as one
  if (error.overloaded || error.retryable) return text(503, "try again\n", { "Retry-After": "5" });
  throw error;
}

async function posted(request, who, env) {
  const value = await parsed(request);
  const bounds = limits(env);
  if (Array.isArray(value)) return batch(value, who, env, bounds);
  const taken = { ...reading(value, Date.now(), bounds), key: keyOf(request.headers.get("Idempotency-Key")) };
  await object(who.device, env).append([taken]);
  return text(201, "");
}

async function batch(values, who, env, bounds) {
  if (values.length === 0) throw new Refusal(400, "batch: it is empty");
  if (values.length > BATCH) throw new Refusal(413, `batch: ${values.length} items, ${BATCH} are the most`);
  const now = Date.now();
  const taken = [];
  const results = values.map((value) => {
    try {
      taken.push(item(value, now, bounds));
      return { status: 201 };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return { status: error.status, error: error.message };
    }
  });
  if (taken.length > 0) await object(who.device, env).append(taken);
  return json(207, JSON.stringify({ results }));
}

async function listed(request, who, env) {
  const asked = query(new URL(request.url).search);
  const lists = await ofEach(who.sees, env, (device) => device.list(asked));
  const found = lists.flatMap((list) => list ?? []).sort((one, other) => other.time - one.time);
  const shown = found.slice(0, asked.limit).map(({ written }) => written);
  const missing = lists.filter((list) => list === null).length;
  return json(200, `[${shown.join(",")}]`, missing ? { "Devices-Missing": String(missing) } : {});
}

async function sensors(request, who, env) {
  const most = ROWS_LETTERS / who.sees.length;
  const lists = await ofEach(who.sees, env, (device) => device.sensors(most));
  const names = who.sees.map((name) => name.replace(/^[a-z]+:/, ""));
  const shown = lists.flatMap((list, place) =>
    (list?.rows ?? []).map(({ sensor, count, written }) => {
      const device = JSON.stringify(names[place]);
      return `{"sensor":${JSON.stringify(sensor)},"count":${count},"latest":${written},"device":${device}}`;
    }),
  );
  const missing = names.filter((_, place) => !lists[place]?.whole);
  const left = missing.length ? `,"missing":${JSON.stringify(missing)}` : "";
  return json(200, `{"sensors":[${shown.join(",")}]${left}}`);
}

/** What each device's object answers, null for one that fails: it must not hide the others. Raises if none answers. */
async function ofEach(names, env, ask) {
  const answers = await Promise.allSettled(names.map(async (name) => ask(object(name, env))));
  const failed = answers.filter(({ status }) => status === "rejected");
  if (failed.length > 0) {
    if (failed.length === names.length) throw failed[0].reason;
    // for `wrangler tail`
    console.error(`${failed.length} devices of ${names.length} do not answer: ${failed[0].reason}`);
  }
  return answers.map(({ value }) => value ?? null);
}

function object(name, env) {
  return env.DEVICES.get(env.DEVICES.idFromName(name));
}
