import { expect, test } from "vitest";
import { hourMinute, localDay, usable } from "../src/format/time";

const at = (utc: string) => Date.parse(utc) / 1000;

test("a local day begins at local midnight", () => {
  expect(localDay(at("2024-07-15T02:00:00Z"), "America/Chicago")).toEqual({ start_epoch_s: at("2024-07-14T05:00:00Z"), end_epoch_s: at("2024-07-15T05:00:00Z") });
});
test("days on which clocks change have 23 and 25 hours", () => {
  const hours = (utc: string) => { const d = localDay(at(utc), "America/Chicago"); return (d.end_epoch_s - d.start_epoch_s) / 3600; };
  expect([hours("2024-03-10T18:00:00Z"), hours("2024-11-03T18:00:00Z")]).toEqual([23, 25]);
});
test("an unknown time zone is shown in UTC", () => {
  expect(usable("Not/AZone")).toBe("UTC");
  expect(hourMinute("2024-07-15T02:05:00Z", "UTC")).toBe("02:05");
});
