"""Receipt: what one request drew and caused, slice by slice, and where its uncertainty comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from gridmargin.attribution import ENERGY_PARTS
from gridmargin.vocab import Range, Status

SLICE_TYPE = pa.struct(
    [
        ("start_s", pa.int64()),
        ("energy_j", pa.float64()),
        ("plug_energy_j", pa.float64()),
        ("marginal_entry_id", pa.int64()),
        ("average_entry_id", pa.int64()),
        ("marginal_gco2", pa.float64()),
        ("average_gco2", pa.float64()),
    ]
)

CAUSES = ("factor", "energy", "overhead", "timing")
"""What a receipt's range splits into; each has a low and a high half-width in grams."""

RECEIPT_SCHEMA = pa.schema(
    [
        ("receipt_id", pa.string()),
        ("request_id", pa.string()),
        ("run_id", pa.dictionary(pa.int32(), pa.string())),
        ("log_row", pa.int64()),
        ("tenant", pa.string()),
        ("endpoint", pa.string()),
        ("service", pa.string()),
        ("outcome", pa.dictionary(pa.int32(), pa.string())),
        ("retry_of", pa.string()),
        ("model", pa.dictionary(pa.int32(), pa.string())),
        ("device", pa.dictionary(pa.int32(), pa.string())),
        ("zone", pa.dictionary(pa.int32(), pa.string())),
        ("arrival_utc", pa.timestamp("us", "UTC")),
        ("start_utc", pa.timestamp("us", "UTC")),
        ("first_token_utc", pa.timestamp("us", "UTC")),
        ("end_utc", pa.timestamp("us", "UTC")),
        ("latency_s", pa.float64()),
        ("prompt_tokens", pa.int32()),
        ("generated_tokens", pa.int32()),
        ("work_units", pa.float64()),
        *((f"{part}_j", pa.float64()) for part in ENERGY_PARTS),
        ("charged_energy_j", pa.float64()),
        ("marginal_energy_j", pa.float64()),
        ("plug_energy_j", pa.float64()),
        ("energy_cost_usd", pa.float64()),
        ("marginal_gco2", pa.float64()),
        ("average_gco2", pa.float64()),
        *((f"marginal_{cause}_{side}_gco2", pa.float64()) for cause in CAUSES for side in ("low", "high")),
        *((f"average_{cause}_{side}_gco2", pa.float64()) for cause in CAUSES for side in ("low", "high")),
        ("status", pa.dictionary(pa.int32(), pa.string())),
        ("factor_status", pa.dictionary(pa.int32(), pa.string())),
        ("alignment", pa.dictionary(pa.int32(), pa.string())),
        ("slices", pa.list_(SLICE_TYPE)),
    ]
)
"""One row a request. `…_low_gco2` and `…_high_gco2` are half-widths of the 90 % range due to one cause, in grams;
they add up linearly where the error is shared and in quadrature where it is not (C6)."""

LATER_COLUMNS = {
    "service": "VARCHAR", "outcome": "VARCHAR", "retry_of": "VARCHAR", "work_units": "DOUBLE", "work_j": "DOUBLE",
    "provisioned_idle_j": "DOUBLE",
}  # fmt: skip
"""Columns that older files lack, and how the query engine names their types: they read as not known (C2)."""


@dataclass(frozen=True, slots=True)
class Slice:
    """The part of a request that fell in one interval of its zone.

    Attributes
    ----------
    start_utc : datetime
        Start of the interval.
    energy_j, plug_energy_j : float
        At the device; with host, cooling and losses on site. [J]
    marginal_entry_id, average_entry_id : int
        Ledger entries it was priced with, each from its own table.
    marginal_gco2, average_gco2 : float
        [g]; side by side, never added (C3).
    """

    start_utc: datetime
    energy_j: float
    plug_energy_j: float
    marginal_entry_id: int
    average_entry_id: int | None
    marginal_gco2: float
    average_gco2: float | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """One request's energy and emissions.

    Attributes
    ----------
    receipt_id : str
        `RUN-ROW`: the accounting run and the row of the request log.
    first_token_utc : datetime or None
        None where the log says when a request ended, and not when it first answered.
    service, outcome, retry_of : str or None
        As the log says: the service line, one of `requests.OUTCOMES`, and the id of the request that this one repeats.
    work_units : float or None
        Work that is no token; None where the receipt is from a version that did not keep it. [1]
    energy_j : mapping of str to float
        The parts kept apart: prefill, decode, work (its own), step_fixed, loaded_idle, provisioned_idle (shares). One
        that is not known yet, as provisioned idle of a stream until it is written, has no entry (C2). [J]
    charged_energy_j : float
        Sum of the parts that the run's policy charges. [J]
    marginal_energy_j : float
        Its own tokens, and all of the fixed energy of the steps in which it was the only one active. [J]
    plug_energy_j : float
        Charged energy with host overhead and PUE. [J]
    energy_cost_usd : float or None
        Plug energy at the zone's price, where one is known. [USD]
    marginal_gco2 : Range
        90 % range of the emissions caused. [g]
    average_gco2 : Range or None
        What the mix would have said; for comparison only. [g]
    variance_frac : mapping of str to float
        Share of the variance by cause; sums to 1 where there is any. [1]
    marginal_halves_gco2, average_halves_gco2 : mapping of str to float
        `factor_low`, `factor_high`, `energy_low`, …: half-widths of the 90 % range by cause. [g]
    status, factor_status : Status
        Of the whole, and of the grid's part in it.
    alignment : str or None
        How the log's times were moved before pricing; None where they were not.
    """

    receipt_id: str
    request_id: str
    zone: str
    device: str
    model: str
    tenant: str | None
    endpoint: str | None
    service: str | None
    outcome: str | None
    retry_of: str | None
    arrival_utc: datetime
    start_utc: datetime
    first_token_utc: datetime | None
    end_utc: datetime
    latency_s: float
    prompt_tokens: int
    generated_tokens: int
    work_units: float | None
    energy_j: Mapping[str, float]
    charged_energy_j: float
    marginal_energy_j: float
    plug_energy_j: float
    energy_cost_usd: float | None
    marginal_gco2: Range
    average_gco2: Range | None
    variance_frac: Mapping[str, float]
    slices: tuple[Slice, ...]
    status: Status
    factor_status: Status
    run_id: str
    log_row: int
    marginal_halves_gco2: Mapping[str, float]
    average_halves_gco2: Mapping[str, float]
    alignment: str | None
