import type { Zone } from "../api/types";

export function ZonePicker({ zones, zone, onZone }: { zones: Zone[]; zone: string | null; onZone: (id: string) => void }) {
  const served = zones.filter((z) => z.status !== null);
  const shown = served.some((z) => z.id === zone) || zone === null ? served : [{ id: zone, name: zone }, ...served];
  return (
    <label className="picker">
      <span>Zone</span>
      <select data-testid="zone-picker" value={zone ?? ""} onChange={(e) => onZone(e.target.value)} disabled={shown.length === 0}>
        {zone === null && <option value="">loading</option>}
        {shown.map((z) => <option key={z.id} value={z.id}>{z.name === z.id ? z.id : `${z.name} (${z.id})`}</option>)}
      </select>
    </label>
  );
}
