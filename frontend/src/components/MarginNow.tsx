import type { Now } from "../api/types";
import { digits, span } from "../format/quantity";
import { hourMinute } from "../format/time";
import { plain } from "../format/words";
import { AverageCard } from "./AverageCard";
import { Chips } from "./Chips";
import { EvidenceLine } from "./EvidenceLine";
import { OtherEstimates } from "./OtherEstimates";
import { RangeBar } from "./RangeBar";
import { SourceMix } from "./SourceMix";

export function MarginNow({ now, loading, gas, timeZone }: { now: Now | null; loading: boolean; gas: string; timeZone: string }) {
  const marginal = now?.marginal ?? [];
  const main = marginal.find((e) => e.estimator === now?.primary) ?? marginal[0] ?? null;
  const top = Math.max(1, ...marginal.map((e) => e.factor_gco2_per_kwh.high ?? 0), now?.average?.factor_gco2_per_kwh.high ?? 0) * 1.05;
  return (
    <section className="card" aria-labelledby="margin-title">
      <h2 id="margin-title">The margin now</h2>
      {!now && <p className="quiet">{loading ? "Asking for the margin…" : "No margin to show; the message above says why."}</p>}
      {now && <p className="quiet">{now.name ?? now.zone}, {hourMinute(now.interval.start_utc, timeZone)} to {hourMinute(now.interval.end_utc, timeZone)} local</p>}
      {now?.note && <p className="note">{now.note}</p>}
      {now && !main && <p>No marginal estimate for this interval.</p>}
      {main && (
        <>
          <p className="big"><span data-testid="factor-mid" className="num">{digits(main.factor_gco2_per_kwh.mid)}</span> <span className="unit">g {gas} per kWh</span></p>
          <p data-testid="factor-range" className="num">{span(main.factor_gco2_per_kwh)} <span className="quiet">90 % range, {plain(main.estimator)}</span></p>
          <RangeBar range={main.factor_gco2_per_kwh} top={top} />
          <SourceMix sources={main.sources ?? []} />
          <OtherEstimates estimates={marginal.filter((e) => e !== main)} top={top} />
        </>
      )}
      {now?.average && <AverageCard average={now.average} gas={gas} />}
      {now?.published && <p className="quiet">Published marginal rate: <b className="num">{digits(now.published.factor_gco2_per_kwh)}</b> g/kWh{now.published.by ? ` (${now.published.by})` : ""}</p>}
      {main && <><Chips estimate={main} /><EvidenceLine evidence={main.evidence} timeZone={timeZone} /></>}
    </section>
  );
}
