import { expect, test } from "vitest";
import { dayData, isEmpty, mergeNewest } from "../src/chart/day-data";

const factors = (starts: number[], mid: (number | null)[]) => ({ zone: "Z", interval_s: 10, marginal: { estimator: "m", start_epoch_s: starts, low: mid, mid, high: mid }, average: { estimator: "average", start_epoch_s: starts, mid } });

test("the last interval is drawn to its end", () => {
  const data = dayData(factors([0, 10], [1, 2]));
  expect([data.start_epoch_s, data.mid]).toEqual([[0, 10, 20], [1, 2, 2]]);
});
test("a missing interval is a gap and no line bridges it", () => {
  const data = dayData(factors([0, 30], [1, 2]));
  expect([data.start_epoch_s, data.mid]).toEqual([[0, 10, 11, 30, 40], [1, 1, null, 2, 2]]);
});
test("no factors, or only missing ones, is an empty day", () => {
  expect(isEmpty(dayData(null))).toBe(true);
  expect(isEmpty(dayData(factors([0], [null])))).toBe(true);
  expect(isEmpty(dayData(factors([0], [0])))).toBe(false);
});
test("a receipt heard twice is one row, newest first", () => {
  const r = (receipt_id: string, end_utc: string) => ({ receipt_id, end_utc });
  const merged = mergeNewest([r("b", "2024-01-02T00:00:00Z")], [r("a", "2024-01-01T00:00:00Z"), r("b", "2024-01-02T00:00:00Z")], 5);
  expect(merged.map((x) => x.receipt_id)).toEqual(["b", "a"]);
});
