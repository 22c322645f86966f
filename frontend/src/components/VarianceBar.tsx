import { percent } from "../format/quantity";
import { plain } from "../format/words";

/** Which part of the range comes from where. */
export function VarianceBar({ parts }: { parts: Record<string, number | null> }) {
  const shares = Object.entries(parts).filter((p): p is [string, number] => (p[1] ?? 0) > 0);
  if (shares.length === 0) return null;
  let from = 0;
  return (
    <>
      <h3>Where the range comes from</h3>
      <svg className="mix thin" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
        {shares.map(([name, frac], i) => { const x = from; from += frac * 100; return <rect key={name} className={`part-${i % 4}`} x={x} y="0" width={Math.max(0, frac * 100 - 0.4)} height="10" />; })}
      </svg>
      <ul className="legend">{shares.map(([name, frac], i) => <li key={name}><svg className="swatch" viewBox="0 0 10 10" aria-hidden="true"><rect className={`part-${i % 4}`} width="10" height="10" rx="2" /></svg>{plain(name)} <b className="num">{percent(frac)}</b></li>)}</ul>
    </>
  );
}
