// The shield's API: routes. Every request is somebody's before it is anything else; what a device sends goes to its own
// Durable Object, which is the only one that a name of this visitor leads to.
import { parsed } from "./body.js";
import { query } from "./query.js";
import { item, keyOf, reading } from "./reading.js";
import { Refusal } from "./refusal.js";
import { BATCH, html, json, offering, text } from "./reply.js";
import { limits } from "./settings.js";
import { visitor } from "./visitor.js";
import page from "./reader.html";

export { Device } from "./device.js";

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
  const asked = query(new URL(request.url).searchParams);
  const lists = await Promise.all(who.sees.map((name) => object(name, env).list(asked)));
  const found = lists.flat().sort((one, other) => other.time - one.time);
  const shown = found.slice(0, asked.limit).map(({ written }) => written);
  return json(200, `[${shown.join(",")}]`);
}

async function sensors(request, who, env) {
  const lists = await Promise.all(who.sees.map((name) => object(name, env).sensors()));
  const shown = lists.flatMap((list, place) =>
    list.map(({ sensor, count, written }) => {
      const device = JSON.stringify(who.sees[place].replace(/^[a-z]+:/, ""));
      return `{"sensor":${JSON.stringify(sensor)},"count":${count},"latest":${written},"device":${device}}`;
    }),
  );
  return json(200, `{"sensors":[${shown.join(",")}]}`);
}

function object(name, env) {
  return env.DEVICES.get(env.DEVICES.idFromName(name));
}
