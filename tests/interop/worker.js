// The Worker of Cloudflare's tutorial "Configure your mobile app or IoT device", behaviour for behaviour, its faults
// included: truthiness as validation, one list for each source address, read-modify-write, and the array of
// `nothingYet`, which every address that is new to an isolate shares.
const nothingYet = { temperatures: [] };

const read = (key) => TEMPERATURES.get(key);
const write = (key, value) => TEMPERATURES.put(key, value);
const keyOf = (request) => `data-${request.headers.get("CF-Connecting-IP")}`;

async function addTemperature(request) {
  const key = keyOf(request);
  const stored = await read(key);
  let list;
  if (stored) {
    list = JSON.parse(stored);
  } else {
    await write(key, JSON.stringify(nothingYet));
    list = nothingYet;
  }
  try {
    const reading = JSON.parse(await request.text());
    if (!(reading.temperature && reading.time)) {
      return new Response("Unable to parse temperature and/or timestamp from JSON POST body", { status: 400 });
    }
    list.temperatures.push(reading);
    await write(key, JSON.stringify(list));
    return new Response("", { status: 201 });
  } catch (error) {
    return new Response(error, { status: 500 });
  }
}

const newestFirst = (one, other) => -1 * (Date.parse(one.time) - Date.parse(other.time));

async function getTemperatures(request) {
  const stored = await read(keyOf(request));
  const shown = stored ? JSON.parse(stored).temperatures.sort(newestFirst).splice(0, 5) : nothingYet;
  return new Response(JSON.stringify(shown), { status: 200, headers: { "content-type": "application/json" } });
}

addEventListener("fetch", (event) => {
  const { request } = event;
  event.respondWith(request.method === "POST" ? addTemperature(request) : getTemperatures(request));
});
