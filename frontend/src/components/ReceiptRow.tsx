import { memo } from "react";
import type { Receipt } from "../api/types";
import { inUnit, seconds, span, usd, whole, type Unit } from "../format/quantity";
import { clock } from "../format/time";

interface Props { receipt: Receipt; mass: Unit; joule: Unit; timeZone: string; onOpen: (r: Receipt) => void; open: boolean }

export const ReceiptRow = memo(function ReceiptRow({ receipt: r, mass, joule, timeZone, onOpen, open }: Props) {
  return (
    <tr data-testid="receipt-row" data-receipt={r.receipt_id} className={open ? "open" : undefined} onClick={() => onOpen(r)}>
      <td><button type="button" className="rowbutton num" aria-haspopup="dialog" aria-label={`Receipt of ${clock(r.end_utc, timeZone)}`} onClick={(e) => { e.stopPropagation(); onOpen(r); }}>{clock(r.end_utc, timeZone)}</button></td>
      <td className="text">{r.endpoint ?? r.tenant ?? ""} <span className="quiet">{r.model ?? ""}</span></td>
      <td>{whole(r.prompt_tokens)} / {whole(r.generated_tokens)}</td>
      <td><b>{inUnit(r.marginal_gco2?.mid, mass)}</b></td>
      <td className="quiet">{span(r.marginal_gco2, mass)}</td>
      <td>{seconds(r.latency_s)}</td>
      <td>{inUnit(r.plug_energy_j ?? r.charged_energy_j, joule)}</td>
      <td>{usd(r.energy_cost_usd)}</td>
      <td className="beside">{inUnit(r.average_gco2?.mid, mass)}</td>
    </tr>
  );
});
