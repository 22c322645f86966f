// Names as words.

const GASES: Record<string, string> = { co2: "CO₂", co2e: "CO₂e", direct_co2: "CO₂", life_cycle_co2e: "CO₂e" };
export const gasName = (gases: string | null | undefined): string => GASES[(gases ?? "co2").toLowerCase()] ?? gases ?? "CO₂";

export const plain = (name: string | null | undefined): string => (name ?? "").replaceAll("_", " ");

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
