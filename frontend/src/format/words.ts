// Names as words.
import type { StandIn } from "../api/types";
import { day } from "./time";

const GASES: Record<string, string> = { co2: "CO₂", co2e: "CO₂e", direct_co2: "CO₂", life_cycle_co2e: "CO₂e" };
export const gasName = (gases: string | null | undefined): string => GASES[(gases ?? "co2").toLowerCase()] ?? gases ?? "CO₂";

export const plain = (name: string | null | undefined): string => (name ?? "").replaceAll("_", " ");

/** What a stand-in is, in words; never to be read as the day itself. */
export function standInWords(standIn: StandIn, timeZone: string): string {
  return standIn.kind === "typical"
    ? "Stand-in: a typical day of the season, modelled. Not what the grid did today."
    : `Stand-in: the record of ${day(standIn.start_utc, timeZone)}. Not what the grid did today.`;
}

export function sourceWords(name: string, detail: string | null | undefined): string {
  if (detail && detail.toLowerCase().startsWith(name.toLowerCase())) return detail;
  const said = detail || (name === "reference" ? "modelled typical day" : "");
  return said ? `${name}: ${said}` : name;
}

export function valueWords(value: unknown): string {
  if (value === null || value === undefined) return "–";
  if (typeof value === "object") return JSON.stringify(value);
  return String(value);
}
