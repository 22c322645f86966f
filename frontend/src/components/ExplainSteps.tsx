import type { ApiError } from "../api/client";
import type { Explanation, Step } from "../api/types";
import { digits } from "../format/quantity";
import { valueWords } from "../format/words";

const shown = (step: Step) => (typeof step.value === "number" ? digits(step.value, 4) : valueWords(step.value));

function verdict(explanation: Explanation): string {
  if (!explanation.closes) return "✗ A step does not close; see below.";
  const open = explanation.unverified ?? [];
  return open.length ? `✓ Every step that could be checked closes; not checked: ${open.join(", ")}.` : "✓ Every step closes.";
}

export function ExplainSteps({ explanation, error }: { explanation: Explanation | null; error: ApiError | null }) {
  return (
    <div data-testid="explain" data-closes={explanation?.closes ?? ""}>
      <h3>From the raw cells to this number</h3>
      {error && <p className="note">{error.message} {error.wayOut}</p>}
      {!explanation && !error && <p className="quiet">Tracing…</p>}
      {explanation && <p>{verdict(explanation)}</p>}
      <ol className="steps">{(explanation?.steps ?? []).map((s, i) => (
        <li key={i}>
          <b>{s.title}</b>{s.value !== null && s.value !== undefined && <span className="num"> {shown(s)} {s.unit ?? ""}</span>}{s.closes === false && <strong> ✗ does not close</strong>}{s.closes === null && <em className="quiet"> not checked</em>}
          {s.detail && <div className="quiet">{s.detail}</div>}
          {s.equation && <code className="equation">{s.equation}</code>}
          {(s.cells ?? []).length > 0 && <details><summary>{s.cells!.length} cells</summary><ul className="ids">{s.cells!.map((c, j) => <li key={j}><code>{(c.payload_sha256 ?? "").slice(0, 12)} row {c.row} {c.column}: {c.text ?? valueWords(c.value)}</code></li>)}</ul></details>}
        </li>
      ))}</ol>
    </div>
  );
}
