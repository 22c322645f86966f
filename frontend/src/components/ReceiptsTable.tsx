import type { Receipt } from "../api/types";
import { energyUnit, massUnit } from "../format/quantity";
import { ReceiptRow } from "./ReceiptRow";

interface Props { receipts: Receipt[]; loading: boolean; gas: string; timeZone: string; streamKind: string; onOpen: (r: Receipt) => void; openId: string | null }

export function ReceiptsTable({ receipts, loading, gas, timeZone, streamKind, onOpen, openId }: Props) {
  const mass = massUnit(receipts.map((r) => r.marginal_gco2?.mid));
  const joule = energyUnit(receipts.map((r) => r.plug_energy_j ?? r.charged_energy_j));
  return (
    <section className="card" aria-labelledby="receipts-title">
      <h2 id="receipts-title">Last receipts</h2>
      {receipts.length === 0 ? (
        <p className="empty">{loading ? "Asking for receipts…" : streamKind === "none" ? "No receipts. Price a request log with `gridmargin account`." : "No receipts yet; they appear here as requests end."}</p>
      ) : (
        <div className="scroll" tabIndex={0} role="region" aria-label="Last receipts">
          <table className="receipts" data-testid="receipts-table">
            <thead><tr>
              <th scope="col">ended</th><th scope="col" className="text">request</th><th scope="col">tokens in / out</th><th scope="col">marginal {gas} [{mass.name}]</th><th scope="col">range</th>
              <th scope="col">latency</th><th scope="col">energy [{joule.name}]</th><th scope="col">energy cost</th><th scope="col" className="beside">average [{mass.name}]</th>
            </tr></thead>
            <tbody>{receipts.map((r) => <ReceiptRow key={r.receipt_id} receipt={r} mass={mass} joule={joule} timeZone={timeZone} onOpen={onOpen} open={r.receipt_id === openId} />)}</tbody>
          </table>
        </div>
      )}
    </section>
  );
}
