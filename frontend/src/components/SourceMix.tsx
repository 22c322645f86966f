import type { MarginSource } from "../api/types";
import { digits, percent } from "../format/quantity";
import { plain } from "../format/words";

const KNOWN = ["gas", "coal", "oil", "wind", "solar", "hydro", "nuclear", "biomass", "import", "storage"];
export const fuelClass = (name: string): string => `fuel-${KNOWN.find((k) => name.toLowerCase().includes(k)) ?? "other"}`;

/** What would have answered one more kilowatt-hour, and how likely. */
export function SourceMix({ sources }: { sources: MarginSource[] }) {
  const ranked = sources.filter((s) => s.probability > 0).sort((a, b) => b.probability - a.probability);
  let from = 0;
  return (
    <div data-testid="margin-sources">
      <h3>On the margin</h3>
      {ranked.length === 0 ? <p className="quiet">This estimator does not say which source.</p> : (
        <>
          <svg className="mix" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
            {ranked.map((s) => {
              const x = from;
              from += s.probability * 100;
              return <rect key={s.name} className={fuelClass(s.name)} x={x} y="0" width={Math.max(0, s.probability * 100 - 0.4)} height="10" />;
            })}
          </svg>
          <ul className="legend">
            {ranked.map((s) => (
              <li key={s.name} data-source={s.name}>
                <svg className="swatch" viewBox="0 0 10 10" aria-hidden="true"><rect className={fuelClass(s.name)} width="10" height="10" rx="2" /></svg>
                {plain(s.name)} <b className="num">{percent(s.probability)}</b> <span className="quiet num">{digits(s.factor_gco2_per_kwh)} g/kWh</span>
              </li>
            ))}
          </ul>
        </>
      )}
    </div>
  );
}
