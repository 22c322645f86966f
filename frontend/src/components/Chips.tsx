import type { Estimate } from "../api/types";
import { plain } from "../format/words";

export function Chips({ estimate }: { estimate: Estimate }) {
  const basis = Object.entries(estimate.basis ?? {}).filter(([key]) => key !== "kind");
  const chips = [["status", estimate.status], ["regime", estimate.regime], ...basis].filter(([, value]) => value);
  return <ul className="chips">{chips.map(([key, value]) => <li key={key}><span className="quiet">{key}</span> {plain(value)}</li>)}</ul>;
}
