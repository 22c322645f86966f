"""Flags are scored cell by cell against a reconciled table that stands beside the raw one."""

import numpy as np
import polars as pl
import pytest

from gridmargin.evaluation import TASKS, Ask
from gridmargin.vocab import InputError

N = 24 * 10


def tables(folder, *, reconciled=True):
    """Two authorities that add up; in the raw table gas of one is six times itself in three hours, and absent in one."""
    draw = np.random.default_rng(3)
    hour = np.arange(N)
    columns = {"period": [f"2021-07-{10 + h // 24:02d}T{h % 24:02d}" for h in hour]}
    for authority in ("AAA", "BBB"):
        demand = 9_000 + 1_500 * np.sin(2 * np.pi * hour / 24) + draw.normal(0, 30, N)
        coal = 3_000 + draw.normal(0, 30, N)
        columns |= {
            f"E_{authority}_D": demand,
            f"E_{authority}_TI": np.full(N, -200.0) + draw.normal(0, 5, N),
        }
        columns |= {f"E_{authority}_COL": coal}
        columns[f"E_{authority}_GAS"] = demand - coal + columns[f"E_{authority}_TI"]
        columns[f"E_{authority}_NG"] = coal + columns[f"E_{authority}_GAS"]
    opt = pl.DataFrame(columns).with_columns(pl.col("period").str.replace("T", " ") + ":00:00")
    gas = [float(v) for v in columns["E_BBB_GAS"]]
    for at in (60, 130, 170):
        gas[at] *= 6
    gas[100] = None
    folder.mkdir()
    pl.DataFrame(columns | {"E_BBB_GAS": gas}).write_csv(folder / "E_raw_made_up.csv")
    if reconciled:
        opt.write_csv(folder / "E_opt_made_up.csv")
    return folder


def test_flags_that_name_the_wrong_values_score_one(tmp_path):
    """All three are found, nothing else is, and what stands beside them is nearer than what was reported."""
    rows = TASKS.get("quality")(Ask(tables(tmp_path / "t")))["rows"]
    [found] = [row for row in rows if row["estimator"] == "flags"]
    assert (found["n_wrong"], found["n_flagged"], found["precision"], found["recall"]) == (3, 3, 1.0, 1.0)
    [beside] = [row for row in rows if row["estimator"] == "imputed where wrong and flagged"]
    assert beside["n"] == 3
    assert beside["mae"] < 0.02 * beside["baselines"]["raw"]["mae"]
    [absent] = [row for row in rows if row["estimator"] == "imputed where absent"]
    assert (absent["n"], absent["mae"] < 200) == (1, True)


def test_hidden_values_are_scored_with_and_without_the_balance(tmp_path):
    """The balance helps where one term is absent."""
    rows = TASKS.get("quality")(Ask(tables(tmp_path / "t")))["rows"]
    mae = {row["estimator"]: row["mae"] for row in rows if row.get("reference") == "hidden values"}
    for hours in (1, 6):
        assert (
            mae[f"imputed for {hours} h, eia930 raw"]
            < mae[f"imputed for {hours} h, eia930 raw, balance not used"]
        )


def test_what_cannot_be_scored_is_refused(tmp_path):
    """A folder without either table, and a raw table without the reconciled one."""
    with pytest.raises(InputError, match="no recorded zone and no reconciled table"):
        TASKS.get("quality")(Ask(tmp_path))
    with pytest.raises(InputError, match=r"E_opt_made_up\.csv is not there"):
        TASKS.get("quality")(Ask(tables(tmp_path / "t", reconciled=False)))


@pytest.mark.data
def test_a_tenfold_value_is_always_found(data_dir):
    """And what was planted is scored by kind; halving an hour is the hardest."""
    rows = TASKS.get("quality")(Ask(data_dir, region="US-MISO"))["rows"]
    recall = {row["estimator"]: row["recall"] for row in rows if row["estimator"].startswith("planted")}
    assert recall["planted x10, eia930"] == 1.0
    assert min(recall, key=recall.__getitem__) == "planted x0.5, eia930"


@pytest.mark.data
def test_recorded_zones_are_not_flagged_en_masse(data_dir):
    """Under one value in two hundred, in a year of hourly tables and three days of the operator's own."""
    for region in ("US-MISO", "US-ISNE"):
        rows = TASKS.get("quality")(Ask(data_dir, region=region))["rows"]
        rates = [row["flagged_frac"] for row in rows if row["estimator"].startswith("flags, ")]
        assert rates
        assert max(rates) < 0.005
