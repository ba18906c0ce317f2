// The body of a request as JSON, decompressed where it says so, and never more than a limit of it in memory.
import { Refusal } from "./refusal.js";

const LARGEST = 1 << 20;

/** The value that the body holds; raises Refusal: 415 for an encoding, 413 for its size, 400 for what is not JSON. */
export async function parsed(request) {
  const text = decoded(await bytes(request));
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Refusal(400, `body: not JSON: ${error.message.slice(0, 120)}`);
  }
}

function decoded(whole) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(whole);
  } catch {
    throw new Refusal(400, "body: not UTF-8");
  }
}

async function bytes(request) {
  if (request.body === null) return new Uint8Array();
  const encoding = (request.headers.get("Content-Encoding") ?? "").trim().toLowerCase() || "identity";
  if (encoding === "identity") return limited(request.body);
  if (encoding !== "gzip") throw new Refusal(415, "Content-Encoding: gzip is taken, or none");
  try {
    return await limited(request.body.pipeThrough(new DecompressionStream("gzip")));
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal(400, "body: Content-Encoding says gzip, and it is not");
  }
}

async function limited(stream) {
  const chunks = [];
  let length = 0;
  for await (const chunk of stream) {
    length += chunk.length;
    if (length > LARGEST) throw new Refusal(413, `body: more than ${LARGEST} bytes`);
    chunks.push(chunk);
  }
  return new Blob(chunks).bytes();
}
