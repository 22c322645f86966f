import type { Evidence } from "../api/types";
import { day, epochS } from "../format/time";
import { digits } from "../format/quantity";
import { plain, valueWords } from "../format/words";

export function EvidenceLine({ evidence, timeZone }: { evidence: Evidence | null | undefined; timeZone: string }) {
  if (!evidence) return null;
  const [start, end] = [epochS(evidence.train_start_utc), epochS(evidence.train_end_utc)];
  const said: string[] = [];
  if (start !== null && end !== null) said.push(`fit on ${Math.round((end - start) / 86400)} days to ${day(end, timeZone)}`);
  if (evidence.n_train) said.push(`${digits(evidence.n_train, 1)} rows`);
  if (evidence.calibrated_against) said.push(`range from ${plain(valueWords(evidence.calibrated_against))}`);
  return said.length ? <p className="evidence quiet">{said.join(" · ")}</p> : null;
}
