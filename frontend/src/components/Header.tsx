import type { Source, Status, Zone } from "../api/types";
import { clock } from "../format/time";
import { sourceWords } from "../format/words";
import type { Link } from "../hooks/useEvents";
import { ZonePicker } from "./ZonePicker";

interface Props { status: Status | null; source: Source | null; zones: Zone[]; zone: string | null; onZone: (id: string) => void; now_ms: number; updated_ms: number | null; timeZone: string; link: Link }
const LINK: Record<Link, string> = { connecting: "connecting", connected: "live", lost: "disconnected, trying again" };

export function Header({ status, source, zones, zone, onZone, now_ms, updated_ms, timeZone, link }: Props) {
  const stream = status?.stream;
  return (
    <header className="top">
      <div className="brand"><h1>gridmargin</h1><span className="quiet">what one inference did to the grid</span></div>
      <ZonePicker zones={zones} zone={zone} onZone={onZone} />
      <div className="badges">
        {source && <span className="badge" data-testid="source-badge" data-source={source.name}>{sourceWords(source.name, source.detail)}</span>}
        {stream && stream.kind !== "none" && (
          <span className={`badge ${stream.kind === "synthetic" ? "caution" : ""}`} data-testid="stream-badge" data-stream={stream.kind} title={stream.note ?? undefined}>
            {stream.kind === "synthetic" ? "synthetic request stream" : `requests: ${stream.kind}`}
          </span>
        )}
      </div>
      <div className="clock" data-testid="clock" data-link={link}>
        <span className={`dot ${link}`} aria-hidden="true" />
        <span role="status" className="link">{LINK[link]}</span>
        <span className="quiet num">{clock(now_ms / 1000, timeZone)} <abbr title="local time of the zone">{timeZone}</abbr>{updated_ms ? ` · updated ${clock(updated_ms / 1000, timeZone)}` : ""}</span>
      </div>
    </header>
  );
}
