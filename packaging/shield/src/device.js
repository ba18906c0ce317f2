// The readings of one device, in pages of up to 128 in the order of their arrival.
//
// What is paid for is rows written, not bytes: a reading costs one, a batch of 500 about four. A row for each, with an
// index for times and one for keys, costs four a reading: three when it comes and one when it goes. Nothing is remembered
// between requests, and none of them awaits anything between reading and writing, so no update is lost.
import { DurableObject } from "cloudflare:workers";
import { instant } from "./instant.js";
import { limits } from "./settings.js";

const PAGE = 128;
const SENSORS = 1000; // of a device that are told; a call to an object answers 32 MiB at most
const PAGES_KEPT = 8; // a page is closed after this part of the time kept, so that a slow device's history ends, too

export class Device extends DurableObject {
  #sql = this.ctx.storage.sql;
  #limits = limits(this.env);

  /**
   * Keeps the readings, each {time, celsius, sensor, written, key}, on disk when it returns. One that is here under its
   * key is passed over; another under that key is kept: a device numbers anew after its spool is lost or restored.
   */
  async append(readings) {
    this.#sql.exec(
      "CREATE TABLE IF NOT EXISTS pages (number INTEGER PRIMARY KEY, began INTEGER, arrived INTEGER, " +
        "oldest INTEGER, newest INTEGER, count INTEGER, keys TEXT, lines TEXT)",
    );
    const fresh = this.#unknown(readings);
    if (fresh.length === 0) return;
    const now = Date.now();
    let began = false;
    this.ctx.storage.transactionSync(() => {
      const [last] = this.#sql.exec("SELECT number, began, count FROM pages ORDER BY number DESC LIMIT 1");
      const open = last && now - last.began < this.#limits.keepMs / PAGES_KEPT && now >= last.began;
      const room = open ? PAGE - last.count : 0;
      if (room > 0) this.#extend(last.number, fresh.slice(0, room), now);
      for (let start = room; start < fresh.length; start += PAGE) {
        this.#begin(fresh.slice(start, start + PAGE), now);
        began = true;
      }
      if (began) this.#drop(now);
    });
    if (began) await this.ctx.storage.setAlarm(now + this.#limits.forgetMs);
  }

  /** The readings asked for as [{time, written}], newest first; of one instant, what came last. */
  list({ sensor, from, to, limit }) {
    let found = [];
    const pages = this.#pages("WHERE newest >= ? AND oldest < ? ORDER BY newest DESC", from, to);
    for (const { number, newest, lines } of pages) {
      if (found.length === limit && newest < found[limit - 1].time) break;
      for (const [place, { time, value, written }] of read(lines).entries()) {
        if (from <= time && time < to && (sensor === null || value.sensor === sensor)) {
          found.push({ time, number, place, written });
        }
      }
      found.sort((one, other) => other.time - one.time || other.number - one.number || other.place - one.place);
      found = found.slice(0, limit);
    }
    return found.map(({ time, written }) => ({ time, written }));
  }

  /**
   * {rows, whole}: [{sensor, count, written}] with the latest reading of each sensor, by name. Of more sensors than `most`
   * letters hold, or SENSORS, it is those heard of last, at least one, and `whole` is false.
   */
  sensors(most) {
    const seen = new Map();
    for (const { lines } of this.#pages("ORDER BY number")) {
      for (const { time, value, written } of read(lines)) {
        const sensor = value.sensor ?? null;
        const before = seen.get(sensor) ?? { sensor, count: 0, time: -Infinity, written };
        const latest = time >= before.time ? { time, written } : {};
        seen.set(sensor, { ...before, ...latest, count: before.count + 1 });
      }
    }
    const latest = [...seen.values()].sort((one, other) => other.time - one.time).slice(0, SENSORS);
    let letters = 0;
    const rows = latest.filter(({ written }, place) => (letters += written.length) <= most || place === 0);
    rows.sort((one, other) => ((one.sensor ?? "") < (other.sensor ?? "") ? -1 : 1));
    const told = rows.map(({ sensor, count, written }) => ({ sensor, count, written }));
    return { rows: told, whole: told.length === seen.size };
  }

  /** A device of which nothing has come for long is forgotten: its certificate was replaced, or it is gone. */
  async alarm() {
    const [last] = this.#pages("ORDER BY number DESC LIMIT 1");
    const until = (last?.arrived ?? 0) + this.#limits.forgetMs;
    if (until > Date.now()) await this.ctx.storage.setAlarm(until);
    else await this.ctx.storage.deleteAll();
  }

  /** Pages of what is there; asking creates nothing, so a stranger's GET leaves no database behind. */
  #pages(which, ...values) {
    const [there] = this.#sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'pages'");
    return there ? this.#sql.exec(`SELECT * FROM pages ${which}`, ...values) : [];
  }

  #unknown(readings) {
    const known = new Set();
    if (readings.some(({ key }) => key !== null)) {
      for (const { keys } of this.#sql.exec("SELECT keys FROM pages")) {
        for (const written of keys.split("\n")) known.add(written);
      }
    }
    return readings.filter((one) => one.key === null || (!known.has(line(one)) && known.add(line(one))));
  }

  #extend(number, readings, now) {
    const { oldest, newest, keys, lines } = page(readings);
    this.#sql.exec(
      "UPDATE pages SET arrived = ?, oldest = min(oldest, ?), newest = max(newest, ?), count = count + ?, " +
        "keys = keys || ?, lines = lines || ? WHERE number = ?",
      ...[now, oldest, newest, readings.length, keys, lines, number],
    );
  }

  #begin(readings, now) {
    const { oldest, newest, keys, lines } = page(readings);
    this.#sql.exec(
      "INSERT INTO pages (began, arrived, oldest, newest, count, keys, lines) VALUES (?, ?, ?, ?, ?, ?, ?)",
      ...[now, now, oldest, newest, readings.length, keys, lines],
    );
  }

  /**
   * By the time of arrival: a backlog is as old as its delivery, and a wrong clock keeps nothing for ever. Pages that were
   * written just now stay, whatever the bounds: what they hold is being acknowledged.
   */
  #drop(now) {
    this.#sql.exec("DELETE FROM pages WHERE arrived < ?", now - this.#limits.keepMs);
    let left = this.#limits.keepReadings;
    for (const { number, count, arrived } of [
      ...this.#sql.exec("SELECT number, count, arrived FROM pages ORDER BY number DESC"),
    ]) {
      left -= count;
      if (left < 0 && arrived < now) this.#sql.exec("DELETE FROM pages WHERE number = ?", number);
    }
  }
}

/** A key and whose it is as one line: JSON has no line end within a string. */
function line({ key, time, celsius, sensor }) {
  return JSON.stringify([key, time, celsius, sensor]);
}

function page(readings) {
  const times = readings.map(({ time }) => time);
  return {
    oldest: Math.min(...times),
    newest: Math.max(...times),
    keys: readings.map((one) => (one.key === null ? "" : `${line(one)}\n`)).join(""),
    lines: readings.map(({ written }) => `${written}\n`).join(""),
  };
}

function read(lines) {
  return lines
    .split("\n")
    .slice(0, -1)
    .map((written) => {
      const value = JSON.parse(written);
      return { time: instant(value.time), value, written };
    });
}
