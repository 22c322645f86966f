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


class LedgerModel(Model):
    """Entries covering a stretch of time."""

    zone: str
    estimator: str
    entries: list[EntryModel]


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
