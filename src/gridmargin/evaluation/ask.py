"""What a backtest is asked: which data, which period, which part of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gridmargin.vocab import InputError


@dataclass(frozen=True, slots=True)
class Ask:
    """One question to a backtest; what is None is left to the task.

    Attributes
    ----------
    data : Path
        Folder of the dataset, of `grid/`, or of the whole pack.
    avert : Path or None
        Folder of EPA's AVERT tables where they are not under `data`.
    train_year, test_year : int or None
        Whole years.
    test_from, test_to : datetime or None
        Half-open stretch to be tested instead of a year.
    horizon_min : int or None
        How long before its interval an estimate must stand. [min]
    region : str or None
        Only this region.
    train_s : float or None
        Where in a recorded run the fit ends, on the clock of its files. [s]
    """

    data: Path
    avert: Path | None = None
    train_year: int | None = None
    test_year: int | None = None
    test_from: datetime | None = None
    test_to: datetime | None = None
    horizon_min: int | None = None
    region: str | None = None
    train_s: float | None = None

    def refuse(self, task: str, why: str, *names: str) -> None:
        """Refuse options that a task has no use for.

        Raises
        ------
        InputError
            Naming the first that was given.
        """
        for name in names:
            if getattr(self, name) is not None:
                raise InputError(f"backtest {task} {why}: leave out `{name}`")
