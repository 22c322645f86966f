"""The RTS-GMLC test system as its authors publish it: tables of buses, branches and units, series, a reference dispatch.

Found by the name of its unit table, `SourceData/gen.csv`. Local clock of the test system, hour-beginning, a leap year;
hours are numbered from the start of the year and never meet a real clock.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridmargin.sources.delimited import text_of
from gridmargin.sources.source import Payload
from gridmargin.vocab import NotFoundError, TableError

FloatArray = NDArray[np.float64]

SERIES = ("hydro", "pv", "rtpv", "wind")
"""Day-ahead series that bound what units can give."""

KINDS = ("generation", "commitment", "price", "cost", "flow")


@dataclass(frozen=True)
class ReferenceRun:
    """One dispatch by the production-cost model that the authors ran.

    Attributes
    ----------
    first_hour : int
        Hour of the year at which it begins.
    generation_mw, is_committed, cost_usd : polars.DataFrame
        A column a unit, a row an hour. [MW], [1], [USD h⁻¹]
    price_usd_per_mwh : polars.DataFrame
        A column a bus. [USD MWh⁻¹]
    """

    first_hour: int
    generation_mw: pl.DataFrame
    is_committed: pl.DataFrame
    cost_usd: pl.DataFrame
    price_usd_per_mwh: pl.DataFrame

    def __len__(self) -> int:
        return self.generation_mw.height


class RtsTables:
    """The tables of one folder, each read when first needed.

    Parameters
    ----------
    folder : Path
        The data set, `grid/`, or the pack.

    Raises
    ------
    NotFoundError
        If no unit table is there.
    """

    def __init__(self, folder: Path) -> None:
        found = sorted(
            path for depth in ("", "*/", "grid/*/") for path in folder.glob(f"{depth}SourceData/gen.csv")
        )
        if not found:
            raise NotFoundError(f"no SourceData/gen.csv of the RTS-GMLC test system under {folder}")
        self.folder = found[0].parents[1]

    @cached_property
    def bus(self) -> pl.DataFrame:
        """Buses."""
        return self._table("SourceData/bus.csv", ("Bus ID", "MW Load", "Area", "Bus Type"))

    @cached_property
    def branch(self) -> pl.DataFrame:
        """Alternating-current branches."""
        return self._table(
            "SourceData/branch.csv", ("UID", "From Bus", "To Bus", "X", "Cont Rating", "Tr Ratio")
        )

    @cached_property
    def dc_branch(self) -> pl.DataFrame:
        """Direct-current lines."""
        return self._table("SourceData/dc_branch.csv", ("UID", "From Bus", "To Bus", "MW Load"))

    @cached_property
    def gen(self) -> pl.DataFrame:
        """Units."""
        return self._table(
            "SourceData/gen.csv",
            (
                "GEN UID",
                "Bus ID",
                "Unit Type",
                "Fuel",
                "PMax MW",
                "PMin MW",
                "Fuel Price $/MMBTU",
                "HR_avg_0",
                "VOM",
            ),
        )

    def area_load_mw(self) -> tuple[tuple[str, ...], FloatArray]:
        """Give the areas and their day-ahead load, hour by hour of the year; shape (hours, areas). [MW]"""
        frame = self._series("DAY_AHEAD_regional_Load")
        return tuple(frame.columns), frame.to_numpy()

    def limits_mw(self) -> dict[str, FloatArray]:
        """Give what each weather-bound unit can give, hour by hour of the year. [MW]"""
        found: dict[str, FloatArray] = {}
        for name in SERIES:
            frame = self._series(f"DAY_AHEAD_{name}")
            found |= {unit: frame[unit].to_numpy() for unit in frame.columns}
        return found

    def reference(self, kind: str = "allTX") -> ReferenceRun:
        """Give the reference dispatch: `allTX` with the network, `noTX` without.

        Raises
        ------
        TableError
            If a table is missing or its hours are not whole and in order.
        """
        frames = {what: self._table(f"plexos_da/{kind}_{what}.csv.gz", ("time",)) for what in KINDS[:4]}
        times = [datetime.fromisoformat(text) for text in frames["generation"]["time"]]
        first = times[0]
        hours = [(moment - first).total_seconds() / 3600 for moment in times]
        if hours != list(range(len(times))):
            raise TableError(f"plexos_da/{kind}_generation.csv.gz: hours are missing or out of order")
        start = int((first - datetime(first.year, 1, 1)).total_seconds() // 3600)  # noqa: DTZ001 -- no real clock
        numbers = {what: frame.drop("time").cast(pl.Float64) for what, frame in frames.items()}
        return ReferenceRun(
            start, numbers["generation"], numbers["commitment"], numbers["cost"], numbers["price"]
        )

    def _series(self, name: str) -> pl.DataFrame:
        path = f"timeseries/{name}.csv.gz"
        frame = self._table(path, ("Year", "Month", "Day", "Period"))
        return frame.drop("Year", "Month", "Day", "Period").cast(pl.Float64)

    def _table(self, name: str, columns: tuple[str, ...]) -> pl.DataFrame:
        path = self.folder / name
        if not path.is_file():
            raise TableError(f"{name} is missing under {self.folder.name}; fetch it again")
        try:
            body = text_of(Payload("rts_gmlc", name, path.read_bytes()))
            frame = pl.read_csv(io.BytesIO(body), null_values=["NA"], infer_schema_length=None)
        except (OSError, EOFError, pl.exceptions.PolarsError) as error:
            raise TableError(
                f"{name} cannot be read as a table: {str(error).splitlines()[0]}; fetch it again"
            ) from None
        missing = [column for column in columns if column not in frame.columns]
        if missing:
            raise TableError(f"{name}: no column {missing[0]!r}; found {', '.join(frame.columns[:12])} …")
        return frame
