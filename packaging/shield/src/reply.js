// Answers: plain text for people and for the tutorial's clients, JSON for what a program reads on.

export const BATCH = 500;

const ALWAYS = { "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff" };

// what a client may do here that the tutorial's API does not know
const OFFERED = { "Sensor-Batch": String(BATCH), "Accept-Encoding": "gzip" };

export function text(status, words, headers = {}) {
  return new Response(words, {
    status,
    headers: { "Content-Type": "text/plain; charset=utf-8", ...ALWAYS, ...headers },
  });
}

export function json(status, written, headers = {}) {
  return new Response(written, { status, headers: { "Content-Type": "application/json", ...ALWAYS, ...headers } });
}

/** A page that says itself what it may load; no other may frame it. */
export function html(page) {
  return new Response(page, {
    headers: {
      "Content-Type": "text/html; charset=utf-8",
      "Content-Security-Policy": "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      ...ALWAYS,
    },
  });
}

/** The answer with the announcement of batches and compression (RFC 7694) on it. */
export function offering(answer) {
  for (const [name, value] of Object.entries(OFFERED)) answer.headers.set(name, value);
  return answer;
}
