import type { Estimate } from "../api/types";
import { digits, span } from "../format/quantity";
import { plain } from "../format/words";
import { RangeBar } from "./RangeBar";

export function OtherEstimates({ estimates, top }: { estimates: Estimate[]; top: number }) {
  return estimates.map((e) => (
    <div className="other" key={`${e.estimator}-${e.entry_id}`} data-testid="other-estimate" data-estimator={e.estimator}>
      <span>{plain(e.estimator)} <span className="quiet">says</span> <b className="num">{digits(e.factor_gco2_per_kwh.mid)}</b> <span className="quiet num">({span(e.factor_gco2_per_kwh)})</span></span>
      <RangeBar range={e.factor_gco2_per_kwh} top={top} />
    </div>
  ));
}
