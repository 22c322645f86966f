import { useMemo } from "react";
import type { Factors } from "../api/types";
import { dayData, hourlyRows, isEmpty } from "../chart/day-data";
import { digits } from "../format/quantity";
import { day, hourMinute } from "../format/time";
import { plain, standInWords } from "../format/words";
import { DayChart } from "./DayChart";

interface Props { factors: Factors | null; loading: boolean; today: { start_epoch_s: number; end_epoch_s: number }; now_epoch_s: number; timeZone: string; gas: string; estimator: string }

export function DayPanel({ factors, loading, today, now_epoch_s, timeZone, gas, estimator }: Props) {
  const data = useMemo(() => dayData(factors), [factors]);
  const empty = isEmpty(data);
  const standIn = factors?.stands_in ?? null;
  return (
    <section className="card" aria-labelledby="day-title" data-testid="day-chart" data-empty={empty} data-points={data.start_epoch_s.length} data-stands-in={standIn?.kind ?? "no"}>
      <h2 id="day-title">The day</h2>
      <p className="quiet">{day(now_epoch_s, timeZone)}, local time ({timeZone}); g {gas} per kWh, {plain(estimator)}</p>
      {standIn && !empty && <p className="note" data-testid="stand-in">{standInWords(standIn, timeZone)}</p>}
      {empty ? <p className="empty">{loading ? "Asking for the day…" : "No factors for this day."}</p> : (
        <>
          <DayChart data={data} start_epoch_s={today.start_epoch_s} end_epoch_s={today.end_epoch_s} now_epoch_s={now_epoch_s} timeZone={timeZone} gas={gas} standIn={standIn !== null} />
          <details>
            <summary>The day as a table</summary>
            <div className="scroll" tabIndex={0} role="region" aria-label="Factors of the day">
              <table>
                <thead><tr><th scope="col">from (local)</th><th scope="col">marginal</th><th scope="col">low</th><th scope="col">high</th><th scope="col">average</th></tr></thead>
                <tbody>{hourlyRows(factors).map((r) => (
                  <tr key={r.start_epoch_s}><th scope="row">{hourMinute(r.start_epoch_s, timeZone)}</th><td>{digits(r.mid)}</td><td>{digits(r.low)}</td><td>{digits(r.high)}</td><td>{digits(r.average)}</td></tr>
                ))}</tbody>
              </table>
            </div>
          </details>
        </>
      )}
    </section>
  );
}
