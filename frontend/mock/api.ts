// Made-up answers for working on the page without a server. The numbers are round and fake on purpose.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Plugin } from "vite";

const SLOT_S = 900;
const range = (mid: number, spread = 0.2) => ({ low: mid * (1 - spread), mid, high: mid * (1 + spread) });
const utc = (epoch_s: number) => new Date(epoch_s * 1000).toISOString();
const wave = (epoch_s: number) => 500 + 100 * Math.round(2 * Math.sin((epoch_s / 86400) * 2 * Math.PI));

function estimate(estimator: string, mid: number, kind: string) {
  return {
    estimator, estimator_version: "0", factor_gco2_per_kwh: range(mid, kind === "average" ? 0.02 : 0.2),
    sources: kind === "average" ? [] : [
      { name: "gas", probability: 0.7, factor_gco2_per_kwh: 400 },
      { name: "coal", probability: 0.2, factor_gco2_per_kwh: 1000 },
      { name: "wind", probability: 0.1, factor_gco2_per_kwh: 0 },
    ],
    basis: { kind, horizon: "short_run", gases: "co2", boundary: "stack", view: "production" },
    regime: "mock", status: "modelled", entry_id: "mock-entry-1", recorded_utc: utc(1.7e9),
    evidence: { train_start_utc: utc(1.68e9), train_end_utc: utc(1.69e9), n_train: 1000, calibrated_against: "mock measure" },
  };
}

function now(zone: string) {
  const start = Math.floor(Date.now() / 1000 / SLOT_S) * SLOT_S;
  return {
    zone, name: "Mock zone", interval: { start_utc: utc(start), end_utc: utc(start + SLOT_S) }, asked_utc: utc(Date.now() / 1000), status: "modelled",
    note: "fake numbers from the mock", primary: "regression",
    marginal: [estimate("regression", wave(start), "marginal"), estimate("fleet_curve", wave(start) + 50, "marginal")],
    average: estimate("average", 300, "average"), published: null,
    state: { generation_mw: { gas: 1000, coal: 500, wind: 500 }, demand_mw: 2000, completeness_frac: 1, status: "modelled" },
  };
}

let count = 0;
const began = Date.now() / 1000;
function receipt() {
  count += 1;
  const energy = 100 * (1 + (count % 5));
  const end = Date.now() / 1000;
  const grams = (energy / 3.6e6) * 500;
  return {
    receipt_id: `mock-${count}`, request_id: `req-${count}`, zone: "MOCK-A", device: "mock-gpu", model: "mock-8b", tenant: "mock", endpoint: count % 2 ? "chat" : "code",
    arrival_utc: utc(end - 2), start_utc: utc(end - 2), end_utc: utc(end), latency_s: 2, prompt_tokens: 100 * (count % 7), generated_tokens: 50,
    energy_j: { prefill: energy * 0.2, decode: energy * 0.5, step_fixed: energy * 0.2, loaded_idle: energy * 0.1 }, charged_energy_j: energy, plug_energy_j: energy * 1.5,
    energy_cost_usd: energy * 1e-8, marginal_gco2: range(grams, 0.3), average_gco2: range(grams * 0.6, 0.02),
    variance_frac: { factor: 0.6, energy: 0.3, overhead: 0.1 }, entry_ids: ["mock-entry-1"],
    slices: [{ start_utc: utc(end - 2), energy_j: energy, entry_id: "mock-entry-1", marginal_gco2: range(grams, 0.3) }], status: "modelled", synthetic: true, alignment: null,
  };
}
const kept = Array.from({ length: 8 }, receipt);
const totals = () => ({ requests: count, energy_j: count * 300, plug_energy_j: count * 450, marginal_gco2: range(count * 0.05), average_gco2: range(count * 0.03, 0.02), energy_cost_usd: count * 4e-6, since_utc: utc(began) });

function columns(start: number, end: number, mid: (t: number) => number, estimator: string) {
  const start_epoch_s = Array.from({ length: Math.ceil((end - start) / SLOT_S) }, (_, i) => start + i * SLOT_S);
  const mids = start_epoch_s.map(mid);
  return { estimator, start_epoch_s, mid: mids, low: mids.map((x) => x * 0.8), high: mids.map((x) => x * 1.2), status: mids.map(() => "modelled") };
}

function explain(id: string) {
  return { receipt_id: id, closes: true, steps: [
    { title: "Energy", detail: "the parts add up", equation: "100 + 100 = 200", value: 200, unit: "J", closes: true, cells: [] },
    { title: "Factor", detail: "from the table", equation: null, value: 500, unit: "g/kWh", closes: true, cells: [{ payload_sha256: "0".repeat(64), row: 1, column: "Gas", text: "1000", value: 1000 }] },
  ] };
}

function answer(url: URL): unknown {
  const parts = url.pathname.split("/").slice(2);
  if (parts[0] === "status") return { version: "0.0-mock", now_utc: utc(Date.now() / 1000), zone: "MOCK-A", source: { name: "reference", detail: "fake numbers from the mock" }, stream: { kind: "synthetic", note: "fake requests" }, assumptions: [{ name: "PUE", value: 1.5, source: "mock" }, { name: "boundary", value: "stack", source: "mock" }] };
  if (parts[0] === "zones" && parts.length === 1) return { zones: [["MOCK-A", "Mock zone A", "America/Chicago"], ["MOCK-B", "Mock zone B", "Europe/Berlin"]].map(([id, name, timezone]) => ({ id, name, timezone, kind: "mock", country: "XX", interval_s: SLOT_S, status: "modelled" })) };
  if (parts[0] === "zones" && parts[1] === "MOCK-B") return null;
  if (parts[0] === "zones" && parts[2] === "now") return now(parts[1]!);
  if (parts[0] === "zones" && parts[2] === "factors") {
    const [start, end] = ["start", "end"].map((k) => Date.parse(url.searchParams.get(k)!) / 1000) as [number, number];
    return { zone: parts[1], interval_s: SLOT_S, marginal: columns(start, end, wave, "regression"), average: columns(start, end, () => 300, "average"), stands_in: { kind: "typical", start_utc: utc(start), end_utc: utc(end) } };
  }
  if (parts[0] === "receipts" && parts[2] === "explain") return explain(parts[1]!);
  if (parts[0] === "receipts") return { receipts: kept, next_cursor: null };
  if (parts[0] === "totals") return totals();
  return null;
}

function events(request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  response.write(": hello\n\n");
  const timer = setInterval(() => {
    const fresh = receipt();
    kept.unshift(fresh);
    kept.length = Math.min(kept.length, 50);
    response.write(`event: receipts\ndata: ${JSON.stringify({ receipts: [fresh], totals: totals() })}\n\n`);
  }, 2000);
  request.on("close", () => clearInterval(timer));
}

export function mockApi(): Plugin {
  const serve = (request: IncomingMessage, response: ServerResponse, next: () => void) => {
    const url = new URL(request.url ?? "/", "http://mock");
    if (!url.pathname.startsWith("/v1/")) return next();
    if (url.pathname === "/v1/events") return events(request, response);
    const found = answer(url);
    response.writeHead(found === null ? 404 : 200, { "content-type": "application/json" });
    response.end(JSON.stringify(found ?? { error: { code: "NotFound", message: `the mock has nothing at ${url.pathname}`, way_out: "pick Mock zone A" } }));
  };
  return {
    name: "gridmargin-mock",
    configureServer: (server) => void server.middlewares.use(serve),
    configurePreviewServer: (server) => void server.middlewares.use(serve),
  };
}
