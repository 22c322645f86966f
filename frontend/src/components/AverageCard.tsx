import type { Estimate } from "../api/types";
import { digits } from "../format/quantity";

export function AverageCard({ average, gas }: { average: Estimate; gas: string }) {
  return (
    <p className="average"><b className="num" data-testid="average-factor">{digits(average.factor_gco2_per_kwh.mid)}</b> g {gas} per kWh <span className="tag">average — not marginal</span></p>
  );
}
