import { useEffect, useRef, useState } from "react";
import uPlot from "uplot";
import type { DayData } from "../chart/day-data";
import { chartOptions, readPalette } from "../chart/options";
import { digits } from "../format/quantity";
import { hourMinute } from "../format/time";

interface Props { data: DayData; start_epoch_s: number; end_epoch_s: number; now_epoch_s: number; timeZone: string; gas: string; standIn: boolean }

export function DayChart({ data, start_epoch_s, end_epoch_s, now_epoch_s, timeZone, gas, standIn }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const now = useRef(now_epoch_s);
  const [at, setAt] = useState<number | null>(null);
  const [dark, setDark] = useState(() => matchMedia("(prefers-color-scheme: dark)").matches);

  useEffect(() => {
    const query = matchMedia("(prefers-color-scheme: dark)");
    const changed = () => setDark(query.matches);
    query.addEventListener("change", changed);
    return () => query.removeEventListener("change", changed);
  }, []);

  useEffect(() => {
    const box = place.current!;
    const size = () => ({ width: Math.max(200, box.clientWidth), height: box.clientWidth < 480 ? 220 : 300 });
    const columns = [data.start_epoch_s, data.high, data.low, data.mid, data.average] as uPlot.AlignedData;
    const made = new uPlot(chartOptions({ ...size(), start_epoch_s, end_epoch_s, timeZone, standIn, palette: readPalette(box), now: () => now.current, onCursor: setAt }), columns, box);
    plot.current = made;
    const watch = new ResizeObserver(() => { if (box.clientWidth !== made.width) made.setSize(size()); });
    watch.observe(box);
    return () => { watch.disconnect(); made.destroy(); plot.current = null; };
  }, [data, start_epoch_s, end_epoch_s, timeZone, standIn, dark]);

  useEffect(() => { now.current = now_epoch_s; plot.current?.redraw(false); }, [now_epoch_s]);

  return (
    <>
      <div ref={place} className="plot" role="img" aria-label={`${standIn ? "A stand-in, not the day itself. " : ""}Marginal factor with its range and the average over the day, in grams ${gas} per kilowatt-hour. The same figures are in the table below.`} />
      <p className="readout num" data-testid="chart-readout">
        {at === null ? <><span className="key marginal-key" /> marginal with 90 % range <span className="key average-key" /> average — not marginal</> : (
          <>{hourMinute(data.start_epoch_s[at], timeZone)} local: marginal <b>{digits(data.mid[at])}</b> ({digits(data.low[at])} to {digits(data.high[at])}), average {digits(data.average[at])} g/kWh</>
        )}
      </p>
    </>
  );
}
