"""The backtests nem and de: what they refuse, and what they reach on the real tables."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gridmargin.evaluation import TASKS, Ask
from gridmargin.vocab import InputError, UnknownNameError


@pytest.mark.parametrize("task", ["nem", "de", "borders"])
def test_a_folder_without_tables_and_options_without_use_are_refused(task, tmp_path):
    """The message names the file that is not there, or the option to leave out."""
    with pytest.raises(InputError, match="under"):
        TASKS.get(task)(Ask(tmp_path))
    with pytest.raises(InputError, match="`horizon_min`"):
        TASKS.get(task)(Ask(tmp_path, horizon_min=60))
    with pytest.raises(UnknownNameError):
        TASKS.get(task)(Ask(tmp_path, region="US-ERCO"))


@pytest.mark.data
def test_australian_units_are_predicted(data_dir):
    """Unit output r ≥ 0.95 with hydro and without, ΔE for ΔG at most 0.8 of a constant's error, ranges that hold."""
    rows = TASKS.get("nem")(Ask(data_dir))["rows"]
    for what in ("output of fossil units", "output of fossil and hydro units"):
        fits = {row["fit"]: row for row in rows if row["reference"] == what}
        assert fits["fitted on all that precedes the test"]["r"] >= 0.95
        assert fits["fitted again every day on all that precedes"]["r"] >= 0.96
    changes = [row for row in rows if row["reference"].startswith("change of CO2")]
    assert changes[0]["mae_over_constant"] <= 0.8
    assert 0.88 <= changes[0]["coverage90"] <= 0.92
    assert {row["regime"] for row in changes[1:]} == {"rising", "falling", "still"}
    rate = [row for row in rows if row["reference"].startswith("CO2 per fossil generation")]
    assert 0.88 <= rate[0]["coverage90"] <= 0.92


@pytest.mark.data
def test_a_test_before_any_past_is_refused(data_dir):
    """The first day has nothing before it."""
    with pytest.raises(InputError, match="half hours before"):
        TASKS.get("nem")(Ask(data_dir, test_from=datetime(2017, 6, 1, tzinfo=UTC)))


@pytest.mark.data
def test_the_german_stack_follows_the_price_without_having_seen_one(data_dir):
    """Costs alone, two months of 2018: r against the price well above a published tool's year."""
    ask = Ask(data_dir, test_from=datetime(2018, 3, 1, tzinfo=UTC), test_to=datetime(2018, 5, 1, tzinfo=UTC))
    rows = TASKS.get("de")(ask)["rows"]
    assert rows[0]["fit"] == "costs alone"
    assert rows[0]["r"] > 0.8
    assert sum(rows[0]["source_share_frac"].values()) == pytest.approx(1.0, abs=0.01)
    ranged = [row for row in rows if row["reference"].startswith("range of") and row["fit"] == "costs alone"]
    assert "regime" not in ranged[0]
    assert 0.86 <= ranged[0]["coverage90"] <= 0.94
