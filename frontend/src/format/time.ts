// Moments in a zone's own local time, always said as such.

const NONE = "–";

function parts(epoch_s: number, timeZone: string): Record<string, number> {
  const format = new Intl.DateTimeFormat("en-CA", { timeZone, hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" });
  return Object.fromEntries(format.formatToParts(epoch_s * 1000).filter((p) => p.type !== "literal").map((p) => [p.type, Number(p.value)]));
}

/** How far local time is ahead of UTC at a moment. [s] */
export function offsetS(epoch_s: number, timeZone: string): number {
  const p = parts(epoch_s, timeZone);
  return Date.UTC(p.year!, p.month! - 1, p.day!, p.hour!, p.minute!, p.second!) / 1000 - Math.floor(epoch_s);
}

function localMidnight(year: number, month: number, day: number, timeZone: string): number {
  const naive = Date.UTC(year, month - 1, day) / 1000;
  const guess = naive - offsetS(naive, timeZone);
  return naive - offsetS(guess, timeZone);
}

/** Local midnight before and after a moment; 23 or 25 h apart when clocks change. */
export function localDay(epoch_s: number, timeZone: string): { start_epoch_s: number; end_epoch_s: number } {
  const p = parts(epoch_s, timeZone);
  return { start_epoch_s: localMidnight(p.year!, p.month!, p.day!, timeZone), end_epoch_s: localMidnight(p.year!, p.month!, p.day! + 1, timeZone) };
}

export function epochS(utc: string | null | undefined): number | null {
  const ms = utc ? Date.parse(utc) : NaN;
  return Number.isFinite(ms) ? ms / 1000 : null;
}

function show(utc: string | number | null | undefined, options: Intl.DateTimeFormatOptions): string {
  const epoch = typeof utc === "number" ? utc : epochS(utc);
  return epoch === null ? NONE : new Intl.DateTimeFormat("en-GB", options).format(epoch * 1000);
}

export const clock = (utc: string | number | null | undefined, timeZone: string): string =>
  show(utc, { timeZone, hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
export const hourMinute = (utc: string | number | null | undefined, timeZone: string): string =>
  show(utc, { timeZone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
export const day = (utc: string | number | null | undefined, timeZone: string): string =>
  show(utc, { timeZone, day: "numeric", month: "short", year: "numeric" });
export const iso = (epoch_s: number): string => new Date(epoch_s * 1000).toISOString().replace(".000Z", "Z");

/** A time zone that this browser knows; UTC where it knows it not. */
export function usable(timeZone: string | null | undefined): string {
  try {
    new Intl.DateTimeFormat("en", { timeZone: timeZone ?? "UTC" });
    return timeZone ?? "UTC";
  } catch {
    return "UTC";
  }
}
