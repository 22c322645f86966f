import type { Range } from "../api/types";

/** Low to high as a bar with the middle marked, on a scale from zero (or below) to `top`. */
export function RangeBar({ range, top }: { range: Range; top: number }) {
  if (range.low === null || range.mid === null || range.high === null) return null;
  const bottom = Math.min(0, range.low);
  const x = (value: number) => ((value - bottom) / (top - bottom || 1)) * 100;
  return (
    <svg className="rangebar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
      <rect className="track" x="0" y="3" width="100" height="2" />
      <rect className="reach" x={x(range.low)} y="1" width={Math.max(0.5, x(range.high) - x(range.low))} height="6" />
      <rect className="middle" x={x(range.mid) - 0.4} y="0" width="0.8" height="8" />
    </svg>
  );
}
