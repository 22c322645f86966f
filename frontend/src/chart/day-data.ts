// Columns for the day chart from what the server gave.
import type { Factors } from "../api/types";

export type Cells = (number | null)[];
export interface DayData { start_epoch_s: number[]; low: Cells; mid: Cells; high: Cells; average: Cells }

const clean = (x: number | null | undefined): number | null => (typeof x === "number" && Number.isFinite(x) ? x : null);

function byStart(starts: number[], values: Cells | undefined): Map<number, number | null> {
  return new Map(starts.map((start, i) => [start, clean(values?.[i])]));
}

/** One row per interval known to either; an interval that is missing is a gap, and the last one is drawn to its end. */
export function dayData(factors: Factors | null): DayData {
  const data: DayData = { start_epoch_s: [], low: [], mid: [], high: [], average: [] };
  if (!factors) return data;
  const { marginal, average, interval_s } = factors;
  const columns = {
    low: byStart(marginal.start_epoch_s, marginal.low),
    mid: byStart(marginal.start_epoch_s, marginal.mid),
    high: byStart(marginal.start_epoch_s, marginal.high),
    average: byStart(average?.start_epoch_s ?? [], average?.mid),
  };
  const starts = [...new Set([...marginal.start_epoch_s, ...(average?.start_epoch_s ?? [])])].sort((a, b) => a - b);
  const names = ["low", "mid", "high", "average"] as const;
  starts.forEach((start, i) => {
    data.start_epoch_s.push(start);
    for (const name of names) data[name].push(columns[name].get(start) ?? null);
    const next = starts[i + 1];
    const end = start + interval_s;
    if (next === undefined || next > end) {
      // The value holds until the interval ends; after a gap the line starts anew.
      data.start_epoch_s.push(end);
      for (const name of names) data[name].push(columns[name].get(start) ?? null);
      if (next !== undefined && next - end > 1) {
        data.start_epoch_s.push(end + 1);
        for (const name of names) data[name].push(null);
      }
    }
  });
  return data;
}

export const isEmpty = (data: DayData): boolean => data.mid.every((x) => x === null) && data.average.every((x) => x === null);

/** One row per hour for reading aloud: the first interval of each hour. */
export function hourlyRows(factors: Factors | null): { start_epoch_s: number; low: number | null; mid: number | null; high: number | null; average: number | null }[] {
  if (!factors) return [];
  const average = byStart(factors.average?.start_epoch_s ?? [], factors.average?.mid);
  const { start_epoch_s, low, mid, high } = factors.marginal;
  let last = -1;
  return start_epoch_s.flatMap((start, i) => {
    const hour = Math.floor(start / 3600);
    if (hour === last) return [];
    last = hour;
    return [{ start_epoch_s: start, low: clean(low?.[i]), mid: clean(mid[i]), high: clean(high?.[i]), average: average.get(start) ?? null }];
  });
}

/** Newest first, each receipt once, at most `limit`. */
export function mergeNewest<T extends { receipt_id: string; end_utc?: string | null }>(fresh: T[], kept: T[], limit: number): T[] {
  const byId = new Map([...kept, ...fresh].map((r) => [r.receipt_id, r]));
  const when = (r: T) => Date.parse(r.end_utc ?? "") || 0;
  return [...byId.values()].sort((a, b) => when(b) - when(a)).slice(0, limit);
}
