// Who is asking, from what the edge says about the client certificate; nothing that a client sends itself counts.
import { Refusal } from "./refusal.js";

const FINGERPRINT = /^[0-9a-f]{64}$/;

/** {device, sees}: the name under which the visitor's readings are kept, and those it may read; raises Refusal (403). */
export async function visitor(request, env) {
  const shown = request.cf?.tlsClientAuth;
  if (shown?.certPresented !== "1") return byAddress(request, env);
  if (shown.certVerified !== "SUCCESS") throw new Refusal(403, "client certificate: it does not verify");
  if (shown.certRevoked === "1") throw new Refusal(403, "client certificate: it is revoked");
  const fingerprint = String(shown.certFingerprintSHA256).toLowerCase();
  if (!FINGERPRINT.test(fingerprint)) throw new Refusal(403, "client certificate: its fingerprint is not known here");
  const entry = await registered(fingerprint, env);
  if (entry === null && env.ONLY_REGISTERED === "yes") throw new Refusal(403, "client certificate: not registered here");
  const device = named(fingerprint, shown, env);
  return { device, sees: entry?.sees?.map((name) => `${env.DEVICE_IS}:${name}`) ?? [device] };
}

function named(fingerprint, shown, env) {
  if (env.DEVICE_IS === "fingerprint") return `fingerprint:${fingerprint}`;
  if (env.DEVICE_IS !== "subject") throw new Error(`DEVICE_IS: fingerprint or subject, not ${env.DEVICE_IS}`);
  if (!shown.certSubjectDNRFC2253) throw new Refusal(403, "client certificate: it has no subject");
  return `subject:${shown.certSubjectDNRFC2253}`;
}

/** The certificate's entry in the register, which is a variable or a KV namespace; null if it has none. */
async function registered(fingerprint, env) {
  if (typeof env.REGISTER?.get === "function") {
    return env.REGISTER.get(fingerprint, { type: "json", cacheTtl: 300 });
  }
  return env.REGISTER?.[fingerprint] ?? null;
}

function byAddress(request, env) {
  const address = request.headers.get("CF-Connecting-IP");
  if (env.BY_ADDRESS !== "yes" || !address) throw new Refusal(403, "client certificate: none was shown");
  return { device: `address:${address}`, sees: [`address:${address}`] };
}
