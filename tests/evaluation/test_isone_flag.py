"""The backtest of the operator's flags: honest baselines, nothing of the test in the fit."""

from __future__ import annotations

import gzip
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from gridmargin.evaluation import TASKS, Ask
from gridmargin.evaluation.flag_model import Cases, _regress, cases_of, learn
from gridmargin.grid import assemble
from gridmargin.sources import SOURCES, Payload
from gridmargin.vocab import InputError, Interval, UnknownNameError

START = datetime(2024, 4, 1, 5, tzinfo=UTC)


def table(n_days: int = 4, seed: int = 1) -> bytes:
    """Hydro follows the evening rise and is flagged then; wood is flagged at random; gas otherwise."""
    generator = np.random.default_rng(seed)
    lines = ["BeginDate,GenMw,FuelCategoryRollup,FuelCategory,MarginalFlag"]
    for step in range(n_days * 144):
        at = START + timedelta(minutes=10 * step, seconds=int(generator.integers(0, 240)))
        hour = (step % 144) / 6
        rising = 16 <= hour < 19
        hydro = 800 + (
            400 * (hour - 16) if rising else 1200 * max(0.0, 1 - (hour - 19) / 3) if hour >= 19 else 0
        )
        flag_hydro = rising and generator.random() < 0.8
        flag_wood = not flag_hydro and generator.random() < 0.02
        rows = {
            "Natural Gas": (
                6000 + 1000 * np.sin(np.pi * hour / 12) + generator.normal(0, 50),
                not (flag_hydro or flag_wood),
            ),
            "Hydro": (hydro + generator.normal(0, 10), flag_hydro),
            "Wood": (200 + generator.normal(0, 2), flag_wood),
            "Nuclear": (3300, False),
        }
        stamp = f"{at:%Y-%m-%dT%H:%M:%S}.000+00:00"
        lines += [
            f"{stamp},{mw:.0f},{name},{name},{'Y' if flag else 'N'}" for name, (mw, flag) in rows.items()
        ]
    return gzip.compress(("\n".join(lines) + "\n").encode())


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("isone")
    (made / "genfuelmix.csv.gz").write_bytes(table())
    return made


@pytest.fixture(scope="module")
def report(folder):
    return TASKS.get("isone-flag")(Ask(folder))


def cases(body: bytes) -> Cases:
    source, payload = SOURCES.get("isone"), Payload("isone", "genfuelmix.csv.gz", body)
    everything = Interval(START, START + timedelta(days=30))
    return cases_of(assemble(source.parse(payload, everything), "US-ISNE", 300))


def whole(report, estimator="mix"):
    return next(
        r for r in report["rows"] if r["estimator"] == estimator and r["reference"] == "operator's flag"
    )


def test_each_row_has_its_baselines_of_the_same_states(report) -> None:
    """Always gas, the flag before and the frequency, scored on the same n."""
    for row in report["rows"]:
        assert {"always_gas", "previous", "climatology"} == set(row["baselines"])
        assert row["n"] > 0
        assert 0 <= row["f1"] <= 1
    fuels = {row["reference"].partition(": ")[2] for row in report["rows"]} - {""}
    assert fuels == {"gas", "hydro", "biomass"}


def test_flags_that_follow_the_load_are_found(report) -> None:
    """Where hydro is flagged as it rises with the evening, F1 is far above always gas and Brier below frequency."""
    row = whole(report)
    assert row["f1"] > 1.5 * row["baselines"]["always_gas"]["f1"]
    assert row["brier"] < 0.8 * row["baselines"]["climatology"]["brier"]


def test_flags_at_random_are_not_claimed(folder) -> None:
    """Wood is flagged by chance: its probability stays its frequency, and it is never called."""
    found = cases(table())
    train = found.rows(np.arange(len(found)) < len(found) * 2 // 3)
    wood = [fuel.value for fuel in found.fuels].index("biomass")
    probability, said = learn(train, with_past=False).predict(found)
    assert not said[:, wood].any()
    assert np.abs(probability[:, wood] - train.flagged[:, wood].mean()).max() < 0.05


def test_macro_f1_is_the_mean_over_the_fuels_that_were_flagged(report) -> None:
    """Recomputed from the per-fuel rows; `always gas` has F1 0 on all but gas."""
    period = whole(report)["period"]
    rows = [r for r in report["rows"] if r["estimator"] == "mix" and r["period"] == period]
    each = [r["f1"] for r in rows if ": " in r["reference"]]
    assert whole(report)["f1"] == pytest.approx(np.mean(each))
    gas = next(r for r in rows if r["reference"].endswith(": gas"))
    assert whole(report)["baselines"]["always_gas"]["f1"] == pytest.approx(
        gas["baselines"]["always_gas"]["f1"] / 3
    )


def test_the_test_does_not_reach_into_the_fit() -> None:
    """Flags and generation of the test turned upside down leave the model as it was."""
    found = cases(table())
    half = len(found) // 2
    other = replace(found, flagged=found.flagged.copy(), generation_mw=found.generation_mw.copy())
    other.flagged[half:] = ~other.flagged[half:]
    other.generation_mw[half:] *= 3
    first = np.arange(len(found)) < half
    one, two = (learn(c.rows(first), with_past=True).predict(found.rows(first))[0] for c in (found, other))
    np.testing.assert_array_equal(one, two)


def test_without_the_past_the_flags_before_do_not_matter() -> None:
    """`mix` reads no flag at all when it predicts."""
    found = cases(table())
    model = learn(found, with_past=False)
    blind = replace(found, previous=1 - found.previous, flagged=~found.flagged)
    np.testing.assert_array_equal(model.predict(found)[0], model.predict(blind)[0])


@pytest.mark.parametrize("ridge", [0.1, 1.0, 10.0])
def test_the_regression_is_the_one_that_a_library_finds(ridge: float) -> None:
    """Slopes and intercept agree with scikit-learn's, whose C is this ridge."""
    from sklearn.linear_model import LogisticRegression

    generator = np.random.default_rng(3)
    x = generator.normal(size=(300, 4))
    happened = generator.random(300) < 1 / (1 + np.exp(2 - x[:, 0] + 0.5 * x[:, 2]))
    weight, intercept = _regress(x, happened, ridge)
    oracle = LogisticRegression(C=ridge, tol=1e-10, max_iter=10_000).fit(x, happened)
    np.testing.assert_allclose(weight, oracle.coef_[0], atol=1e-5)
    assert intercept == pytest.approx(float(oracle.intercept_[0]), abs=1e-5)


def test_a_change_over_a_gap_is_not_known() -> None:
    """States a day apart have no rise over half an hour; one flagged state before a gap is no past."""
    early, late = cases(table(1)), cases(table(4))
    gap = np.r_[0:60, 300:400]
    assert np.isnan(early.rise_mw[0]).all()
    found = late.rows(gap)
    assert len(found) == 160
    assert set(np.unique(late.previous)) <= {0.0, 0.5, 1.0}
    assert (late.previous[0] == 0.5).all()


def test_the_period_can_be_named(folder) -> None:
    """`--test-from` and `--test-to` bound what is scored; nothing before it is no fit."""
    day = START + timedelta(days=3)
    rows = TASKS.get("isone-flag")(Ask(folder, test_from=day, test_to=day + timedelta(hours=6)))["rows"]
    tested = [row for row in rows if not row["period"].startswith("out-of-fold")]
    assert {row["n"] for row in tested} == {36}
    with pytest.raises(InputError, match="before the test"):
        TASKS.get("isone-flag")(Ask(folder, test_from=START))
    with pytest.raises(InputError, match="horizon"):
        TASKS.get("isone-flag")(Ask(folder, horizon_min=60))
    with pytest.raises(UnknownNameError, match="US-ISNE"):
        TASKS.get("isone-flag")(Ask(folder, region="US-NYIS"))


def test_an_empty_folder_says_what_is_wanted(tmp_path) -> None:
    """The file that was looked for is named."""
    with pytest.raises(InputError, match=r"genfuelmix\.csv\.gz"):
        TASKS.get("isone-flag")(Ask(tmp_path))


@pytest.mark.data
def test_on_the_recorded_days_the_probabilities_beat_the_frequency(data_dir) -> None:
    """Brier below climatology on what follows the fit and day by day out of fold, from the mix alone."""
    rows = TASKS.get("isone-flag")(Ask(data_dir))["rows"]
    for row in rows:
        if row["reference"] == "operator's flag":
            assert row["brier"] < row["baselines"]["climatology"]["brier"]
            assert row["f1"] >= row["baselines"]["always_gas"]["f1"] - 1e-9
