"""A recorded trace of an energy counter or of sampled power: CSV or Parquet in, readings out.

Columns: `time_utc`, with an offset; `energy_j`, a counter that only grows, or `power_w`, the mean since the sample
before; `device`, where the trace holds several. A sample that is not there is a missing row or an empty cell, never a
zero (C2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gridmargin.meters.reading import Reading
from gridmargin.vocab import InputError, Interval, Status, TableError, TimeError

LATE = 1.5
"""How many sampling periods apart two samples must be for one between them to be missing. [1]"""

OFFSET = r"(Z|z|[+-]\d\d:?\d\d)\s*$"


@dataclass(frozen=True, slots=True)
class Instrument:
    """What the trace cannot say of itself.

    Attributes
    ----------
    sample_s : float
        Period at which it was sampled. [s]
    modulus_j : float, optional
        Where the counter starts again from 0; None for one that does not within a trace. [J]
    most_power_w : float, optional
        What the device cannot exceed; tells a counter that wrapped from one that was reset. [W]
    """

    sample_s: float
    modulus_j: float | None = None
    most_power_w: float | None = None

    def __post_init__(self) -> None:
        if not self.sample_s > 0:
            raise InputError(f"sampling period of {self.sample_s} s: give a length above 0")
        if self.modulus_j is not None and (not self.modulus_j > 0 or self.most_power_w is None):
            raise InputError(
                f"counter modulus {self.modulus_j} J: give one above 0, and most_power_w, without which a counter that"
                " wrapped cannot be told from one that was reset"
            )


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
    frame = frame.with_row_index("row", offset=2).select(
        "row", device.alias("device"), pl.col("time_utc"), pl.col(quantity).cast(pl.Float64, strict=False).alias("value"),
        pl.col(quantity).cast(pl.String).alias("text"), pl.lit(quantity).alias("quantity"),
    )  # fmt: skip
    frame = _with_times(frame, path.name)
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
    found = []
    for (device, quantity), part in frame.group_by("device", "quantity", maintain_order=True):
        time_us, value = part["time_us"].to_numpy(), part["value"].to_numpy()
        length_s = np.diff(time_us) / 1e6
        late = length_s > LATE * instrument.sample_s
        if quantity == "power_w":
            energy_j, there = value[1:] * length_s, ~late
        else:
            energy_j, there = _counted(value, length_s, part["row"].to_numpy(), instrument, file)
        found += [
            Reading(
                device=str(device),
                interval=Interval(_utc(time_us[i]), _utc(time_us[i + 1])),
                energy_j=float(energy_j[i]),
                resolution_s=float(length_s[i]),
                meter=meter,
                status=Status.IMPUTED if late[i] else Status.REPORTED,
            )
            for i in np.flatnonzero(there)
        ]
    return found


def _counted(value: Any, length_s: Any, row: Any, instrument: Instrument, file: str) -> tuple[Any, Any]:
    """Energy between samples of a counter [J], and where it is known."""
    step_j = np.diff(value)
    modulus_j, most_w = instrument.modulus_j, instrument.most_power_w
    if modulus_j is None or most_w is None:
        return step_j, step_j >= 0
    beyond = np.flatnonzero(value >= modulus_j)
    if len(beyond):
        raise TableError(
            f"{file}, row {row[beyond[0]]}, column energy_j: {value[beyond[0]]:g} J, but the counter is declared to start"
            f" again at {modulus_j:g} J; correct the modulus"
        )
    energy_j = np.where(step_j < 0, step_j + modulus_j, step_j)
    # Where the device could have drawn a whole turn of the counter, how many turns it was is not known.
    return energy_j, (energy_j <= most_w * length_s) & (most_w * length_s < modulus_j + energy_j)


def _utc(epoch_us: int) -> datetime:
    return datetime.fromtimestamp(int(epoch_us) // 1_000_000, UTC).replace(
        microsecond=int(epoch_us) % 1_000_000
    )
