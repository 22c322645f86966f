"""The backtests of fuel-mix zones on real tables: what they must reach, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gridmargin.evaluation import TASKS, Ask
from gridmargin.vocab import InputError, UnknownNameError

FIGURES = {"n", "mae", "rmse", "bias", "r", "coverage90", "width90"}


def rows_of(report: dict, **wanted: str) -> list[dict]:
    rows = [
        row for row in report["rows"] if all(str(row.get(k, "")).startswith(v) for k, v in wanted.items())
    ]
    assert rows
    return rows


@pytest.mark.data
def test_ercots_mean_rate_of_2020_is_and_mean_day_are_epas(data_dir: Path) -> None:
    """Mean within 3 %, hour of day at 0.9, fitted on 2019 with curves of 2019; both of EPA's displacement shares."""
    report = TASKS.get("ercot")(Ask(data_dir, test_year=2020))
    for row in rows_of(report, estimator="regression", zone="US-ERCO"):
        assert row["n"] == 8784
        assert abs(row["bias_frac"]) < 0.03
        assert row["mae"] < row["baselines"]["hour_month"]["mae"]
        assert row["profile_r"] > 0.9
        assert row["coverage90"] > 0.88


@pytest.mark.data
def test_eia930_means_of_2022_are_near_epas(data_dir: Path) -> None:
    """Within 3 % in all five balancing authorities, out of fold over the year, with rates and borders of 2021."""
    report = TASKS.get("eia930")(Ask(data_dir))
    rows = rows_of(report, estimator="regression", period="out-of-fold")
    assert {row["zone"] for row in rows} == {"US-ERCO", "US-CISO", "US-NYIS", "US-PJM", "US-MISO"}
    assert {row["period"].split()[1] for row in rows} == {"6", "12"}
    for row in rows:
        assert abs(row["bias_frac"]) < 0.03, row
        assert row["r"] > 0.3, row
    (pooled,) = [r for r in rows_of(report, region="all", estimator="regression") if "regime" not in r]
    assert 0.88 <= pooled["coverage90"] <= 0.92


@pytest.mark.data
def test_a_report_keeps_the_one_shape_and_is_plain_json(data_dir: Path) -> None:
    """Every row has its region, reference, unit and baselines; nothing is NaN."""
    report = TASKS.get("ercot")(Ask(data_dir / "grid", avert=data_dir / "grid"))
    assert set(report) == {"task", "versions", "seconds", "rows"}
    assert report["task"] == "ercot"
    json.dumps(report, allow_nan=False)
    for row in report["rows"]:
        assert {"region", "reference", "unit", "baselines"} | FIGURES <= set(row)
        if row["region"] == "all":
            continue
        assert set(row["baselines"]) == {"constant", "hour_month"}
        assert "r" not in row["baselines"]["constant"]


@pytest.mark.data
def test_a_fit_never_sees_the_test(data_dir: Path) -> None:
    """Nothing precedes 2019 in these tables, and a train year after the test is refused."""
    with pytest.raises(InputError, match="no states before"):
        TASKS.get("ercot")(Ask(data_dir, test_year=2019))
    with pytest.raises(InputError, match="does not precede"):
        TASKS.get("ercot")(Ask(data_dir, train_year=2020, test_year=2020))


@pytest.mark.data
def test_an_unknown_region_lists_the_known_ones(data_dir: Path) -> None:
    """Each task names its own."""
    with pytest.raises(UnknownNameError, match="Texas"):
        TASKS.get("ercot")(Ask(data_dir, region="Texsa"))
    with pytest.raises(UnknownNameError, match="US-MISO"):
        TASKS.get("eia930")(Ask(data_dir, region="MISSO"))


def test_a_folder_without_tables_is_refused(tmp_path: Path) -> None:
    """The message names what was looked for."""
    with pytest.raises(InputError, match="IntGenByFuel"):
        TASKS.get("ercot")(Ask(tmp_path))
    with pytest.raises(InputError, match="EIA-930"):
        TASKS.get("eia930")(Ask(tmp_path))
