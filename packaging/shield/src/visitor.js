// Who is asking, from what the edge says about the client certificate; nothing that a client sends itself counts.
import { Mistake, Refusal } from "./refusal.js";

const FINGERPRINT = /^[0-9a-f]{64}$/;

/**
 * {device, sees}: the name under which the visitor's readings are kept, and those it may read. Raises Refusal (403), and
 * Mistake for an entry of the register that is none; a POST looks there with ONLY_REGISTERED alone, because a look costs.
 */
export async function visitor(request, env) {
  const shown = request.cf?.tlsClientAuth;
  if (shown?.certPresented !== "1") return byAddress(request, env);
  if (shown.certVerified !== "SUCCESS") throw new Refusal(403, "client certificate: it does not verify");
  if (shown.certRevoked === "1") throw new Refusal(403, "client certificate: it is revoked");
  const fingerprint = String(shown.certFingerprintSHA256).toLowerCase();
  if (!FINGERPRINT.test(fingerprint)) throw new Refusal(403, "client certificate: its fingerprint is not known here");
  const device = named(fingerprint, shown, env);
  if (request.method === "POST" && env.ONLY_REGISTERED !== "yes") return { device, sees: [device] };
  const entry = await registered(fingerprint, env);
  if (entry === null && env.ONLY_REGISTERED === "yes") throw new Refusal(403, "client certificate: not registered here");
  if (entry?.revoked) throw new Refusal(403, "client certificate: revoked in the register");
  return { device, sees: entry?.sees == null ? [device] : listed(entry.sees, fingerprint, env) };
}

function named(fingerprint, shown, env) {
  if (env.DEVICE_IS === "fingerprint") return `fingerprint:${fingerprint}`;
  if (env.DEVICE_IS !== "subject") throw new Mistake(`DEVICE_IS: fingerprint or subject, not ${env.DEVICE_IS}`);
  if (!shown.certSubjectDNRFC2253) throw new Refusal(403, "client certificate: it has no subject");
  return `subject:${shown.certSubjectDNRFC2253}`;
}

/** The certificate's entry in the register, which is a variable or a KV namespace; null if it has none. */
async function registered(fingerprint, env) {
  let entry = null;
  if (typeof env.REGISTER?.get === "function") {
    try {
      entry = await env.REGISTER.get(fingerprint, { type: "json", cacheTtl: 300 });
    } catch (error) {
      throw new Mistake(`REGISTER: the entry of ${fingerprint} cannot be read: ${error.message}`);
    }
  } else {
    const own = Object.keys(env.REGISTER ?? {}).find((name) => name.toLowerCase() === fingerprint);
    entry = own === undefined ? null : env.REGISTER[own];
  }
  if (entry !== null && (typeof entry !== "object" || Array.isArray(entry))) {
    throw new Mistake(`REGISTER: the entry of ${fingerprint} is no object`);
  }
  return entry;
}

function listed(sees, fingerprint, env) {
  const isName = (name) =>
    typeof name === "string" && (env.DEVICE_IS === "subject" ? name !== "" : FINGERPRINT.test(name.toLowerCase()));
  if (!Array.isArray(sees) || !sees.every(isName)) {
    throw new Mistake(`REGISTER: the entry of ${fingerprint}: "sees" is no list of each device's ${env.DEVICE_IS}`);
  }
  const names = sees.map((name) => (env.DEVICE_IS === "subject" ? name : name.toLowerCase()));
  return [...new Set(names)].map((name) => `${env.DEVICE_IS}:${name}`);
}

function byAddress(request, env) {
  const address = request.headers.get("CF-Connecting-IP");
  if (env.BY_ADDRESS !== "yes" || !address) throw new Refusal(403, "client certificate: none was shown");
  return { device: `address:${address}`, sees: [`address:${address}`] };
}
