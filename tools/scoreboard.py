"""Run every backtest and write what it scored: `python tools/scoreboard.py DIR`, or `make scoreboard`.

Writes SCOREBOARD.md and one plot a run under docs/images/scores/. A goal is judged by the figures of the run alone.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import platform
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gridmargin.evaluation import TASKS, Ask
from gridmargin.vocab import GridmarginError

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


def avert_goal(rows: list[Row]) -> Verdict:
    """Judge the hourly r of CO2 changes and the bias in every region."""
    changes = rows_where(rows, reference="epa-hourly-change", estimator="fleet_curve") or rows_where(
        rows, reference="epa-hourly-change"
    )
    return both(
        worst(changes, lambda r: r["r"], 0.97, "least r", True),
        worst(changes, lambda r: abs(r["bias_frac"]), 0.03, "largest bias", False),
        pooled_coverage(rows_where(rows, reference="epa-displacement-5pct")),
    )


def eia930_goal(rows: list[Row]) -> Verdict:
    """Judge means of the year and hourly r, fuel mix only."""
    year = rows_where(rows, estimator="regression", period="out-of-fold", reference="epa-displacement-15pct")
    return both(
        worst(year, lambda r: abs(r["bias_frac"]), 0.03, "largest bias of the mean", False),
        worst(year, lambda r: r["r"], 0.7, "least hourly r", True),
    )


def ercot_goal(rows: list[Row]) -> Verdict:
    """Judge the mean, and the mean day."""
    mine = rows_where(rows, estimator="regression", reference="epa-displacement-15pct")
    return both(
        worst(mine, lambda r: abs(r["bias_frac"]), 0.03, "bias", False),
        worst(mine, lambda r: r["profile_r"], 0.9, "r of the mean day", True),
    )


def over(reference: str, baseline: str, limit: float) -> Callable[[list[Row]], Verdict]:
    """Judge MAE over a baseline's, and the coverage, in the rows of one reference."""

    def judge(rows: list[Row]) -> Verdict:
        mine = [row for row in rows_where(rows, reference=reference) if "regime" not in row and "mae" in row]
        return both(
            worst(mine, mae_over(baseline), limit, f"MAE over {baseline}", False), pooled_coverage(mine)
        )

    return judge


def rate_goal(rows: list[Row]) -> Verdict:
    """Judge MAE over the better of hour-of-day and persistence."""
    mine = [row for row in rows if "regime" not in row and "mae" in row]

    def ratio(row: Row) -> float:
        return row["mae"] / min(row["baselines"][name]["mae"] for name in ("hour_of_day", "persistence"))

    return worst(mine, ratio, 0.9, "MAE over the better baseline", False)


def zero_goal(rows: list[Row]) -> Verdict:
    """Judge the F1 of "the margin is zero" an hour ahead."""
    return worst(rows_where(rows, reference="published-zero"), lambda r: r["f1"], 0.6, "F1", True)


def flag_goal(rows: list[Row]) -> Verdict:
    """Judge macro-F1 and Brier of the operator's flags in the last third."""
    mine = [
        r for r in rows if r["reference"] == "operator's flag" and not r["period"].startswith("out-of-fold")
    ]
    return both(
        worst(
            mine,
            lambda r: r["f1"] / r["baselines"]["always_gas"]["f1"],
            2.0,
            "macro-F1 over always gas",
            True,
        ),
        worst(
            mine,
            lambda r: r["brier"] / r["baselines"]["climatology"]["brier"],
            1.0,
            "Brier over climatology",
            False,
        ),
    )


def rts_goal(rows: list[Row]) -> Verdict:
    """Judge exactness off ties, and the cost of the reference days."""
    return both(
        worst(
            rows_where(rows, reference="one-more-mwh"),
            lambda r: r["max_error"],
            1e-6,
            "largest difference",
            False,
        ),
        worst(
            rows_where(rows, reference="reference-cost-of-a-day"),
            lambda r: abs(r["bias_frac"]),
            0.01,
            "cost off by",
            False,
        ),
    )


def nem_goal(rows: list[Row]) -> Verdict:
    """Judge unit output by the fit that is made once, ΔE for ΔG, and its range."""
    once = rows_where(rows, reference="output of fossil", fit="fitted on all that precedes")
    change = [row for row in rows_where(rows, reference="change of CO2") if "regime" not in row]
    return both(
        worst(once, lambda r: r["r"], 0.95, "least r", True),
        worst(change, mae_over("constant"), 0.8, "ΔE/ΔG error over a constant", False),
        pooled_coverage(change),
    )


def beside(*estimators: str) -> Callable[[list[Row]], Verdict]:
    """Say the error of some estimators over that of the plain one and of a constant; there is no goal."""

    def judge(rows: list[Row]) -> Verdict:
        mine = [r for name in estimators for r in rows if r["estimator"] == name and "mae_over_plain" in r]
        first = {row["estimator"]: row for row in reversed(mine)}
        said = [
            f"{name} {row['mae_over_plain']:.2f} × the plain one, {row['mae_over_constant']:.2f} × a constant"
            for name, row in sorted(first.items())
        ]
        return Verdict("; ".join(said) or "no such row", None)

    return judge


def de_goal(rows: list[Row]) -> Verdict:
    """Judge r against the price in every period, costs alone where nothing precedes, and the price's range."""
    fitted = rows_where(rows, reference="day-ahead", fit="fitted on all that precedes")
    first = [
        row
        for row in rows_where(rows, reference="day-ahead", fit="costs alone")
        if row["period"] not in {r["period"] for r in fitted}
    ]
    ranged = [row for row in rows_where(rows, reference="range of the day-ahead") if "regime" not in row]
    return both(worst([*first, *fitted], lambda r: r["r"], 0.80, "least r", True), pooled_coverage(ranged))


def steps_goal(rows: list[Row]) -> Verdict:
    """Judge the fit that is made once: all windows, those of low batch, and whether the range holds."""
    once = [row for row in rows if row["estimator"] == "step-cost"]
    whole, low = ([r for r in once if ("regime" in r) == is_low] for is_low in (False, True))
    verdicts = [worst(whole, lambda r: r["mape"], 0.01, "MAPE", False)]
    if low:
        verdicts.append(worst(low, lambda r: r["mape"], 0.04, "low batch", False))
    held = pooled_coverage(whole)
    return both(*verdicts, Verdict(f"{held.figure} of {sum(r['n'] for r in whole)} windows", True))


def batch_goal(rows: list[Row]) -> Verdict:
    """Judge the median error of each device's language models, and another stack's flag and range."""
    left_out = [r for r in rows_where(rows, reference="energy per token") if "regime" not in r]
    verdicts = [
        worst(
            rows_where(left_out, region=device),
            lambda r: r["median_error_frac"],
            limit,
            "median error",
            False,
        )
        for device, limit in (("H100", 0.05), ("B200", 0.08))
    ]
    other = [row for row in rows if row.get("out_of_profile")]
    return both(*verdicts, worst(other, lambda r: r["coverage90"], 0.9, "another stack's coverage", True))


def sensor_goal(rows: list[Row]) -> Verdict:
    """Judge the RTX 3090's windows of 100 ms, and the coverage of every device and window length."""
    mine = [row for row in rows_where(rows, estimator="sensor") if row["estimator"] == "sensor"]
    each = [row for row in mine if row["region"] != "all"]
    tenth = rows_where(each, region="3090", regime="100 ms")
    return both(
        worst(tenth, lambda r: r["median_error_frac"], 0.03, "median error", False),
        worst(tenth, lambda r: r["p95_error_frac"], 0.08, "p95 error", False),
        worst(each, lambda r: r["coverage90"], 0.88, "least coverage", True),
        worst(each, lambda r: r["coverage90"], 0.92, "most coverage", False),
    )


def wall_goal(rows: list[Row]) -> Verdict:
    """Judge the median error of every model left out, and the range over all of them."""
    return both(
        worst(rows, lambda r: r["median_error_frac"], 0.03, "median error", False),
        pooled_coverage([row for row in rows if "regime" not in row]),
    )


RUNS = (
    Run("avert", "grid", "r ≥ 0.97 of hourly changes and bias within ±3 % in every region", avert_goal,
        {"train_year": 2021, "test_year": 2022}),
    Run("eia930", "grid", "means within 3 % and hourly r ≥ 0.7 in all five", eia930_goal),
    Run("ercot", "grid", "mean within 3 %, r of the mean day ≥ 0.9", ercot_goal, {"test_year": 2020}),
    Run("caiso-moer", "grid", "MAE ≤ 0.80 × month-by-hour", over("published-rate", "month_by_hour", 0.80)),
    Run("caiso-moer", "grid", "MAE ≤ 0.75 × persistence; zeros F1 ≥ 0.6",
        lambda rows: both(over("published-rate", "persistence", 0.75)(rows), zero_goal(rows)), {"horizon_min": 60}),
    Run("caiso-moer", "grid", "MAE ≤ 0.55 × persistence", over("published-rate", "persistence", 0.55),
        {"horizon_min": 180}),
    Run("caiso-moer", "grid", "MAE ≤ 0.85 × the day before", over("published-rate", "day_before", 0.85),
        {"horizon_min": 1440}),
    Run("nem", "grid", "unit output r ≥ 0.95; ΔE/ΔG error ≤ 0.8 × a constant's", nem_goal),
    Run("de", "grid", "r ≥ 0.80 against the price of each year", de_goal),
    Run("rts", "grid", "identical to 1e-6 off ties; cost within 1 % of the reference", rts_goal),
    Run("borders", "grid", "none: what looking across borders gains", beside("regression+imports", "zonal")),
    Run("modifiers", "grid", "none: what a modifier gains", beside("regression+storage")),
    Run("engine-steps", "inference", "MAPE ≤ 1 %, of low batch ≤ 4 %", steps_goal),
    Run("batch-energy", "inference", "median error ≤ 5 % on H100, ≤ 8 % on B200; another stack in its range", batch_goal),
    Run("isone-flag", "grid", "macro-F1 ≥ 2 × always gas; Brier below climatology", flag_goal),
    Run("gpu-sensor", "inference", "RTX 3090, 100 ms: median error ≤ 3 %, p95 ≤ 8 %; every device's range holds 88–92 %",
        sensor_goal),
    Run("wall", "inference", "board to wall power of the L40 host within 3 %", wall_goal),
)  # fmt: skip
"""Every run of the scoreboard; a task that is not registered yet stops it."""


def cell(value: Any, spec: str) -> str:
    """Write a figure, or nothing where there is none."""
    return format(value, spec) if value is not None else ""


def table_of(rows: list[Row]) -> Iterator[str]:
    """Write the rows of a run as a Markdown table."""
    yield "| region | reference | estimator | n | MAE | RMSE | bias | r | CRPS or Brier | F1 | coverage | width | baselines' MAE |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|---|---|"
    for row in rows:
        beside = ", ".join(
            f"{name} {cell(b.get('mae', b.get('f1', b.get('brier'))), '.4g')}"
            for name, b in row.get("baselines", {}).items()
        )
        figures = [
            cell(row.get("mae"), ".4g"), cell(row.get("rmse"), ".4g"), cell(row.get("bias"), "+.3g"),
            cell(row.get("r"), ".3f"), cell(row.get("crps", row.get("brier")), ".4g"), cell(row.get("f1"), ".3f"),
            cell(row.get("coverage90"), ".1%"), cell(row.get("width90"), ".4g"), beside,
        ]  # fmt: skip
        name = " / ".join(str(row[k]) for k in ("estimator", "regime", "period") if k in row)
        yield f"| {row['region']} | {row['reference']} | {name} | {row['n']:,} | {' | '.join(figures)} |"


def plot(run: Run, rows: list[Row]) -> bool:
    """Draw each row's error beside its best baseline's, and its coverage; False where nothing can be drawn."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "scores", "font.size": 8})
    chosen = [row for row in rows if "mae" in row and row.get("baselines") and row["mae"] > 0][:40]
    if not chosen:
        return False
    relative = [
        row["mae"] / min(b["mae"] for b in row["baselines"].values() if b.get("mae", math.nan) > 0)
        for row in chosen
    ]
    labels = [
        " ".join(str(row[k]) for k in ("region", "reference", "estimator", "regime") if k in row)
        for row in chosen
    ]
    figure, axes = plt.subplots(1, 2, figsize=(9, 1 + 0.2 * len(chosen)), sharey=True, layout="constrained")
    y = range(len(chosen))
    axes[0].barh(y, relative, color="#3a6ea5")
    axes[0].axvline(1.0, color="black", linewidth=0.8)
    axes[0].set(yticks=list(y), yticklabels=labels, xlabel="MAE over that of the best baseline")
    axes[0].invert_yaxis()
    covered = [row.get("coverage90", math.nan) for row in chosen]
    axes[1].axvspan(0.88, 0.92, color="#d8e6d3")
    axes[1].scatter(covered, list(y), color="#3a6ea5", s=12)
    axes[1].set(xlim=(0.5, 1.01), xlabel="share held by the 90 % range")
    PLOTS.mkdir(parents=True, exist_ok=True)
    figure.savefig(PLOTS / f"{run.slug}.svg", metadata={"Date": None})
    plt.close(figure)
    return True


def main() -> int:
    """Run, judge, write."""
    parser = argparse.ArgumentParser(description="Run every backtest and write SCOREBOARD.md.")
    parser.add_argument("data", type=Path, help="folder that holds grid/ and inference/")
    parser.add_argument("--only", help="one task")
    asked = parser.parse_args()
    lines, summary = [], []
    for run in RUNS:
        if asked.only not in (None, run.task):
            continue
        folder = asked.data / run.folder
        print(f"{run.command} …", file=sys.stderr, flush=True)
        try:
            result = TASKS.get(run.task)(Ask(folder, **run.options))
        except GridmarginError as error:
            print(f"gridmargin: {run.command}: {error}", file=sys.stderr)
            return 2
        verdict = run.judge(result["rows"])
        word = {True: "reached", False: "not reached", None: ""}[verdict.kept]
        summary.append(
            f"| `{run.command}` | {run.goal} | {verdict.figure} | {word} | {result['seconds']:.1f} |"
        )
        lines += [
            "",
            f"## {run.slug}",
            "",
            f"    {run.command}",
            "",
            f"Goal: {run.goal}. {verdict.figure}: {word}.",
            "",
        ]
        lines += list(table_of(result["rows"]))
        if plot(run, result["rows"]):
            lines += [
                "",
                f"![Errors over the best baseline, and coverage](docs/images/scores/{run.slug}.svg)",
            ]
    head = [
        "# Scoreboard", "",
        "Written by `make scoreboard`; each figure is also printed by the command beside it.",
        "There is no true marginal rate: each reference has its own rows, and no score blends them.", "",
        f"{datetime.now(UTC):%Y-%m-%d}; data {data_hash(asked.data / 'grid')} and"
        f" {data_hash(asked.data / 'inference')}; gridmargin {version('gridmargin')}, Python"
        f" {platform.python_version()}, {', '.join(f'{name} {version(name)}' for name in LIBRARIES)}.", "",
        "| command | goal | reached | | seconds |", "|---|---|---|---|---|", *summary,
    ]  # fmt: skip
    target = REPO / "SCOREBOARD.md"
    part = target.with_name(".part-SCOREBOARD.md")
    part.write_text("\n".join([*head, *lines]) + "\n", encoding="utf-8")
    part.replace(target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
