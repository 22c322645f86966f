import { useEffect, useRef } from "react";
import type { Explanation, Receipt } from "../api/types";
import { energy, mass, massUnit, seconds, span, usd } from "../format/quantity";
import { clock, day } from "../format/time";
import { plain } from "../format/words";
import { useAnswer } from "../hooks/useAnswer";
import { CopyButton } from "./CopyButton";
import { ExplainSteps } from "./ExplainSteps";
import { SliceTable } from "./SliceTable";
import { VarianceBar } from "./VarianceBar";

export function ReceiptPanel({ receipt: r, gas, timeZone, onClose }: { receipt: Receipt; gas: string; timeZone: string; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const explanation = useAnswer<Explanation>(`v1/receipts/${encodeURIComponent(r.receipt_id)}/explain`);
  useEffect(() => { const shown = dialog.current; shown?.showModal(); return () => shown?.close(); }, []);
  const unit = massUnit([r.marginal_gco2?.mid]);
  return (
    <dialog ref={dialog} className="panel" data-testid="receipt-panel" aria-labelledby="receipt-title" onCancel={(e) => { e.preventDefault(); onClose(); }} onClick={(e) => { if (e.target === dialog.current) onClose(); }}>
      <div className="inside">
        <div className="panelhead"><h2 id="receipt-title">Receipt</h2><CopyButton text={JSON.stringify(r, null, 2)} /><button type="button" onClick={onClose}>Close</button></div>
        <p className="quiet id">{r.receipt_id}</p>
        <p className="big small"><span className="num">{mass(r.marginal_gco2?.mid)}</span> <span className="unit">{gas}, {span(r.marginal_gco2, unit)} {unit.name}</span></p>
        <p className="average"><b className="num">{mass(r.average_gco2?.mid)}</b> <span className="tag">average — not marginal</span></p>
        {r.synthetic && <p className="note">This request is synthetic.</p>}
        <dl className="facts">
          <div><dt>ended</dt><dd>{day(r.end_utc, timeZone)} {clock(r.end_utc, timeZone)} local</dd></div>
          <div><dt>latency</dt><dd>{seconds(r.latency_s)}</dd></div>
          <div><dt>energy cost</dt><dd>{usd(r.energy_cost_usd)}</dd></div>
          <div><dt>model</dt><dd>{[r.model, r.endpoint, r.device].filter(Boolean).join(", ") || "–"}</dd></div>
          <div><dt>status</dt><dd>{[plain(r.status), plain(r.alignment)].filter(Boolean).join(", ") || "–"}</dd></div>
        </dl>
        <h3>Energy</h3>
        <dl className="facts">
          {Object.entries(r.energy_j ?? {}).map(([name, value]) => <div key={name}><dt>{plain(name)}</dt><dd className="num">{energy(value)}</dd></div>)}
          <div><dt>charged at the device</dt><dd className="num">{energy(r.charged_energy_j)}</dd></div>
          <div><dt>with host and PUE</dt><dd className="num">{energy(r.plug_energy_j)}</dd></div>
        </dl>
        <VarianceBar parts={r.variance_frac ?? {}} />
        <SliceTable slices={r.slices ?? []} timeZone={timeZone} />
        <h3>Ledger entries</h3>
        <ul className="ids">{(r.entry_ids ?? []).map((id) => <li key={id}><code>{id}</code></li>)}</ul>
        <ExplainSteps explanation={explanation.value} error={explanation.error} />
      </div>
    </dialog>
  );
}
