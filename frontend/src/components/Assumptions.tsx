import type { Status } from "../api/types";
import { plain, valueWords } from "../format/words";

export function Assumptions({ status }: { status: Status | null }) {
  const rows = status?.assumptions ?? [];
  return (
    <details className="card" data-testid="assumptions">
      <summary><h2>Assumptions</h2></summary>
      {status?.stream?.note && <p>{status.stream.note}</p>}
      {rows.length === 0 ? <p className="quiet">The server names none.</p> : (
        <div className="scroll" tabIndex={0} role="region" aria-label="Assumptions"><table>
          <thead><tr><th scope="col" className="text">assumption</th><th scope="col" className="text">value</th><th scope="col" className="text">source</th></tr></thead>
          <tbody>{rows.map((a) => <tr key={a.name}><th scope="row" className="text">{plain(a.name)}</th><td className="text">{valueWords(a.value)}</td><td className="text quiet">{a.source ?? ""}</td></tr>)}</tbody>
        </table></div>
      )}
      <p className="quiet">gridmargin {status?.version ?? ""}</p>
    </details>
  );
}
