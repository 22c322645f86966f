"""Shapes that the API promises."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """A shape that may gain fields but never lose one within /v1."""

    model_config = ConfigDict(extra="allow")


class RangeModel(BaseModel):
    """Central value with its 90 % range."""

    low: float
    mid: float
    high: float


class IntervalModel(BaseModel):
    """Half-open, UTC."""

    start_utc: str
    end_utc: str


class SourceShare(BaseModel):
    """One candidate for the margin."""

    name: str
    probability: float
    factor_gco2_per_kwh: float


class BasisModel(BaseModel):
    """What kind of factor it is; kinds never mix."""

    kind: str
    horizon: str
    gases: str
    boundary: str
    view: str


class MeterDeviceModel(BaseModel):
    """A device that an instrument tells something of."""

    device: str
    model: str | None
    quantities: list[str]
    status: str


class MeterModel(Model):
    """One instrument: its devices, or why it cannot be read and what to do."""

    instrument: str
    sees: str
    resolution_s: float
    fastest_s: float
    way: str | None
    devices: list[MeterDeviceModel]
    missing: str | None
    way_out: str | None


class MetersModel(Model):
    """Every instrument that was looked for."""

    meters: list[MeterModel]


class EntryModel(Model):
    """One ledger entry."""

    entry_id: int
    kind: str
    zone: str
    interval: IntervalModel
    estimator: str
    estimator_version: str
    factor_gco2_per_kwh: RangeModel
    sources: list[SourceShare]
    basis: BasisModel
    regime: str
    status: str
    recorded_utc: str
    supersedes: int | None


class NowModel(Model):
    """What is on the margin; the average stands apart and is never added."""

    zone: str
    name: str
    asked_utc: str
    interval: IntervalModel
    status: str | None
    note: str | None
    faults: list[str]
    primary: str | None
    marginal: list[EntryModel]
    average: EntryModel | None


class FactorModel(Model):
    """One factor, of the interval that holds the moment asked for."""

    zone: str
    interval: IntervalModel
    estimator: str
    entry_id: int
    factor_gco2_per_kwh: RangeModel
    status: str
    stale: bool
    note: str | None


class ForecastStepModel(EntryModel):
    """The forecast of one interval: a ledger entry with the moment of its issue."""

    issued_utc: str
    horizon_min: float


class LowestModel(BaseModel):
    """The interval with the lowest factor."""

    interval: IntervalModel
    factor_gco2_per_kwh: RangeModel


class ForecastModel(Model):
    """One issue, every interval of it."""

    zone: str
    name: str
    issued_utc: str
    recorded_utc: str
    estimator: str
    source: str | None
    lowest: LowestModel
    forecasts: list[ForecastStepModel]


class IssuedModel(ForecastModel):
    """An issue that was asked for; `n_new` is 0 where the ledger held it."""

    hours: int
    note: str | None
    n_new: int


class IssueModel(BaseModel):
    """What to issue: now, or `at` a moment of the past; 1 to 72 hours ahead."""

    model_config = ConfigDict(extra="forbid")

    at: str | None = None
    hours: int = 24


class LongRunShare(BaseModel):
    """One fuel or document behind a long-run factor."""

    name: str
    probability: float
    long_run_gco2_per_kwh: float


class LongRunFactorModel(Model):
    """One long-run factor and the years that it holds for."""

    method: str
    holds_for: str
    long_run_gco2_per_kwh: RangeModel
    basis: BasisModel
    sources: list[LongRunShare]
    status: str
    known_until_utc: str


class LongRunModel(Model):
    """What load that stays gets built; never mixed with what answers an hour."""

    zone: str
    name: str
    horizon: str
    use: str
    fleet: str | None
    year: int | None
    long_run: list[LongRunFactorModel]
    notes: list[str]


class LongRunTableModel(BaseModel):
    """A list of plants, or a table of published long-run rates, as text in the documented shape."""

    model_config = ConfigDict(extra="forbid")

    fleet_csv: str | None = None
    year: int | None = None
    weights: str = "first_period"
    rates_csv: str | None = None
    region: str | None = None
    start_year: int | None = None
    evaluation_years: int | None = None
    scenario: str | None = None
    spread90_frac: float | None = None


class ZonesModel(BaseModel):
    """Every zone we know."""

    zones: list[Model]


class ConflictModel(BaseModel):
    """What a weaker rule would have said."""

    rule: str
    zone: str
    source: str


class WhereModel(Model):
    """Which zone a place lies in, and who says so."""

    asked: str
    zone: str
    name: str
    rule: str
    relation: str
    confidence: str
    source: str
    as_of: str | None
    note: str | None
    alternatives: list[str]
    conflicts: list[ConflictModel]
    source_has_data: bool
    registry: str


class RetiredPartModel(IntervalModel):
    """What a retired file holds of one zone."""

    n_entries: int


class RetirementModel(Model):
    """Entries that left the ledger for a signed file."""

    retirement_id: int
    file: str
    sha256: str
    n_rows: int
    before_utc: str
    zone: str | None
    zones: dict[str, RetiredPartModel]
    recorded_utc: str


class LedgerModel(Model):
    """Entries covering a stretch of time, and the retirements that took some of it out of the ledger."""

    zone: str
    interval: IntervalModel
    estimator: str
    entries: list[EntryModel]
    retired: list[RetirementModel]


class ReceiptModel(Model):
    """One request's energy and emissions."""

    receipt_id: str
    request_id: str
    zone: str
    device: str
    model: str
    latency_s: float
    prompt_tokens: int
    generated_tokens: int
    work_units: float | None
    outcome: str | None
    retry_of: str | None
    energy_j: dict[str, float]
    charged_energy_j: float
    marginal_energy_j: float
    plug_energy_j: float
    energy_cost_usd: float | None
    marginal_gco2: RangeModel
    average_gco2: RangeModel | None
    variance_frac: dict[str, float]
    status: str
    alignment: str | None


class ReceiptsModel(BaseModel):
    """A page of receipts, newest first."""

    receipts: list[ReceiptModel]
    next_cursor: str | None


class ErrorBody(BaseModel):
    """What went wrong and the way out."""

    code: str
    message: str
    way_out: str | None


class ErrorModel(BaseModel):
    """The one error shape."""

    error: ErrorBody


class RequestModel(BaseModel):
    """One request to be priced."""

    model_config = ConfigDict(extra="forbid")

    arrival_utc: str
    prompt_tokens: int
    generated_tokens: int
    request_id: str | None = None
    tenant: str | None = None
    endpoint: str | None = None
    service: str | None = None
    outcome: str | None = None
    retry_of: str | None = None
    end_utc: str | None = None


class AccountModel(BaseModel):
    """A small request log to be priced at once."""

    model_config = ConfigDict(extra="forbid")

    zone: str
    device: str
    model: str
    requests: list[RequestModel]
    align_to: str | None = None
    estimator: str = "regression"
    charge: str = "loaded"
