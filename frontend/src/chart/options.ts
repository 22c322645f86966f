// How the day chart is drawn.
import uPlot from "uplot";

export interface Palette { marginal: string; band: string; average: string; ink: string; line: string }

export function readPalette(element: Element): Palette {
  const style = getComputedStyle(element);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  return { marginal: colour("--marginal"), band: colour("--band"), average: colour("--average"), ink: colour("--quiet"), line: colour("--line") };
}

interface Wanted {
  width: number; height: number; start_epoch_s: number; end_epoch_s: number; timeZone: string; standIn: boolean; palette: Palette;
  now: () => number; onCursor: (index: number | null) => void;
}

const HATCH_PX = 14;

/** Mark the whole plot as a stand-in, behind the lines: slanted rules and the word. */
function hatch(u: uPlot, rule: string, ink: string): void {
  const { left, top, width, height } = u.bbox;
  const step = HATCH_PX * uPlot.pxRatio;
  u.ctx.save();
  u.ctx.beginPath();
  u.ctx.rect(left, top, width, height);
  u.ctx.clip();
  u.ctx.strokeStyle = rule;
  u.ctx.lineWidth = uPlot.pxRatio;
  u.ctx.beginPath();
  for (let x = left - height; x < left + width; x += step) {
    u.ctx.moveTo(x, top + height);
    u.ctx.lineTo(x + height, top);
  }
  u.ctx.stroke();
  u.ctx.fillStyle = ink;
  u.ctx.font = `600 ${13 * uPlot.pxRatio}px system-ui, sans-serif`;
  u.ctx.textAlign = "right";
  u.ctx.fillText("stand-in", left + width - 6 * uPlot.pxRatio, top + height - 8 * uPlot.pxRatio);
  u.ctx.restore();
}

export function chartOptions(w: Wanted): uPlot.Options {
  const stepped = uPlot.paths.stepped!({ align: 1 });
  const font = "12px system-ui, sans-serif";
  const line = (stroke: string, width: number, dash?: number[]): uPlot.Series => ({ stroke, width, dash, paths: stepped, points: { show: false } });
  const axis: uPlot.Axis = { stroke: w.palette.ink, font, grid: { stroke: w.palette.line, width: 1 }, ticks: { show: false } };
  const hour = new Intl.DateTimeFormat("en-GB", { timeZone: w.timeZone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  return {
    width: w.width,
    height: w.height,
    tzDate: (epoch_s) => uPlot.tzDate(new Date(epoch_s * 1000), w.timeZone),
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
    scales: {
      x: { time: true, range: [w.start_epoch_s, w.end_epoch_s] },
      y: { range: (_u, low, high) => [Math.min(0, low ?? 0), Math.max(1, (high ?? 1) * 1.08)] },
    },
    axes: [
      { ...axis, space: 56, incrs: [3600, 7200, 10800, 14400, 21600], values: (_u, splits) => splits.map((s) => hour.format(s * 1000)) },
      { ...axis, size: 48 },
    ],
    series: [{}, line("transparent", 0), line("transparent", 0), line(w.palette.marginal, 2), line(w.palette.average, 2, [6, 5])],
    bands: [{ series: [1, 2], fill: w.palette.band }],
    hooks: {
      setCursor: [(u) => w.onCursor(u.cursor.idx ?? null)],
      drawClear: [(u) => { if (w.standIn) hatch(u, w.palette.line, w.palette.ink); }],
      draw: [(u) => {
        const now = w.now();
        if (now < w.start_epoch_s || now > w.end_epoch_s) return;
        const x = Math.round(u.valToPos(now, "x", true));
        const { top, height } = u.bbox;
        u.ctx.save();
        u.ctx.strokeStyle = u.ctx.fillStyle = w.palette.ink;
        u.ctx.lineWidth = uPlot.pxRatio;
        u.ctx.beginPath();
        u.ctx.moveTo(x, top);
        u.ctx.lineTo(x, top + height);
        u.ctx.stroke();
        u.ctx.font = `${12 * uPlot.pxRatio}px system-ui, sans-serif`;
        const right = x > u.bbox.left + u.bbox.width - 40 * uPlot.pxRatio;
        u.ctx.textAlign = right ? "right" : "left";
        u.ctx.fillText("now", x + (right ? -4 : 4) * uPlot.pxRatio, top + 12 * uPlot.pxRatio);
        u.ctx.restore();
      }],
    },
  };
}
