"""California's published 5-minute marginal rate (self-generation programme signal), by load area.

kg CO2 per kWh in a Parquet file `moer_5min.parquet` with columns `time_utc`, `PGE`, `SCE`. An exact zero is an interval
of curtailment: a value, not a gap (C2).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from gridmargin.sources.folders import files_matching, refuse_repeats
from gridmargin.sources.observation import OBSERVATION_SCHEMA, Observations
from gridmargin.sources.source import Payload
from gridmargin.vocab import Cell, InputError, Interval, Status, TableError, sha256_hex

INTERVAL_S = 300
QUANTITY = "published_marginal_rate_gco2_per_kwh"
AREAS = {"US-CISO-PGE": "PGE", "US-CISO-SCE": "SCE"}
G_PER_KG = 1000.0


class CaisoMoer:
    """Reads `moer_5min.parquet`."""

    name = "caiso_moer"
    states_margin = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        found = files_matching(folder, r"moer_5min\.parquet")
        refuse_repeats(found, lambda path: path.name)
        self._path = found[0] if found else None

    def zones(self) -> list[str]:
        """List both load areas where the file is there."""
        return sorted(AREAS) if self._path else []

    def interval_s(self, zone: str) -> int:
        """Give five minutes. [s]"""
        del zone
        return INTERVAL_S

    def span(self, zone: str) -> Interval:
        """Give the stretch by the file's own statistics, without reading its columns."""
        del zone
        path = self._file()
        try:
            meta = pq.ParquetFile(path).metadata
        except (OSError, pa.ArrowException) as error:
            raise TableError(f"{path.name} cannot be read as Parquet ({error}); fetch it again") from None
        at = meta.schema.names.index("time_utc") if "time_utc" in meta.schema.names else -1
        if at < 0:
            raise TableError(f"{path.name}: no column 'time_utc'; found {', '.join(meta.schema.names)}")
        stats = [meta.row_group(i).column(at).statistics for i in range(meta.num_row_groups)]
        return Interval(min(s.min for s in stats), max(s.max for s in stats) + timedelta(seconds=INTERVAL_S))

    def fetch(self, zone: str, interval: Interval) -> Iterator[Payload]:
        """Give the file."""
        path = self._file()
        if self.span(zone).overlap(interval):
            yield Payload(self.name, path.name, path.read_bytes())

    @staticmethod
    def parse(payload: Payload, interval: Interval) -> Observations:
        """Turn the file into observations of both areas."""
        frame = _read(payload).with_row_index("row", offset=2)
        frame = frame.filter(
            pl.col("time_utc").is_between(interval.start_utc, interval.end_utc, closed="left")
        )
        long = frame.unpivot(
            list(AREAS.values()), index=["time_utc", "row"], variable_name="column", value_name="rate"
        )
        return Observations(
            long.filter(pl.col("rate").is_not_null())
            .select(
                pl.col("column").replace_strict({v: k for k, v in AREAS.items()}).alias("zone"),
                pl.col("time_utc").alias("start_utc"),
                pl.lit(INTERVAL_S, dtype=pl.Int32).alias("interval_s"),
                pl.lit(QUANTITY).alias("quantity"),
                (pl.col("rate") * G_PER_KG).alias("value"),
                pl.lit(Status.REPORTED.value).alias("status"),
                pl.lit(sha256_hex(payload.body)).alias("payload_sha256"),
                pl.col("row").cast(pl.Int32),
                "column",
            )
            .select(OBSERVATION_SCHEMA.keys())
        )

    @staticmethod
    def cell_text(payload: Payload, cell: Cell) -> str:
        """Give what stands in a cell."""
        return repr(_read(payload)[cell.column][cell.row - 2])

    def _file(self) -> Path:
        if self._path is None:
            raise InputError(f"no file named moer_5min.parquet under {self.folder}")
        return self._path


def _read(payload: Payload) -> pl.DataFrame:
    try:
        frame = pl.read_parquet(io.BytesIO(payload.body))
    except (OSError, pl.exceptions.PolarsError) as error:
        raise TableError(
            f"{payload.name} cannot be read as Parquet ({str(error).splitlines()[0]}); fetch it again"
        ) from None
    missing = [name for name in ("time_utc", *AREAS.values()) if name not in frame.columns]
    if missing:
        raise TableError(f"{payload.name}: no column {missing[0]!r}; found {', '.join(frame.columns)}")
    kind = frame.schema["time_utc"]
    if not isinstance(kind, pl.Datetime) or kind.time_zone is None:
        raise TableError(f"{payload.name}, column time_utc: {kind} has no UTC offset (C1); write it with one")
    rates = frame.select(list(AREAS.values())).cast(pl.Float64)
    for name in rates.columns:
        at = rates[name].is_nan() | rates[name].is_infinite()
        if at.any():
            raise TableError(
                f"{payload.name}, row {(at.arg_max() or 0) + 2}, column {name}: {rates[name][at.arg_max() or 0]} is not a rate"
            )
    return frame.with_columns(pl.col("time_utc").dt.convert_time_zone("UTC").dt.cast_time_unit("us"), *rates)
