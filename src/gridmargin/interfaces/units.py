"""Numbers for people: the unit that leaves one to three digits before the point."""

from __future__ import annotations

_GRAMS = ((1e6, "t"), (1e3, "kg"), (1.0, "g"), (1e-3, "mg"), (1e-6, "µg"))
_JOULES = ((3.6e9, "MWh"), (3.6e6, "kWh"), (3.6e3, "Wh"), (1.0, "J"), (1e-3, "mJ"))


def grams_text(grams: float) -> str:
    """Write grams, three significant digits."""
    return _text(grams, _GRAMS)


def energy_text(joules: float) -> str:
    """Write joules, three significant digits."""
    return _text(joules, _JOULES)


def _text(value: float, units: tuple[tuple[float, str], ...]) -> str:
    scale, unit = next(((s, u) for s, u in units if abs(value) >= s), units[-1])
    if value == 0:
        scale, unit = units[2] if len(units) > 2 else units[0]
    number = value / scale
    digits = max(0, 2 - (len(f"{abs(number):.0f}") - 1)) if number else 0
    return f"{number:,.{digits}f} {unit}"
