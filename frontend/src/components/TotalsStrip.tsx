import type { Totals } from "../api/types";
import { energy, inUnit, massUnit, span, usd, whole } from "../format/quantity";
import { day, hourMinute } from "../format/time";

export function TotalsStrip({ totals, gas, timeZone }: { totals: Totals | null; gas: string; timeZone: string }) {
  const unit = massUnit([totals?.marginal_gco2?.mid]);
  return (
    <section className="card totals" data-testid="totals" aria-label="Totals" data-requests={totals?.requests ?? ""}>
      <dl>
        <div><dt>requests</dt><dd className="num">{whole(totals?.requests)}</dd></div>
        <div><dt>energy at the device</dt><dd className="num">{energy(totals?.energy_j)}</dd></div>
        <div><dt>energy with host and PUE</dt><dd className="num">{energy(totals?.plug_energy_j)}</dd></div>
        <div><dt>marginal {gas}</dt><dd className="num">{inUnit(totals?.marginal_gco2?.mid, unit)} {unit.name}<small>{span(totals?.marginal_gco2, unit)}</small></dd></div>
        <div className="beside"><dt>average {gas} — beside, never added</dt><dd className="num">{inUnit(totals?.average_gco2?.mid, unit)} {unit.name}</dd></div>
        <div><dt>energy cost</dt><dd className="num">{usd(totals?.energy_cost_usd)}</dd></div>
      </dl>
      {totals?.since_utc && <p className="quiet">since {day(totals.since_utc, timeZone)} {hourMinute(totals.since_utc, timeZone)} local</p>}
    </section>
  );
}
