"""What every benchmark here prints: the machine, the versions, one line per figure, and whether any limit was broken."""

from __future__ import annotations

import os
import platform
import resource
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

DATA = Path(os.environ.get("GRIDMARGIN_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
"""Where recorded data are, unless a benchmark is told otherwise."""


class LeftOut(Exception):  # noqa: N818
    """What a benchmark needs is not there."""


class Report:
    """Prints figures as they come, and keeps the verdict.

    Parameters
    ----------
    packages : str
        Distributions whose versions matter here.
    """

    def __init__(self, *packages: str) -> None:
        self._over: list[str] = []
        versions = ", ".join(f"{name} {version(name)}" for name in ("gridmargin", *packages))
        load = os.getloadavg()[0]
        print(
            f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {platform.machine()}, {os.cpu_count()} cores, load {load:.1f}"
        )
        print(f"Python {platform.python_version()}, {versions}", flush=True)

    def ratio(
        self,
        name: str,
        value: float,
        yardstick: float,
        unit: str,
        at_most: float | None = None,
        at_least: float | None = None,
    ) -> None:
        """Print a value beside its yardstick and judge the ratio, where it has a limit."""
        ratio = value / yardstick
        self._say(
            name,
            f"{value:,.3g} {unit} against {yardstick:,.3g} {unit}: ratio {ratio:.3g}",
            ratio,
            at_most,
            at_least,
        )

    def check(
        self, name: str, value: float, unit: str, at_most: float | None = None, at_least: float | None = None
    ) -> None:
        """Print a value and judge it, where it has a limit."""
        self._say(name, f"{value:,.4g} {unit}".rstrip(), value, at_most, at_least)

    def left_out(self, why: str) -> int:
        """Say that nothing was measured; gives the exit code."""
        print(f"left out: {why}")
        return 0

    def exit_code(self) -> int:
        """Give 1 where a limit was broken."""
        for name in self._over:
            print(f"over the limit: {name}", file=sys.stderr)
        return 1 if self._over else 0

    def _say(
        self, name: str, text: str, judged: float, at_most: float | None, at_least: float | None
    ) -> None:
        limits = [f"at most {at_most:,g}"] if at_most is not None else []
        limits += [f"at least {at_least:,g}"] if at_least is not None else []
        broken = (at_most is not None and not judged <= at_most) or (
            at_least is not None and not judged >= at_least
        )
        verdict = f" ({', '.join(limits)}: {'BROKEN' if broken else 'kept'})" if limits else ""
        print(f"{name}: {text}{verdict}", flush=True)
        if broken:
            self._over.append(name)


def peak_rss_mb() -> float:
    """Give this process's high-water mark of resident memory. [MB]"""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
