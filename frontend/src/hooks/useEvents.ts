import { useEffect, useEffectEvent, useState } from "react";
import type { Now, Receipt, Totals } from "../api/types";

export interface Listeners {
  onReceipts: (receipts: Receipt[], totals: Totals | null) => void;
  onNow: (now: Now) => void;
  onConnected: () => void;
}
export type Link = "connecting" | "connected" | "lost";

const RETRY_MS = 3000;

/** Listen to the server; where the browser gives up we try again. */
export function useEvents(listeners: Listeners): Link {
  const [link, setLink] = useState<Link>("connecting");
  const hear = useEffectEvent((name: "receipts" | "now", text: string) => {
    try {
      const data = JSON.parse(text);
      if (name === "now") listeners.onNow(data);
      else listeners.onReceipts(data.receipts ?? [], data.totals ?? null);
    } catch {
      // An event cut short; the next one, or the answer asked after reconnecting, holds the same facts.
    }
  });
  const connected = useEffectEvent(() => listeners.onConnected());
  useEffect(() => {
    let source: EventSource | null = null;
    let timer = 0;
    const open = () => {
      source = new EventSource("v1/events");
      source.onopen = () => { setLink("connected"); connected(); };
      source.onerror = () => {
        setLink("lost");
        if (source?.readyState === EventSource.CLOSED) timer = window.setTimeout(open, RETRY_MS);
      };
      source.addEventListener("receipts", (e) => hear("receipts", (e as MessageEvent).data));
      source.addEventListener("now", (e) => hear("now", (e as MessageEvent).data));
    };
    open();
    return () => { window.clearTimeout(timer); source?.close(); };
  }, []);
  return link;
}
