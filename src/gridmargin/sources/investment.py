"""What was built when, and published long-run marginal rates: the two tables behind a long-run factor.

`built_fleet` CSV, one line a unit: `unit, fuel, commissioned_year, capacity_mw`, and where known
`annual_generation_mwh`, `factor_gco2_per_kwh`. `fuel` is a code of `gridmargin.vocab.Fuel`.

`long_run_rates` CSV, in the shape of published tables such as NREL's Cambium workbooks, one line a rate:
`region, start_year, evaluation_years, rate_kg_per_mwh, gases, boundary, source, as_of`, and where known `scenario`,
`discount_rate_frac`, `low_kg_per_mwh`, `high_kg_per_mwh`. The rate is levelised over `evaluation_years` from the first
of January of `start_year`; `gases` is `direct_co2` or `life_cycle_co2e` and `boundary` `busbar` or `plug`, since a
rate that does not say so cannot be used (C3).

The German list of power plants (Open Power System Data) is read as a built fleet too.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridmargin.sources.delimited import numbers, read_strings
from gridmargin.sources.source import Payload
from gridmargin.vocab import Boundary, Fuel, Gases, TableError, sha256_hex

FloatArray = NDArray[np.float64]

OPSD_FUELS = {
    "Biomass and biogas": Fuel.BIOMASS,
    "Hard coal": Fuel.COAL,
    "Hydro": Fuel.HYDRO,
    "Lignite": Fuel.LIGNITE,
    "Mixed fossil fuels": Fuel.OTHER,
    "Natural gas": Fuel.GAS,
    "Nuclear": Fuel.NUCLEAR,
    "Oil": Fuel.OIL,
    "Other fossil fuels": Fuel.OTHER,
    "Other fuels": Fuel.OTHER,
    "Waste": Fuel.WASTE,
}


@dataclass(frozen=True, slots=True)
class BuiltFleet:
    """Units with the year each began to run, as arrays of equal length u; NaN where not known (C2).

    Attributes
    ----------
    name : str
        What fleet this is, for messages.
    unit_names : tuple of str
        Unique.
    fuels : tuple of Fuel
        One a unit.
    commissioned_year : array, shape (u,)
        Calendar year.
    capacity_mw : array, shape (u,)
        Net. [MW]
    annual_generation_mwh : array, shape (u,)
        Net, in the year that the fleet describes. [MWh]
    factor_gco2_per_kwh : array, shape (u,)
        Direct CO2 at the busbar; where NaN the rate of the fuel serves. [g kWh⁻¹]
    payload_sha256s : tuple of str
        Files it was read from.
    as_of_year : int or None
        Which year the generation describes, where the table says so.
    note : str
        What the list leaves out, for people.
    """

    name: str
    unit_names: tuple[str, ...]
    fuels: tuple[Fuel, ...]
    commissioned_year: FloatArray
    capacity_mw: FloatArray
    annual_generation_mwh: FloatArray
    factor_gco2_per_kwh: FloatArray
    payload_sha256s: tuple[str, ...] = ()
    as_of_year: int | None = None
    note: str = ""

    def __post_init__(self) -> None:
        n = len(self.unit_names)
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                if value.shape != (n,):
                    raise TableError(f"built fleet {self.name}: {field.name} has not one value a unit")
                if bool((value < 0).any()):
                    unit = self.unit_names[int((value < 0).argmax())]
                    raise TableError(f"built fleet {self.name}: {field.name} of {unit} is negative")
        if len(self.fuels) != n:
            raise TableError(f"built fleet {self.name}: fuels have not one value a unit")
        if len(set(self.unit_names)) != n:
            raise TableError(f"built fleet {self.name}: a unit stands twice; merge or rename it")

    def __len__(self) -> int:
        return len(self.unit_names)


@dataclass(frozen=True, slots=True)
class LongRunRate:
    """One published long-run marginal rate.

    Attributes
    ----------
    region, scenario : str
        As published.
    start_year, evaluation_years : int
        First year, and over how many years the rate is levelised.
    discount_rate_frac : float or None
        By which later years count less. [1]
    rate_kg_per_mwh : float
        [kg MWh⁻¹], which is g kWh⁻¹.
    low_kg_per_mwh, high_kg_per_mwh : float or None
        Its range, where the publisher gives one.
    gases, boundary
        What it counts and where.
    source : str
        Document and edition.
    as_of_utc : datetime
        When it was published.
    payload_sha256 : str
        File it stands in.
    row : int
        Line of that file.
    """

    region: str
    scenario: str
    start_year: int
    evaluation_years: int
    discount_rate_frac: float | None
    rate_kg_per_mwh: float
    low_kg_per_mwh: float | None
    high_kg_per_mwh: float | None
    gases: Gases
    boundary: Boundary
    source: str
    as_of_utc: datetime
    payload_sha256: str
    row: int


def read_built_fleet(payload: Payload) -> BuiltFleet:
    """Read a `built_fleet` CSV, or the German list of power plants.

    Raises
    ------
    TableError
        Naming the row and the column.
    """
    header = read_strings(payload, ",", ()).columns
    if "capacity_net_bnetza" in header:
        return _opsd(payload)
    table = read_strings(payload, ",", ("unit", "fuel", "commissioned_year", "capacity_mw"))
    known = {fuel.value: fuel for fuel in Fuel}
    _refuse(payload, table, "fuel", ~pl.col("fuel").is_in(list(known)), f"one of {', '.join(known)}")

    def column(name: str) -> FloatArray:
        if name not in table.columns:
            return np.full(table.height, np.nan)
        return numbers(table, payload, [name])[:, 0]

    return BuiltFleet(
        payload.name,
        tuple(table["unit"].to_list()),
        tuple(known[fuel] for fuel in table["fuel"]),
        column("commissioned_year"),
        column("capacity_mw"),
        column("annual_generation_mwh"),
        column("factor_gco2_per_kwh"),
        payload_sha256s=(sha256_hex(payload.body),),
    )


def read_long_run_rates(payload: Payload) -> tuple[LongRunRate, ...]:
    """Read a `long_run_rates` CSV.

    Raises
    ------
    TableError
        Naming the row and the column.
    """
    needed = (
        "region", "start_year", "evaluation_years", "rate_kg_per_mwh", "gases", "boundary", "source", "as_of",
    )  # fmt: skip
    table = read_strings(payload, ",", needed)
    optional = ("discount_rate_frac", "low_kg_per_mwh", "high_kg_per_mwh")
    present = [name for name in optional if name in table.columns]
    numeric = ["start_year", "evaluation_years", "rate_kg_per_mwh", *present]
    values = dict(zip(numeric, numbers(table, payload, numeric).T, strict=True))
    for name in ("start_year", "evaluation_years", "rate_kg_per_mwh"):
        wrong = np.isnan(values[name]) | ((values[name] % 1 != 0) if name != "rate_kg_per_mwh" else False)
        _refuse(
            payload, table, name, pl.Series(wrong), "a whole number of years" if "year" in name else "a rate"
        )
    if bool((values["evaluation_years"] < 1).any()):
        _refuse(
            payload, table, "evaluation_years", pl.Series(values["evaluation_years"] < 1), "at least one year"
        )
    for name, kinds in (("gases", Gases), ("boundary", Boundary)):
        known = [str(kind.value) for kind in kinds]
        _refuse(payload, table, name, ~pl.col(name).is_in(known), f"one of {', '.join(known)}")
    days = table["as_of"].str.strip_chars().str.to_date("%Y-%m-%d", strict=False)
    _refuse(payload, table, "as_of", days.is_null(), "a date such as 2024-02-16")
    _refuse(payload, table, "source", pl.col("source").fill_null("") == "", "a document and edition (C12)")

    def maybe(name: str, at: int) -> float | None:
        value = values[name][at] if name in values else np.nan
        return None if np.isnan(value) else float(value)

    rates = []
    for at, row in enumerate(table.to_dicts()):
        day = days[at]
        rate = LongRunRate(
            region=row["region"],
            scenario=row.get("scenario") or "",
            start_year=int(values["start_year"][at]),
            evaluation_years=int(values["evaluation_years"][at]),
            discount_rate_frac=maybe("discount_rate_frac", at),
            rate_kg_per_mwh=float(values["rate_kg_per_mwh"][at]),
            low_kg_per_mwh=maybe("low_kg_per_mwh", at),
            high_kg_per_mwh=maybe("high_kg_per_mwh", at),
            gases=Gases(row["gases"]),
            boundary=Boundary(row["boundary"]),
            source=row["source"],
            as_of_utc=datetime(day.year, day.month, day.day, tzinfo=UTC),
            payload_sha256=sha256_hex(payload.body),
            row=row["row"],
        )
        low, high = rate.low_kg_per_mwh, rate.high_kg_per_mwh
        if (low is not None and low > rate.rate_kg_per_mwh) or (
            high is not None and high < rate.rate_kg_per_mwh
        ):
            raise TableError(
                f"{payload.name}, row {rate.row}: low, rate and high are {low}, {rate.rate_kg_per_mwh} and {high}, not in order"
            )
        rates.append(rate)
    return tuple(rates)


def _opsd(payload: Payload) -> BuiltFleet:
    needed = ("id", "capacity_net_bnetza", "fuel", "commissioned", "status")
    table = read_strings(payload, ",", needed).filter(pl.col("status") == "operating")
    _refuse(
        payload, table, "fuel", ~pl.col("fuel").is_in(list(OPSD_FUELS)), f"one of {', '.join(OPSD_FUELS)}"
    )
    capacity, commissioned = numbers(table, payload, ["capacity_net_bnetza", "commissioned"]).T
    nothing = np.full(table.height, np.nan)
    return BuiltFleet(
        payload.name,
        tuple(table["id"].to_list()),
        tuple(OPSD_FUELS[fuel] for fuel in table["fuel"]),
        np.floor(commissioned),
        capacity,
        nothing,
        nothing,
        payload_sha256s=(sha256_hex(payload.body),),
        note="the list holds no wind and no sun, so the build margin is that of conventional plants",
    )


def _refuse(
    payload: Payload, table: pl.DataFrame, column: str, wrong: pl.Expr | pl.Series, want: str
) -> None:
    bad = table.filter(wrong)
    if bad.height:
        raise TableError(
            f"{payload.name}, row {bad['row'][0]}, column {column}: {bad[column][0]!r} is not {want}"
        )
