"""How the drivers of device families read power: update period, window, lag and gain."""

from __future__ import annotations

from dataclasses import dataclass

from gridmargin.reference.tables import load_table

ANY = "any"


@dataclass(frozen=True, slots=True)
class SensorFamily:
    """What is documented or was measured of one field of one family of devices.

    Attributes
    ----------
    family : str
        `any` where the device or the field is not known.
    update_s, window_s : float
        Time between two updates; stretch that a reading is the mean of. [s]
    lag_s : float
        Time constant of a reading that follows the power as a charging capacitor does, else 0. [s]
    gain : float
        Board power per reading. [1]
    fitted_on : tuple of str
        Devices that the gain was found on; empty where it stands in a document.
    source : str
    """

    family: str
    update_s: float
    window_s: float
    lag_s: float
    gain: float
    fitted_on: tuple[str, ...]
    source: str


def sensor_family(device: str, field: str) -> SensorFamily:
    """Give the row of a device's family and field, or the one for any.

    Parameters
    ----------
    device : str
        As in `3090`, `a100`; a maker's prefix and spaces do not matter.
    field : str
        As `nvidia-smi` names it: `power.draw`, `power.draw.average`, `power.draw.instant`.
    """
    words = {word for word in device.lower().replace("-", " ").replace("_", " ").split() if word}
    rows = load_table("sensors")
    known = (row for row in rows if row["field"] == field and words & set(row["devices"].split()))
    row = next(known, None) or next(row for row in rows if row["family"] == ANY)
    return SensorFamily(
        row["family"], float(row["update_s"]), float(row["window_s"]), float(row["lag_s"]), float(row["gain"]),
        tuple(row["fitted_on"].split()), row["source"],
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class RangeShares:
    """Shares that make the range of a power reading, by window length; see docs/methods/sensor.md.

    Attributes
    ----------
    length_s : tuple of float
    steady_frac : tuple of float
        Of the power, where it holds still.
    fitted_level_frac : float
        How far the level drifts once gain and offset were fitted.
    unfitted_level_frac, unfitted_level_w : float
        How far a device's level may be off that was never held beside a meter. [1], [W]
    source : str
    """

    length_s: tuple[float, ...]
    steady_frac: tuple[float, ...]
    fitted_level_frac: float
    unfitted_level_frac: float
    unfitted_level_w: float
    source: str


def range_shares() -> RangeShares:
    """Give the shares found on the devices that stood beside a meter."""
    rows = load_table("sensor_ranges")
    first = rows[0]
    return RangeShares(
        tuple(float(row["length_s"]) for row in rows),
        tuple(float(row["steady_frac"]) for row in rows),
        float(first["fitted_level_frac"]),
        float(first["unfitted_level_frac"]),
        float(first["unfitted_level_w"]),
        first["source"],
    )
