// Instants as the API writes them: ISO 8601 with seconds and a zone. Date.parse alone takes guesses and 30 February.

const FORM = /^(\d{4})-(\d{2})-(\d{2})T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/;

/** Milliseconds since 1970, NaN for what is no instant. */
export function instant(value) {
  const found = typeof value === "string" && FORM.exec(value);
  if (!found) return NaN;
  const [year, month, day] = found.slice(1, 4).map(Number);
  return day <= new Date(Date.UTC(year, month, 0)).getUTCDate() ? Date.parse(value) : NaN;
}
