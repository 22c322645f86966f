"""Storage, curtailment and imports as modifiers of the margin."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.grid import GridStates
from gridmargin.marginal import Curtailment, Estimates, Fit, Imports, Modified, Storage, modify
from gridmargin.vocab import Basis, Fuel, Horizon, InputError, Kind, MixedKindsError

START_S = int(datetime(2024, 5, 1, tzinfo=UTC).timestamp())
HOUR_S = 3600
FIT = Fit(
    "made_up",
    "1",
    "US-ERCO",
    datetime(2023, 1, 1, tzinfo=UTC),
    datetime(2024, 1, 1, tzinfo=UTC),
    10,
    {"a": 1},
)


def states(n: int, **columns: object) -> GridStates:
    starts = (START_S + np.arange(n) * HOUR_S) * 1_000_000
    frame = pl.DataFrame(
        {
            "start_utc": pl.Series(starts).cast(pl.Datetime("us", "UTC")),
            "status": ["reported"] * n,
            "completeness_frac": [1.0] * n,
            **{name: pl.Series(values, dtype=pl.Float64) for name, values in columns.items()},
        }
    )
    return GridStates("US-ERCO", HOUR_S, frame)


def estimates(mid: np.ndarray, zone: str = "US-ERCO", probability: np.ndarray | None = None) -> Estimates:
    """Coal at 1,000 and gas at 400; the share of coal makes the middle."""
    n = len(mid)
    coal = (np.asarray(mid, dtype=float) - 400) / 600 if probability is None else probability
    p = np.column_stack([coal, 1 - coal])
    factor = np.broadcast_to([1000.0, 400.0], (n, 2))
    middle = np.einsum("nk,nk->n", p, factor)
    return Estimates(
        zone, HOUR_S, START_S + np.arange(n) * HOUR_S, middle * 0.8, middle, middle * 1.3, ("coal", "gas"), p, factor,
        np.full(n, "level1"), np.full(n, "reported"), Basis(Kind.MARGINAL), "made_up", "1", FIT.fit_id,
    )  # fmt: skip


def sound(done: Modified) -> None:
    """What holds for whatever came out: `Estimates` itself checks sums and order; these are the stricter ones."""
    e = done.estimates
    np.testing.assert_allclose(e.source_probability.sum(axis=1), 1.0, rtol=0, atol=1e-12)
    np.testing.assert_allclose((e.source_probability * e.source_factor).sum(axis=1), e.mid, rtol=1e-12)
    assert (e.source_probability >= 0).all()
    assert (e.low <= e.mid).all()
    assert (e.mid <= e.high).all()
    assert (e.low >= 0).all()
    assert e.fit_id == done.fit.fit_id


ARRAYS = st.integers(0, 2**32 - 1)


def random_case(seed: int, n: int = 60) -> tuple[Estimates, GridStates, Estimates]:
    generator = np.random.default_rng(seed)
    battery = generator.normal(0, 100, n).round()
    price = np.where(generator.random(n) < 0.2, np.nan, generator.normal(10, 20, n))
    curtailed = np.where(generator.random(n) < 0.2, np.nan, np.maximum(generator.normal(0, 50, n), 0))
    grid = states(
        n,
        generation_gas_mw=generator.uniform(1e3, 5e3, n),
        generation_battery_mw=battery,
        generation_pumped_mw=generator.normal(0, 300, n).round(),
        price_usd_per_mwh=pl.Series(price, nan_to_null=True),
        curtailment_mw=pl.Series(curtailed, nan_to_null=True),
        **{
            "imports_from_US-SPP_mw": generator.uniform(-500, 500, n),
            "imports_from_US-MISO_mw": generator.uniform(-9, 9, n),
        },
    )
    ours = estimates(400 + 600 * generator.random(n))
    theirs = estimates(400 + 600 * generator.random(n), zone="US-SPP")
    return ours, grid, theirs


@given(seed=ARRAYS)
def test_probabilities_sum_to_one_and_make_the_middle_whatever_is_switched_on(seed: int) -> None:
    """All three together on noise: distributions stay distributions and ranges stay in order."""
    ours, grid, theirs = random_case(seed)
    everything = [
        Imports({"US-SPP": theirs, "US-MISO": theirs}, limits_mw={"US-SPP": (450, 450), "US-MISO": (8, 8)}),
        Storage(),
        Curtailment(),
    ]
    for chosen in (everything, everything[:1], everything[1:2], everything[2:]):
        done = modify(ours, grid, FIT, chosen)
        sound(done)
        assert [applied.name for applied in done.applied] == [modifier.name for modifier in chosen]


@given(seed=ARRAYS)
def test_intervals_that_are_not_changed_stay_bit_for_bit(seed: int) -> None:
    """Only what the record lists has moved; its regime says so."""
    ours, grid, theirs = random_case(seed)
    done = modify(ours, grid, FIT, [Imports({"US-SPP": theirs}), Storage(), Curtailment()])
    changed = np.isin(ours.start_epoch_s, np.concatenate([applied.start_epoch_s for applied in done.applied]))
    for name in ("low", "mid", "high", "regime"):
        before, after = getattr(ours, name)[~changed], getattr(done.estimates, name)[~changed]
        np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(
        done.estimates.source_probability[~changed, :2], ours.source_probability[~changed]
    )
    assert all("+" in label for label in done.estimates.regime[changed])


def test_switched_off_is_the_same_object() -> None:
    """No modifier: estimates and fit come back as they were."""
    ours, grid, _ = random_case(1)
    done = modify(ours, grid, FIT, [])
    assert done.estimates is ours
    assert done.fit is FIT
    assert done.applied == ()


def test_the_switch_set_is_in_the_fit_and_in_the_names() -> None:
    """Another switch or another setting is another fit id; the estimator's name tells them apart in the ledger."""
    ours, grid, _ = random_case(1)
    runs = [
        modify(ours, grid, FIT, chosen)
        for chosen in ([], [Storage()], [Storage(horizon_h=12)], [Curtailment()], [Storage(), Curtailment()])
    ]
    assert len({done.fit.fit_id for done in runs}) == 5
    assert runs[-1].estimates.estimator == "made_up+storage+curtailment"
    assert [m["name"] for m in runs[-1].fit.parameters["modifiers"]] == ["storage", "curtailment"]
    with pytest.raises(InputError, match="given twice"):
        modify(ours, grid, FIT, [Storage(), Storage()])


@given(seed=ARRAYS, cut=st.integers(10, 59))
def test_no_modifier_sees_the_future(seed: int, cut: int) -> None:
    """What comes after an interval does not change it."""
    ours, grid, theirs = random_case(seed)
    chosen = [Imports({"US-SPP": theirs}, warm_up_h=5), Storage(), Curtailment()]
    whole = modify(ours, grid, FIT, chosen).estimates
    shorter = replace(
        ours,
        **{
            name: getattr(ours, name)[:cut]
            for name in (
                "start_epoch_s",
                "low",
                "mid",
                "high",
                "source_probability",
                "source_factor",
                "regime",
                "status",
            )
        },
    )
    part = modify(shorter, replace(grid, frame=grid.frame[:cut]), FIT, chosen).estimates
    for name in ("low", "mid", "high"):
        np.testing.assert_allclose(getattr(part, name), getattr(whole, name)[:cut], rtol=1e-12)


def test_a_store_that_discharges_costs_the_hour_it_charged_over_its_efficiency() -> None:
    """Charged at 400, discharging at noon: 500 with 80 %; charging again displaces what it gave, times 80 %."""
    battery = [-100.0, -100.0, 50.0, 80.0, -60.0]
    ours = estimates(np.array([400.0, 400.0, 1000.0, 1000.0, 400.0]))
    grid = states(5, generation_battery_mw=battery, generation_gas_mw=[1000.0] * 5)
    store = Storage({Fuel.BATTERY: 0.8}, power_mw={Fuel.BATTERY: 200.0})
    done = modify(ours, grid, FIT, [store])
    sound(done)
    # Only the battery moves, so that all of the answer is its own.
    np.testing.assert_allclose(done.estimates.mid, [400, 400, 500, 500, 800])
    assert done.applied[0].n_changed == 3
    discharging = done.estimates.source_names.index("battery:discharging")
    assert done.estimates.source_factor[2, discharging] == pytest.approx(400 / 0.8)


def test_a_store_at_its_power_limit_or_at_rest_does_not_answer() -> None:
    """Full power either way, or no flow: the margin is what it was."""
    ours = estimates(np.array([400.0, 1000.0, 1000.0, 400.0]))
    grid = states(4, generation_battery_mw=[-200.0, 200.0, 0.0, -199.0], generation_gas_mw=[1000.0] * 4)
    done = modify(ours, grid, FIT, [Storage({Fuel.BATTERY: 0.8}, power_mw={Fuel.BATTERY: 200.0})])
    np.testing.assert_array_equal(done.estimates.mid, ours.mid)
    assert done.applied[0].n_changed == 0


def test_a_store_answers_in_the_share_that_it_moves() -> None:
    """Gas moves 300, the battery 100: a quarter of the answer is the battery's."""
    ours = estimates(np.array([400.0, 400.0, 400.0]))
    grid = states(3, generation_battery_mw=[-100.0, -50.0, 50.0], generation_gas_mw=[1000.0, 1300.0, 1600.0])
    done = modify(ours, grid, FIT, [Storage({Fuel.BATTERY: 0.8}, power_mw={Fuel.BATTERY: 200.0})])
    assert done.estimates.mid[2] == pytest.approx(0.75 * 400 + 0.25 * 400 / 0.8)


def test_a_store_that_has_not_charged_within_the_horizon_is_left_alone() -> None:
    """No hour to buy back from: nothing is made up (C8)."""
    ours = estimates(np.full(6, 400.0))
    grid = states(6, generation_battery_mw=[-100.0, 0.0, 0.0, 0.0, 0.0, 50.0], generation_gas_mw=[1000.0] * 6)
    store = Storage({Fuel.BATTERY: 0.8}, power_mw={Fuel.BATTERY: 200.0}, horizon_h=3)
    assert modify(ours, grid, FIT, [store]).applied[0].n_changed == 0
    assert modify(ours, grid, FIT, [replace(store, horizon_h=6)]).applied[0].n_changed == 1


def test_curtailment_answers_where_the_price_says_that_it_is_the_zones() -> None:
    """The table of the page, row by row."""
    ours = estimates(np.full(5, 700.0))
    grid = states(
        5,
        curtailment_mw=[500.0, 500.0, 500.0, None, 5.0],
        price_eur_per_mwh=[-3.0, 40.0, None, 0.0, -3.0],
    )
    free = modify(ours, grid, FIT, [Curtailment()]).estimates
    np.testing.assert_array_equal(free.mid, [0, 700, 700, 700, 700])
    np.testing.assert_array_equal(free.low, [0, 560, 0, 0, 560])
    np.testing.assert_array_equal(free.high, ours.high)
    behind = modify(ours, grid, FIT, [Curtailment(behind_constraint=True)]).estimates
    np.testing.assert_array_equal(behind.mid, [0, 0, 0, 700, 700])


def test_a_full_tie_leaves_the_answer_inside() -> None:
    """At the import or the export limit nothing more comes; in between the neighbour has its share."""
    ours, theirs = estimates(np.full(4, 400.0)), estimates(np.full(4, 1000.0), zone="US-SPP")
    flow = [0.0, 100.0, 300.0, -300.0]
    grid = states(4, generation_gas_mw=[1000.0, 1100.0, 1100.0, 1700.0], **{"imports_from_US-SPP_mw": flow})
    done = modify(ours, grid, FIT, [Imports({"US-SPP": theirs}, limits_mw={"US-SPP": (300, 300)})])
    np.testing.assert_allclose(done.estimates.mid, [400, 700, 400, 400])
    assert done.estimates.source_names[-1] == "imports:US-SPP"


def test_two_neighbours_each_end_with_their_own_share() -> None:
    """Gas, and two ties that move alike: a third each, whatever the order."""
    ours = estimates(np.full(2, 400.0))
    grid = states(
        2,
        generation_gas_mw=[1000.0, 1100.0],
        **{"imports_from_US-SPP_mw": [0.0, 100.0], "imports_from_US-MISO_mw": [0.0, -100.0]},
    )
    zones = {"US-SPP": estimates(np.full(2, 700.0)), "US-MISO": estimates(np.full(2, 1000.0))}
    limits = dict.fromkeys(zones, (500.0, 500.0))
    for order in (["US-SPP", "US-MISO"], ["US-MISO", "US-SPP"]):
        done = modify(ours, grid, FIT, [Imports({z: zones[z] for z in order}, limits_mw=limits)])
        sound(done)
        assert done.estimates.mid[1] == pytest.approx((400 + 700 + 1000) / 3)


def test_a_learned_limit_waits_until_it_has_seen_enough() -> None:
    """Before the warm-up every tie counts as full; after it a flow below the record has room."""
    n = 12
    flow = [0.0, 400.0, 100.0, 200.0] * 3
    ours, theirs = estimates(np.full(n, 400.0)), estimates(np.full(n, 1000.0), zone="US-SPP")
    grid = states(n, generation_gas_mw=[1000.0] * n, **{"imports_from_US-SPP_mw": flow})
    done = modify(ours, grid, FIT, [Imports({"US-SPP": theirs}, warm_up_h=6)])
    changed = (done.applied[0].start_epoch_s - START_S) // HOUR_S
    assert changed.tolist() == [6, 7, 8, 10, 11]  # hour 9 is at the record of 400


def test_a_neighbour_of_another_kind_is_refused() -> None:
    """A long-run neighbour beside a short-run zone is C3."""
    ours, grid, theirs = random_case(3)
    long_run = replace(theirs, basis=Basis(Kind.MARGINAL, horizon=Horizon.LONG_RUN))
    with pytest.raises(MixedKindsError, match="C3"):
        modify(ours, grid, FIT, [Imports({"US-SPP": long_run})])


def test_states_of_another_zone_are_refused() -> None:
    """A modifier needs the states that the estimates were made for."""
    ours, grid, _ = random_case(3)
    with pytest.raises(InputError, match="same zone and grid"):
        modify(ours, replace(grid, zone="US-PJM"), FIT, [Curtailment()])
    with pytest.raises(InputError, match="have no state"):
        modify(ours, replace(grid, frame=grid.frame[:5]), FIT, [Curtailment()])
