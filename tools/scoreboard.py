"""Run every backtest and write what it scored: `python tools/scoreboard.py DIR`, or `make scoreboard`.

Writes SCOREBOARD.md and one plot a run under docs/images/scores/. A goal is judged by the figures of the run alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parents[1]
PLOTS = REPO / "docs" / "images" / "scores"
LIBRARIES = ("numpy", "polars", "scikit-learn", "highspy")

Row = dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    """What a run reached of its goal: a figure in words, and whether that is enough (None: nothing to judge)."""

    figure: str
    kept: bool | None


@dataclass(frozen=True)
class Run:
    """One backtest with its options, the folder it reads, and the goal it is held against."""

    task: str
    folder: str
    goal: str
    judge: Callable[[list[Row]], Verdict]
    options: dict[str, Any] = field(default_factory=dict)
    avert: bool = False

    @property
    def command(self) -> str:
        """What a reader types to see the same rows."""
        given = "".join(f" --{name.replace('_', '-')} {value}" for name, value in self.options.items())
        return f"gridmargin backtest {self.task} --data DIR{given}"

    @property
    def slug(self) -> str:
        """Name of the run's plot."""
        return "-".join([self.task, *(str(value) for value in self.options.values())])


def rows_where(rows: Iterable[Row], **wanted: str) -> list[Row]:
    """Give the rows whose labels begin as asked."""
    return [row for row in rows if all(str(row.get(k, "")).startswith(v) for k, v in wanted.items())]


def worst(
    rows: list[Row], figure: Callable[[Row], float], limit: float, words: str, at_least: bool
) -> Verdict:
    """Judge the worst row against a limit."""
    if not rows:
        return Verdict("no such row", False)
    values = [figure(row) for row in rows]
    value = min(values) if at_least else max(values)
    row = rows[values.index(value)]
    where = f"{row['region']}, {row['reference']}"
    return Verdict(f"{words} {value:.3g} ({where})", value >= limit if at_least else value <= limit)


def both(*verdicts: Verdict) -> Verdict:
    """Join verdicts: all must hold."""
    return Verdict("; ".join(v.figure for v in verdicts), all(v.kept for v in verdicts))


def mae_over(baseline: str) -> Callable[[Row], float]:
    """Give a row's MAE as a multiple of a baseline's in the same row."""
    return lambda row: row["mae"] / row["baselines"][baseline]["mae"]


def pooled_coverage(rows: list[Row]) -> Verdict:
    """Judge the coverage of all rows together, weighted by how many hours each has."""
    counted = [row for row in rows if "coverage90" in row]
    n = sum(row["n"] for row in counted)
    if not n:
        return Verdict("no range", None)
    share = sum(row["coverage90"] * row["n"] for row in counted) / n
    return Verdict(f"coverage {share:.1%}", 0.88 <= share <= 0.92)


def data_hash(folder: Path) -> str:
    """Hash the files of a folder, names and bytes; 12 hexadecimal digits."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]
