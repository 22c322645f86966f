import { useState } from "react";
import type { Factors, Now, Receipt, Status, Totals, Zone } from "./api/types";
import { mergeNewest } from "./chart/day-data";
import { Assumptions } from "./components/Assumptions";
import { DayPanel } from "./components/DayPanel";
import { ErrorBanner } from "./components/ErrorBanner";
import { Header } from "./components/Header";
import { MarginNow } from "./components/MarginNow";
import { ReceiptPanel } from "./components/ReceiptPanel";
import { ReceiptsTable } from "./components/ReceiptsTable";
import { TotalsStrip } from "./components/TotalsStrip";
import { gasName } from "./format/words";
import { epochS, iso, localDay, usable } from "./format/time";
import { useAnswer } from "./hooks/useAnswer";
import { useEvents } from "./hooks/useEvents";
import { useTick } from "./hooks/useTick";

const ROWS = 50;

export function App() {
  const [picked, setPicked] = useState<string | null>(null);
  const [turn, setTurn] = useState(0);
  const [heardNow, setHeardNow] = useState<Now | null>(null);
  const [heardReceipts, setHeardReceipts] = useState<Receipt[]>([]);
  const [heardTotals, setHeardTotals] = useState<Totals | null>(null);
  const [heard_ms, setHeardMs] = useState<number | null>(null);
  const [open, setOpen] = useState<Receipt | null>(null);
  const now_ms = useTick(1000);
  const minute = Math.floor(now_ms / 60000);

  const status = useAnswer<Status>("v1/status", turn);
  const zones = useAnswer<{ zones: Zone[] }>("v1/zones", turn);
  const zone = picked ?? status.value?.zone ?? null;
  const about = zones.value?.zones?.find((z) => z.id === zone) ?? null;
  const timeZone = usable(about?.timezone);
  const at = zone ? `v1/zones/${encodeURIComponent(zone)}` : null;
  const asked = useAnswer<Now>(at && `${at}/now`, turn * 1e9 + minute);

  const link = useEvents({
    onReceipts: (receipts, totals) => {
      setHeardReceipts((was) => mergeNewest(receipts, was, ROWS));
      if (totals) setHeardTotals(totals);
      setHeardMs(Date.now());
    },
    onNow: (now) => { setHeardNow(now); setHeardMs(Date.now()); },
    onConnected: () => { setHeardNow(null); setHeardTotals(null); setTurn((t) => t + 1); },
  });
  const receipts = useAnswer<{ receipts: Receipt[] }>(`v1/receipts?limit=${ROWS}`, turn);
  const totals = useAnswer<Totals>("v1/totals", turn);

  const heard = heardNow?.zone === zone ? heardNow : null;
  const now = heard && (epochS(heard.interval.start_utc) ?? 0) >= (epochS(asked.value?.interval?.start_utc) ?? 0) ? heard : asked.value;
  // What stands behind the zone that is shown; the server's own source speaks for its own zone alone.
  const source = now?.source ?? (zone === status.value?.zone ? status.value?.source ?? null : null);
  const primary = now?.primary ?? "regression";
  const today = localDay(minute * 60, timeZone);
  const factorsPath = at && zones.value && now
    ? `${at}/factors?start=${iso(today.start_epoch_s)}&end=${iso(today.end_epoch_s)}&estimator=${encodeURIComponent(primary)}`
    : null;
  const factors = useAnswer<Factors>(factorsPath, turn * 1e9 + Math.floor(minute / 5));

  const gas = gasName(now?.marginal?.[0]?.basis?.gases);
  const rows = mergeNewest(heardReceipts, receipts.value?.receipts ?? [], ROWS);
  const updated_ms = Math.max(heard_ms ?? 0, asked.answered_ms ?? 0) || null;
  const error = status.error ?? zones.error ?? asked.error ?? factors.error ?? receipts.error ?? totals.error;

  return (
    <>
      <a className="skip" href="#main">Skip to the figures</a>
      <Header status={status.value} source={source} zones={zones.value?.zones ?? []} zone={zone} onZone={setPicked} now_ms={now_ms} updated_ms={updated_ms} timeZone={timeZone} link={link} />
      <main id="main" tabIndex={-1}>
        <ErrorBanner error={error} lost={link === "lost"} />
        <div className="two">
          <MarginNow now={now} loading={asked.loading} gas={gas} timeZone={timeZone} />
          <DayPanel factors={factors.value} loading={factors.loading && !factors.error && !asked.error} today={today} now_epoch_s={minute * 60} timeZone={timeZone} gas={gas} estimator={primary} />
        </div>
        <TotalsStrip totals={heardTotals ?? totals.value} gas={gas} timeZone={timeZone} />
        <ReceiptsTable receipts={rows} loading={receipts.loading} gas={gas} timeZone={timeZone} streamKind={status.value?.stream?.kind ?? "none"} onOpen={setOpen} openId={open?.receipt_id ?? null} />
        <Assumptions status={status.value} />
      </main>
      {open && <ReceiptPanel receipt={open} gas={gas} timeZone={timeZone} onClose={() => setOpen(null)} />}
    </>
  );
}
