import type { Slice } from "../api/types";
import { energy, mass } from "../format/quantity";
import { clock } from "../format/time";

export function SliceTable({ slices, timeZone }: { slices: Slice[]; timeZone: string }) {
  if (slices.length === 0) return null;
  const grams = (s: Slice) => (typeof s.marginal_gco2 === "number" ? s.marginal_gco2 : s.marginal_gco2?.mid);
  return (
    <>
      <h3>Slices</h3>
      <div className="scroll" tabIndex={0} role="region" aria-label="Slices"><table>
        <thead><tr><th scope="col">from (local)</th><th scope="col">energy</th><th scope="col">marginal</th><th scope="col" className="text">entry</th></tr></thead>
        <tbody>{slices.map((s, i) => <tr key={i}><td>{clock(s.start_utc, timeZone)}</td><td>{energy(s.energy_j)}</td><td>{mass(grams(s))}</td><td className="text"><code>{s.entry_id ?? "–"}</code></td></tr>)}</tbody>
      </table></div>
    </>
  );
}
