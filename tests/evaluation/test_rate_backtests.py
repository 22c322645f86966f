"""The backtests of published rates on invented tables: their shape, their baselines, and what they refuse."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gridmargin.evaluation import TASKS, Ask
from gridmargin.marginal import forecast
from gridmargin.sources import read_rate_table
from gridmargin.vocab import InputError, TableError, TimeError, UnknownNameError

START = datetime(2021, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module", autouse=True)
def fewer_trees():
    """A third of the trees with longer steps: what is asked here does not need more."""
    with pytest.MonkeyPatch.context() as patch:
        for boosting in (forecast.BOOSTING, forecast.TAIL_BOOSTING):
            patch.setitem(boosting, "max_iter", 40)
            patch.setitem(boosting, "learning_rate", 0.2)
        yield


def daily_rate(n: int, step_min: int, seed: int = 0) -> np.ndarray:
    """A daily course with zeros at midday and noise that lasts for hours. [kg kWh⁻¹]"""
    rng = np.random.default_rng(seed)
    hour = np.arange(n) * step_min / 60 % 24
    noise = np.zeros(n)
    for i in range(1, n):
        noise[i] = 0.97 * noise[i - 1] + rng.normal(0, 0.01)
    rate = 0.3 - 0.32 * np.exp(-((hour - 12) ** 2) / 8) + noise
    return np.maximum(np.round(rate, 6), 0.0)


def write_rate(folder: Path, n: int = 24 * 90, step_min: int = 60, edit=lambda lines: lines) -> Path:
    times = [(START + timedelta(minutes=step_min * k)).strftime("%Y-%m-%dT%H:%M:%SZ") for k in range(n)]
    lines = [f"{t},{r}" for t, r in zip(times, daily_rate(n, step_min), strict=True)]
    folder.mkdir(exist_ok=True)
    (folder / "rate.csv").write_text("\n".join(["time_utc,rate_kg_per_kwh", *edit(lines)]) + "\n")
    return folder / "rate.csv"


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("pack") / "somewhere"
    write_rate(folder)
    times = [(START + timedelta(hours=k)).isoformat() for k in range(24 * 90)]
    wind = np.cos(np.arange(len(times)) / 9).round(3)
    (folder / "state.csv").write_text(
        "time_utc,generation_wind_mw\n" + "\n".join(f"{t},{w}" for t, w in zip(times, wind, strict=True))
    )
    return TASKS.get("published-rate")(Ask(folder))


def test_every_row_stands_beside_its_baselines_in_the_one_shape(report) -> None:
    """The same intervals for all; nothing is NaN; regimes beside what the article expects."""
    json.dumps(report, allow_nan=False)
    whole = report["rows"][0]
    assert whole["reference"] == "published-rate-60min"
    assert whole["region"] == "somewhere"
    assert set(whole["baselines"]) == {
        "persistence", "day_before", "hour_of_day", "month_by_hour",
    }  # fmt: skip
    assert whole["n"] == 720
    assert sum(whole["weights"].values()) == pytest.approx(1.0)
    regimes = [row for row in report["rows"] if "regime" in row]
    assert regimes
    assert all(len(row["expected_half_width_frac"]) == 2 for row in regimes)


def test_an_hour_ahead_it_beats_both_baselines_by_a_tenth(report) -> None:
    """On an invented series that has a course and a memory."""
    row = report["rows"][0]
    assert row["mae"] < 0.9 * min(row["baselines"][k]["mae"] for k in ("persistence", "hour_of_day"))
    assert 0.82 < row["coverage90"] < 0.97


def test_zeros_are_scored_as_an_event(report) -> None:
    """F1 and Brier beside persistence and climatology."""
    row = next(row for row in report["rows"] if row["reference"] == "published-zero")
    assert row["f1"] > 0.6
    assert row["brier"] < row["baselines"]["persistence"]["brier"]
    assert set(row["baselines"]) == {"persistence", "climatology"}


@pytest.mark.parametrize("step_min", [5, 15, 60])
def test_the_step_is_read_from_the_table_and_gaps_stay_gaps(tmp_path: Path, step_min: int) -> None:
    """A missing row is NaN, in any order of rows; kilograms become grams once."""
    path = write_rate(tmp_path, 300, step_min, lambda lines: [*lines[200:], *lines[:100], *lines[101:200]])
    series = read_rate_table(path)
    n = int(np.isfinite(series.rate_gco2_per_kwh).sum())
    assert series.step_s == 60 * step_min
    assert (len(series.rate_gco2_per_kwh), n) == (300, 299)
    assert np.isnan(series.rate_gco2_per_kwh[100])
    assert series.rate_gco2_per_kwh[0] == pytest.approx(1000 * daily_rate(300, step_min)[0])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("2021-03-02T01:00:00Z,high", "row 27, column rate_kg_per_kwh: 'high'"),
        ("yesterday,0.3", "row 27, column time_utc: 'yesterday'"),
        ("2021-03-02T01:07:00Z,0.3", "row 27: 2021-03-02T01:07:00Z is off the grid"),
        ("2021-03-02T00:00:00Z,0.3", "rows 26 and 27: 2021-03-02T00:00:00Z stands twice"),
        ("2021-03-02T01:00:00Z,412.7", "row 27, column rate_kg_per_kwh: 412.7 is no rate in kg/kWh"),
        ("2021-03-02T01:00:00Z,nan", "row 27, column rate_kg_per_kwh: 'nan'"),
        ("2021-03-02T01:00:00Z", "row 27: 1 cells"),
    ],
)
def test_a_bad_row_is_refused_by_its_number(tmp_path: Path, line: str, said: str) -> None:
    """Never a silent number."""
    path = write_rate(tmp_path, 200, 60, lambda lines: [*lines[:25], line, *lines[26:]])
    with pytest.raises(TableError) as refused:
        read_rate_table(path)
    assert said in str(refused.value)


def test_what_cannot_be_asked_is_refused(tmp_path: Path) -> None:
    """No table, an unknown region, a horizon off the step, a test before the data, nothing before the test."""
    task = TASKS.get("published-rate")
    with pytest.raises(InputError, match=r"rate\.csv"):
        task(Ask(tmp_path))
    folder = tmp_path / "here"
    write_rate(folder, 24 * 30)
    with pytest.raises(UnknownNameError, match="here"):
        task(Ask(folder, region="there"))
    with pytest.raises(InputError, match="whole number"):
        task(Ask(folder, horizon_min=45))
    with pytest.raises(InputError, match="no interval lies"):
        task(Ask(folder, test_year=2019))
    with pytest.raises(InputError, match="precede"):
        task(Ask(folder, test_from=START))
    with pytest.raises(TimeError):
        task(Ask(folder, test_from=START + timedelta(days=9), test_to=START + timedelta(days=8)))


@pytest.fixture(scope="module")
def california(tmp_path_factory) -> Path:
    """Invented rates in the publisher's format: twelve days of two areas."""
    folder = tmp_path_factory.mktemp("moer")
    n = 288 * 12
    times = [START + timedelta(minutes=5 * k) for k in range(n)]
    pl.DataFrame(
        {"time_utc": times, "PGE": daily_rate(n, 5, 1), "SCE": daily_rate(n, 5, 2)},
        schema_overrides={"time_utc": pl.Datetime("us", "UTC")},
    ).write_parquet(folder / "moer_5min.parquet")
    return folder


@pytest.mark.parametrize("horizon_min", [None, 180])
def test_californias_rate_is_nowcast_and_forecast(california: Path, horizon_min: int | None) -> None:
    """One region asked for, one region's rows; the last third is scored."""
    report = TASKS.get("caiso-moer")(Ask(california, horizon_min=horizon_min, region="SCE"))
    assert {row["region"] for row in report["rows"]} == {"SCE"}
    row = report["rows"][0]
    assert row["n"] == 288 * 4
    assert row["mae"] < row["baselines"]["persistence"]["mae"]
    with pytest.raises(UnknownNameError, match="PGE"):
        TASKS.get("caiso-moer")(Ask(california, region="PGEE"))
