"""How right the estimates are, one score per reference; nothing on the production path imports this.

Comes in: a folder of data as its publishers wrote it. Goes out: one report per task, in the shape of
`gridmargin.evaluation.scores.report`.
"""

from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from gridmargin.vocab import Registry


class Task(Protocol):
    """One backtest: data in, one report out."""

    def __call__(
        self,
        data: Path,
        *,
        avert: Path | None = None,
        train_year: int | None = None,
        test_year: int | None = None,
        test_from: datetime | None = None,
        test_to: datetime | None = None,
        region: str | None = None,
    ) -> dict[str, Any]:
        """Run it.

        Parameters
        ----------
        data : Path
            Folder of the dataset, of `grid/`, or of the whole pack.
        avert : Path, optional
            Folder of EPA's AVERT tables where they are not under `data`.
        train_year, test_year : int, optional
            Whole years; a task that has no use for one says so.
        test_from, test_to : datetime, optional
            Half-open stretch to be tested instead of a year.
        region : str, optional
            Only this region.
        """
        ...


TASKS: Registry[Task] = Registry(
    "backtest",
    "gridmargin.backtests",
    {
        "avert": "gridmargin.evaluation.avert:run",
        "eia930": "gridmargin.evaluation.eia930:run",
        "ercot": "gridmargin.evaluation.ercot:run",
    },
)

__all__ = ["TASKS", "Task"]
