"""A recorded trace of an energy counter or of sampled power: CSV or Parquet in, readings out.

Columns: `time_utc`, with an offset; `energy_j`, a counter that only grows, or `power_w`, the mean since the sample
before; `device`, where the trace holds several; `status`, where what was read is itself a model. A sample that is not there is a missing row or an empty cell, never a
zero (C2).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from gridmargin.meters.counting import Instrument, counted, is_late, readings_between
from gridmargin.meters.reading import Reading
from gridmargin.vocab import InputError, Interval, Status, TableError, TimeError

STATUSES = [Status.REPORTED.value, Status.MODELLED.value]
"""What a trace may say of its figures, in a column `status`; `reported` where it says nothing."""

OFFSET = r"(Z|z|[+-]\d\d:?\d\d)\s*$"


class RecordedMeter:
    """Readings from a trace on disk.

    Parameters
    ----------
    path : Path
        `.csv` or `.parquet`.
    instrument : Instrument

    Raises
    ------
    InputError
        If the file is not there or has another ending.
    TableError
        If it is cut short, lacks a column, or a cell is bad; names the row, its header being 1.
    TimeError
        If a time carries no offset.

    Notes
    -----
    A counter that falls has wrapped where the modulus makes the difference a power that the device can draw, and not
    more than once; else it was reset, and the stretch in which that happened has no reading. Over missing samples a
    counter still says how much: one reading over the whole gap, `imputed`, with the gap for its resolution. Sampled
    power says nothing there: no reading.
    """

    name = "recorded"
    sees = "what the instrument behind the trace saw; the trace does not say what that includes"

    def __init__(self, path: Path, instrument: Instrument) -> None:
        self.path = path
        self.instrument = instrument
        self._readings = _readings(_table(path), instrument, path.name, self.name)

    def readings(self, within: Interval | None = None) -> Sequence[Reading]:
        """Give the readings that lie whole inside a stretch of time, by device and start."""
        return [r for r in self._readings if within is None or within.overlap(r.interval) == r.interval]


def _table(path: Path) -> pl.DataFrame:
    """Read the trace: device, time [µs], value, row; sorted by device and time."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; give a meter trace in CSV or Parquet")
    try:
        if path.suffix == ".parquet":
            # Read from the open file: a name with pattern signs in it stands for itself.
            with path.open("rb") as file:
                frame = pl.read_parquet(file)
        elif path.suffix == ".csv":
            with path.open("rb") as file:
                frame = pl.read_csv(file, infer_schema=False)
        else:
            raise InputError(
                f"{path.name}: what {path.suffix or 'a file without an ending'} holds is not known; use .csv or .parquet"
            )
    except pl.exceptions.PolarsError as error:
        raise TableError(
            f"{path.name} cannot be read: {str(error).splitlines()[0]}; it may be cut short, write it again"
        ) from None
    quantity = next((name for name in ("energy_j", "power_w") if name in frame.columns), None)
    if "time_utc" not in frame.columns or quantity is None:
        raise TableError(
            f"{path.name}: needs time_utc and one of energy_j, power_w; found {', '.join(frame.columns)}; rename the column"
        )
    device = pl.col("device").cast(pl.String) if "device" in frame.columns else pl.lit("device")
    status = pl.col("status") if "status" in frame.columns else pl.lit(Status.REPORTED.value)
    frame = frame.with_row_index("row", offset=2).select(
        "row", device.alias("device"), status.alias("status"), pl.col("time_utc"), pl.col(quantity).cast(pl.Float64, strict=False).alias("value"),
        pl.col(quantity).cast(pl.String).alias("text"), pl.lit(quantity).alias("quantity"),
    )  # fmt: skip
    frame = _with_times(frame, path.name)
    unknown = frame.filter(~pl.col("status").is_in(STATUSES).fill_null(value=False))
    if unknown.height:
        raise TableError(
            f"{path.name}, row {unknown['row'][0]}, column status: {unknown['status'][0]!r} is none of"
            f" {', '.join(STATUSES)}; correct the cell"
        )
    bad = frame.filter(
        (pl.col("text").is_not_null() & pl.col("value").is_null())
        | ~pl.col("value").is_finite()
        | (pl.col("value") < 0)
    )
    if bad.height:
        row = bad.row(0, named=True)
        raise TableError(
            f"{path.name}, row {row['row']}, column {quantity}: {row['text']!r} is no reading; correct the cell or empty it"
        )
    frame = frame.sort("device", "time_us")
    twice = frame.filter(pl.struct("device", "time_us").is_duplicated())
    if twice.height:
        raise TableError(
            f"{path.name}, rows {twice['row'][0]} and {twice['row'][1]}: one device, one moment, two samples; remove one"
        )
    return frame.drop_nulls("value")


def _with_times(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    kind = frame.schema["time_utc"]
    if isinstance(kind, pl.Datetime) and kind.time_zone:
        timed = frame.with_columns(pl.col("time_utc").dt.epoch("us").alias("time_us"))
    elif kind == pl.String:
        naive = frame.filter(~pl.col("time_utc").str.contains(OFFSET))
        if naive.height:
            raise TimeError(
                f"{name}, row {naive['row'][0]}, column time_utc: {naive['time_utc'][0]!r} has no UTC offset (C1); write it with Z"
            )
        moments = [
            _epoch_us(text, row, name) for text, row in zip(frame["time_utc"], frame["row"], strict=True)
        ]
        timed = frame.with_columns(pl.Series("time_us", moments, pl.Int64))
    else:
        raise TimeError(f"{name}, row 2, column time_utc: {kind} has no UTC offset (C1); write it with Z")
    if timed["time_us"].null_count():
        row = timed.filter(pl.col("time_us").is_null())["row"][0]
        raise TableError(f"{name}, row {row}, column time_utc: no time; correct the cell")
    return timed


def _epoch_us(text: str | None, row: int, name: str) -> int:
    try:
        moment = datetime.fromisoformat((text or "").strip())
    except ValueError:
        raise TableError(
            f"{name}, row {row}, column time_utc: {text!r} is not a time; correct the cell"
        ) from None
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _readings(frame: pl.DataFrame, instrument: Instrument, file: str, meter: str) -> list[Reading]:
    found: list[Reading] = []
    for (device, quantity, status), part in frame.group_by(
        "device", "quantity", "status", maintain_order=True
    ):
        time_us, value = part["time_us"].to_numpy(), part["value"].to_numpy()
        length_s = np.diff(time_us) / 1e6
        late = is_late(length_s, instrument)
        if quantity == "power_w":
            energy_j, known = value[1:] * length_s, ~late
        else:
            _refuse_beyond(part, instrument, file)
            energy_j, known = counted(value, length_s, instrument)
        found += readings_between(time_us, energy_j, late, known, str(device), meter, Status(status))
    return found


def _refuse_beyond(part: pl.DataFrame, instrument: Instrument, file: str) -> None:
    """Refuse a counter that shows more than its declared modulus."""
    if instrument.modulus_j is None:
        return
    beyond = part.filter(pl.col("value") >= instrument.modulus_j)
    if beyond.height:
        raise TableError(
            f"{file}, row {beyond['row'][0]}, column energy_j: {beyond['value'][0]:g} J, but the counter is declared to start"
            f" again at {instrument.modulus_j:g} J; correct the modulus"
        )
