import { expect, test } from "vitest";
import { digits, energy, inUnit, mass, massUnit, percent, seconds, span, usd, whole } from "../src/format/quantity";

test("a missing number is a dash, never a zero", () => {
  for (const f of [digits, energy, mass, percent, seconds, usd, whole]) for (const x of [null, undefined, NaN]) expect(f(x)).toBe("–");
  expect(span({ low: null, mid: 1, high: 2 })).toBe("–");
});
test("numbers carry three significant digits without an exponent", () => {
  expect([digits(0.0123456), digits(456.7), digits(12345), digits(-2)]).toEqual(["0.0123", "457", "12\u202f345", "−2.00"]);
});
test("a column has the unit of its middle value", () => {
  const unit = massUnit([0.01, 0.02, 5]);
  expect(unit.name).toBe("mg");
  expect([inUnit(0.01, unit), inUnit(5, unit)]).toEqual(["10.0", "5\u202f000"]);
  expect(massUnit([]).name).toBe("g");
});
test("a range keeps its lower end readable and shows a negative one", () => {
  expect(span({ low: 412.2, mid: 500, high: 611.8 })).toBe("412 to 612");
  expect(span({ low: -0.5, mid: 1, high: 2 })).toBe("−0.50 to 2.00");
});
test("energy and cost pick digits that are no zero", () => {
  expect([energy(3.6e6), energy(500), energy(7200)]).toEqual(["1.00 kWh", "500 J", "2.00 Wh"]);
  expect([usd(0.0000123), usd(0), usd(12.5)]).toEqual(["$0.000012", "$0", "$12.50"]);
});
