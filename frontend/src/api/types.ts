// What the REST interface answers. Every field that a server may leave out is optional or null.

export interface Range { low: number | null; mid: number | null; high: number | null }
export interface ErrorBody { error: { code: string; message: string; way_out?: string | null } }

export interface Assumption { name: string; value: unknown; source?: string | null }
export interface Source { name: string; detail?: string | null }

export interface Status {
  version: string;
  now_utc: string;
  source: Source;
  stream?: { kind: "synthetic" | "none" | "log" | string; note?: string | null } | null;
  zone: string;
  zones?: string[];
  assumptions?: Assumption[] | null;
}

export interface Zone {
  id: string;
  name: string;
  kind?: string | null;
  country?: string | null;
  timezone?: string | null;
  interval_s?: number | null;
  status?: string | null;
}

export interface MarginSource { name: string; probability: number; factor_gco2_per_kwh: number | null }
export interface Evidence {
  train_start_utc?: string | null;
  train_end_utc?: string | null;
  n_train?: number | null;
  calibrated_against?: unknown;
  [key: string]: unknown;
}
export interface Estimate {
  estimator: string;
  estimator_version?: string | null;
  factor_gco2_per_kwh: Range;
  sources?: MarginSource[] | null;
  basis?: Record<string, string> | null;
  regime?: string | null;
  status?: string | null;
  entry_id?: string | null;
  recorded_utc?: string | null;
  evidence?: Evidence | null;
}
export interface Now {
  zone: string;
  name?: string | null;
  interval: { start_utc: string; end_utc: string };
  asked_utc?: string | null;
  status?: string | null;
  source?: Source | null;
  note?: string | null;
  primary?: string | null;
  marginal: Estimate[];
  average: Estimate | null;
  published?: { factor_gco2_per_kwh: number | null; by?: string } | null;
  state?: { generation_mw?: Record<string, number | null>; demand_mw?: number | null; completeness_frac?: number | null; status?: string } | null;
}

export interface Columns {
  estimator: string;
  start_epoch_s: number[];
  mid: (number | null)[];
  low?: (number | null)[];
  high?: (number | null)[];
  status?: (string | number)[];
}
/** What is shown in place of what happened: a `recorded` stretch of another time, or a `typical` modelled day. */
export interface StandIn { kind: "recorded" | "typical"; start_utc: string; end_utc: string }
export interface Factors { zone: string; interval_s: number; marginal: Columns; average: Columns | null; stands_in?: StandIn | null }

export interface Slice { start_utc?: string; energy_j?: number | null; entry_id?: string | null; marginal_gco2?: Range | number | null }
export interface Receipt {
  receipt_id: string;
  request_id?: string | null;
  zone?: string | null;
  device?: string | null;
  model?: string | null;
  tenant?: string | null;
  endpoint?: string | null;
  arrival_utc?: string | null;
  start_utc?: string | null;
  end_utc?: string | null;
  latency_s?: number | null;
  prompt_tokens?: number | null;
  generated_tokens?: number | null;
  energy_j?: Record<string, number | null> | null;
  charged_energy_j?: number | null;
  plug_energy_j?: number | null;
  energy_cost_usd?: number | null;
  marginal_gco2?: Range | null;
  average_gco2?: Range | null;
  variance_frac?: Record<string, number | null> | null;
  entry_ids?: string[] | null;
  slices?: Slice[] | null;
  status?: string | null;
  synthetic?: boolean | null;
  alignment?: string | null;
}

export interface Totals {
  requests: number;
  energy_j?: number | null;
  plug_energy_j?: number | null;
  marginal_gco2?: Range | null;
  average_gco2?: Range | null;
  energy_cost_usd?: number | null;
  since_utc?: string | null;
}

export interface Cell { payload_sha256?: string; row?: number | string; column?: string; text?: string | null; value?: number | null }
export interface Step { title: string; detail?: string | null; equation?: string | null; value?: unknown; unit?: string | null; closes?: boolean | null; cells?: Cell[] | null }
export interface Explanation { receipt_id: string; steps: Step[]; closes: boolean; unverified?: string[] }
