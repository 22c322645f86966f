// Numbers as people read them. A missing number is a dash, never a zero.
import type { Range } from "../api/types";

export const NONE = "–";

export interface Unit { name: string; per: number }
const MASS: Unit[] = [{ name: "µg", per: 1e-6 }, { name: "mg", per: 1e-3 }, { name: "g", per: 1 }, { name: "kg", per: 1e3 }, { name: "t", per: 1e6 }];
const ENERGY: Unit[] = [{ name: "J", per: 1 }, { name: "kJ", per: 1e3 }, { name: "Wh", per: 3.6e3 }, { name: "kWh", per: 3.6e6 }, { name: "MWh", per: 3.6e9 }];

type Maybe = number | null | undefined;
const known = (x: Maybe): x is number => typeof x === "number" && Number.isFinite(x);

/** Three significant digits, no exponent, thousands set apart. */
export function digits(x: Maybe, significant = 3): string {
  if (!known(x)) return NONE;
  if (x === 0) return "0";
  const magnitude = Math.floor(Math.log10(Math.abs(x)));
  const decimals = Math.max(0, Math.min(12, significant - 1 - magnitude));
  return x.toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals }).replaceAll(",", "\u202f").replace("-", "−");
}

export function whole(x: Maybe): string {
  return known(x) ? digits(Math.round(x), 1) : NONE;
}

function unitFor(values: Maybe[], units: Unit[], floor: Unit): Unit {
  const sizes = values.filter(known).map(Math.abs).filter((x) => x > 0).sort((a, b) => a - b);
  const middle = sizes[Math.floor(sizes.length / 2)];
  if (middle === undefined) return floor;
  return units.findLast((unit) => middle >= unit.per) ?? units[0]!;
}

/** One unit for a whole column, by its middle value. */
export const massUnit = (values_g: Maybe[]): Unit => unitFor(values_g, MASS, MASS[2]!);
export const energyUnit = (values_j: Maybe[]): Unit => unitFor(values_j, ENERGY, ENERGY[0]!);

export const inUnit = (x: Maybe, unit: Unit): string => (known(x) ? digits(x / unit.per) : NONE);
export const energy = (x_j: Maybe): string => (known(x_j) ? withUnit(x_j, energyUnit([x_j])) : NONE);
export const mass = (x_g: Maybe): string => (known(x_g) ? withUnit(x_g, massUnit([x_g])) : NONE);
const withUnit = (x: number, unit: Unit): string => `${inUnit(x, unit)} ${unit.name}`;

/** "low – high" with as many decimals as the middle has. */
export function span(range: Range | null | undefined, unit: Unit = { name: "", per: 1 }): string {
  if (!range || !known(range.low) || !known(range.high)) return NONE;
  const size = Math.max(Math.abs(range.low), Math.abs(range.high)) / unit.per;
  const decimals = size > 0 ? Math.max(0, Math.min(12, 2 - Math.floor(Math.log10(size)))) : 0;
  const fixed = (x: number) => (x / unit.per).toFixed(decimals).replace("-", "−").replace(/^−(0(?:\.0*)?)$/, "$1");
  return `${fixed(range.low)} to ${fixed(range.high)}`;
}

/** US dollars with enough digits to be no zero. */
export function usd(x: Maybe): string {
  if (!known(x)) return NONE;
  if (x === 0) return "$0";
  const sign = x < 0 ? "−" : "";
  const size = Math.abs(x);
  if (size >= 1) return `${sign}$${size.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
  return `${sign}$${size.toFixed(Math.min(12, 1 - Math.floor(Math.log10(size))))}`;
}

export function seconds(x: Maybe): string {
  if (!known(x)) return NONE;
  return x < 1 ? `${digits(x * 1000)} ms` : `${digits(x)} s`;
}

export const percent = (frac: Maybe): string => {
  if (!known(frac)) return NONE;
  const value = frac * 100;
  if (value > 0 && value < 1) return "<1 %";
  return `${Math.round(value)} %`;
};
