import { useEffect, useState } from "react";

/** The clock of this browser, moved on every `every_ms`. [ms] */
export function useTick(every_ms: number): number {
  const [now_ms, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = window.setInterval(() => setNow(Date.now()), every_ms);
    return () => window.clearInterval(timer);
  }, [every_ms]);
  return now_ms;
}
