"""`gridmargin record`: what an instrument says, as a trace on disk."""

from __future__ import annotations

import math
import threading
from pathlib import Path
from typing import Any

import polars as pl

from gridmargin.interfaces.cli.terminal import people_console
from gridmargin.vocab import InputError
from gridmargin.wiring import open_meter, sampler_of

FLUSH_S = 30.0
"""How often samples are taken out of the ring, which keeps ten minutes or more. [s]"""


def record(instrument: str, out: Path, seconds: float, every_s: float | None) -> dict[str, Any]:
    """Answer `gridmargin record`; the file appears whole, at the end.

    Raises
    ------
    InputError
        If the file's ending is not known, it is there already, or the instrument told neither energy nor power.
    NoMeterError
        If the instrument is not there or may not be read.
    """
    if out.suffix not in (".csv", ".parquet"):
        raise InputError(f"{out.name}: a trace is written as .csv or .parquet; name it so")
    if out.exists():
        raise InputError(f"{out}: is there already, and a trace is never written over; give another name")
    if not out.parent.is_dir():
        raise InputError(f"{out.parent}: no such folder; make it, or give another")
    meter = open_meter(instrument, every_s)
    seen_us: dict[tuple[str, str], int] = {}
    parts: list[pl.DataFrame] = []
    interrupted = False
    try:
        with sampler_of(meter) as sampler:
            pause, left_s = threading.Event(), seconds
            while left_s > 0 and not interrupted:
                try:
                    pause.wait(min(left_s, FLUSH_S))
                except KeyboardInterrupt:
                    interrupted = True
                left_s -= FLUSH_S
                parts.append(_fresh(meter, seen_us))
        parts.append(_fresh(meter, seen_us))
        faults, limits, n_skipped = meter.faults(), _limits(meter), sampler.n_skipped
    finally:
        meter.close()
    table = pl.concat(parts)
    quantity = next(
        (name for name in ("energy_j", "power_w", "mean_power_w") if (table["quantity"] == name).any()), None
    )
    if quantity is None:
        raise InputError(
            f"{instrument} told neither energy nor power in {seconds:g} s: {'; '.join(faults) or 'no sample came'}; see"
            " `gridmargin meters`"
        )
    column = "energy_j" if quantity == "energy_j" else "power_w"
    kept = table.filter(pl.col("quantity") == quantity).sort("device", "time_us")
    trace = kept.select(
        pl.from_epoch("time_us", time_unit="us").dt.replace_time_zone("UTC").alias("time_utc"),
        "device", pl.col("value").alias(column), "status",
    )  # fmt: skip
    partial = out.with_name(f"{out.name}.part")
    if out.suffix == ".csv":
        trace.with_columns(pl.col("time_utc").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")).write_csv(partial)
    else:
        trace.write_parquet(partial)
    partial.replace(out)
    devices = trace["device"].unique(maintain_order=True).to_list()
    return {
        "instrument": instrument,
        "out": str(out),
        "quantity": column,
        "devices": devices,
        "left_out": sorted(set(table["device"].to_list()) - set(devices)),
        "samples": trace.height,
        "every_s": meter.sample_s,
        "n_skipped": n_skipped,
        "status": sorted(set(trace["status"].to_list())),
        "faults": faults,
        **limits,
    }


def _fresh(meter: Any, seen_us: dict[tuple[str, str], int]) -> pl.DataFrame:
    """Take what came since the last time out of the ring: every channel that may become readings."""
    parts = [
        pl.DataFrame(
            schema={
                "time_us": pl.Int64, "value": pl.Float64, "device": pl.String, "quantity": pl.String,
                "status": pl.String,
            }
        )
    ]  # fmt: skip
    for channel in meter.channels():
        key = channel.device, channel.quantity.value
        if key[1] not in ("energy_j", "power_w", "mean_power_w"):
            continue
        time_us, value = meter.series(channel.device, channel.quantity)
        new = time_us > seen_us.get(key, -1)
        if new.any():
            seen_us[key] = int(time_us[-1])
            parts.append(
                pl.DataFrame({"time_us": time_us[new], "value": value[new]}).with_columns(
                    pl.lit(channel.device).alias("device"),
                    pl.lit(key[1]).alias("quantity"),
                    pl.lit(channel.status.value).alias("status"),
                )
            )
    return pl.concat(parts)


def _limits(meter: Any) -> dict[str, float | None]:
    """Give where the counters wrap and what the devices cannot exceed, where the instrument says it; the tightest."""
    found = [c for c in meter.channels() if c.modulus_j is not None and c.most_power_w is not None]
    if not found:
        return {"modulus_j": None, "most_power_w": None}
    return {
        "modulus_j": min(c.modulus_j for c in found),
        "most_power_w": max(c.most_power_w for c in found),
    }


def show_record(answer: dict[str, Any]) -> None:
    """Print what was written, and how it is read."""
    console = people_console()
    console.print(
        f"{answer['samples']:,} samples of {', '.join(answer['devices'])} in {answer['out']} ({answer['quantity']},"
        f" {', '.join(answer['status'])}); {answer['n_skipped']:,} came too late and are left out"
    )
    for name in answer["left_out"]:
        console.print(f"note: {name} tells no {answer['quantity']} and is not in the trace")
    for fault in answer["faults"]:
        console.print(f"note: {fault}")
    options = f"--meter {answer['out']} --meter-every {answer['every_s']:g}"
    if answer["modulus_j"] is not None and math.isfinite(answer["modulus_j"]):
        options += f" --meter-modulus {answer['modulus_j']!r} --meter-most {answer['most_power_w']!r}"
    console.print(f"price a log by it with: gridmargin account … --steps STEPS {options}")
