"""The cost of engine steps: what it learns, what it forgets, when it doubts itself, and what it gives to each row."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from gridmargin.attribution import (
    CONTEXT,
    DECODE,
    FIXED,
    IDLE,
    PREFILL,
    TERMS,
    CostFit,
    CostKey,
    StepCost,
    align,
    metered,
    prior_of,
    prior_of_proportions,
    prior_of_work,
    row_terms,
    window_terms,
)
from gridmargin.engines import steps_of
from gridmargin.reference import profile_for, work_profile_for
from gridmargin.vocab import InputError

KEY = CostKey("H100", "qwen3-8b", "vLLM 0.11")
PROFILE = profile_for("H100", "qwen3-8b")
TRUE = np.array([130.0, 1.8, 0.013, 0.025, 1.2e-5, 0.0])
HOUR_US = 3_600_000_000


def steps(n: int, seed: int = 0, *, context: bool = True, step_s: float = 0.0077):
    """Stretches of a quarter of a second, some without a step, batches that come and go."""
    generator = np.random.default_rng(seed)
    batch = np.clip(6 + 4 * np.sin(np.arange(n) / 9) + generator.normal(0, 1.5, n), 0, None)
    ran = np.where(generator.random(n) < 0.1, 0.0, np.rint(0.25 / (step_s * (1 + batch / 100))))
    prefill = generator.exponential(300, n) * (generator.random(n) < 0.4) * (ran > 0)
    edges = np.arange(n + 1) * 250_000
    columns = {
        "start_us": edges[:-1], "end_us": edges[1:], "n_steps": ran, "prefill_tokens": prefill,
        "decode_tokens": ran * batch,
    }  # fmt: skip
    if context:
        columns["context_tokens"] = ran * batch * generator.uniform(200, 2500, n)
    return steps_of(columns, groups=[["gpu"]], origin="made-up")


def seconds(n: int, first_s: int = 0) -> tuple[np.ndarray, np.ndarray]:
    start = (first_s + np.arange(n)) * 1_000_000
    return start, start + 1_000_000


def told(made, n: int, noise_w: float = 0.0, true=TRUE, seed: int = 1):
    """Windows of one second, their terms and what a meter would say."""
    start, end = seconds(n)
    terms = window_terms(made, start, end)
    energy = terms @ true + np.random.default_rng(seed).normal(0, noise_w, n)
    return terms, energy, start, end


def learned(terms, energy, start, end, block: int = 2, **options) -> CostFit:
    fit = CostFit(KEY, prior_of(PROFILE), **options)
    for first in range(0, len(energy), block):
        part = slice(first, first + block)
        fit.update(terms[part], energy[part], start[part], end[part])
    return fit


def test_a_meter_without_noise_gives_the_cost_back() -> None:
    """After ten minutes every coefficient is the true one to a part in a hundred."""
    cost = learned(*told(steps(2400), 600)).cost()
    seen = [IDLE, FIXED, PREFILL, DECODE, CONTEXT]
    np.testing.assert_allclose(cost.coefficients[seen], TRUE[seen], rtol=0.01)


def test_before_any_reading_the_profile_stands() -> None:
    """Nothing read: the coefficients are the profile's."""
    cost = CostFit(KEY, prior_of(PROFILE)).cost()
    assert cost.coefficients[IDLE] == pytest.approx(PROFILE.loaded_idle_w)
    assert cost.coefficients[FIXED] == pytest.approx(PROFILE.fixed_j_per_step)
    assert cost.coefficients[DECODE] == pytest.approx(PROFILE.j_per_decode_token)


def test_proportions_alone_know_no_energy() -> None:
    """Without a level and without a reading there is no cost."""
    with pytest.raises(InputError, match="no reading yet"):
        CostFit(KEY, prior_of_proportions(PROFILE)).cost()


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(1, 39), seed=st.integers(0, 50))
def test_two_updates_are_one(cut: int, seed: int) -> None:
    """Readings taken in two parts leave the same sums, so the same coefficients, as taken at once."""
    terms, energy, start, end = told(steps(160, seed, context=False), 40, 5.0, seed=seed)
    once, twice = learned(terms, energy, start, end, block=40), CostFit(KEY, prior_of(PROFILE))
    for part in (slice(0, cut), slice(cut, 40)):
        twice.update(terms[part], energy[part], start[part], end[part])
    np.testing.assert_allclose(once.cost().coefficients, twice.cost().coefficients, rtol=1e-6, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), noise=st.floats(0, 200))
def test_no_coefficient_is_ever_negative(seed: int, noise: float) -> None:
    """However wild the meter, nothing costs less than nothing."""
    terms, energy, start, end = told(steps(120, seed), 30, noise, seed=seed)
    assert (learned(terms, np.maximum(energy, 0.0), start, end).cost().coefficients >= 0).all()


def test_much_data_and_no_forgetting_is_least_squares() -> None:
    """With a half-life beyond all time, the fit is what a library's non-negative least squares finds."""
    terms, energy, start, end = told(steps(8000), 2000, 5.0)
    cost = learned(terms, energy, start, end, half_life_s=1e9).cost()
    scale = np.maximum(np.abs(terms).max(axis=0), 1e-12)
    oracle = nnls(terms / scale, energy)[0] / scale
    np.testing.assert_allclose(cost.energy_j(terms), terms @ oracle, rtol=2e-3)


def test_what_is_old_is_forgotten() -> None:
    """Twenty half-lives after the fixed cost doubled, the fit has the new one."""
    made = steps(8000)
    terms, energy, start, end = told(made, 2000)
    changed = TRUE * np.where(np.arange(len(TERMS)) == FIXED, 2.0, 1.0)
    energy = np.where(np.arange(2000) < 800, energy, terms @ changed)
    cost = learned(terms, energy, start, end, half_life_s=60.0).cost()
    assert cost.coefficients[FIXED] == pytest.approx(changed[FIXED], rel=0.02)


def test_what_is_kept_does_not_grow() -> None:
    """After a thousand blocks the fit holds arrays of the same size as after one."""

    def kept(fit: CostFit) -> int:
        return sum(value.nbytes for value in vars(fit).values() if isinstance(value, np.ndarray))

    terms, energy, start, end = told(steps(8000), 2000, 5.0)
    assert kept(learned(terms, energy, start, end)) == kept(
        learned(terms[:2], energy[:2], start[:2], end[:2])
    )


def test_attention_is_left_out_where_context_is_not_known() -> None:
    """NaN in the context turns the term off and nothing else."""
    made = steps(2400, context=False)
    true = TRUE * np.where(np.arange(len(TERMS)) == CONTEXT, 0.0, 1.0)
    start, end = seconds(600)
    terms = window_terms(made, start, end)
    assert np.isnan(terms[:, CONTEXT]).all()
    cost = learned(terms, np.nan_to_num(terms) @ true, start, end).cost()
    assert cost.coefficients[CONTEXT] == 0.0
    np.testing.assert_allclose(
        cost.coefficients[[IDLE, FIXED, DECODE]], true[[IDLE, FIXED, DECODE]], rtol=0.01
    )


def test_the_range_holds_nine_in_ten() -> None:
    """Windows predicted before they are read fall into the 90 % range in 86 to 94 of 100 cases."""
    terms, energy, start, end = told(steps(16000), 4000, 8.0)
    fit, held = CostFit(KEY, prior_of(PROFILE)), []
    for first in range(0, 4000, 2):
        part = slice(first, first + 2)
        if first >= 100:
            low, high = fit.cost().range_j(terms[part].sum(axis=0)[None])
            held.append(low[0] <= energy[part].sum() <= high[0])
        fit.update(terms[part], energy[part], start[part], end[part])
    assert 0.86 <= np.mean(held) <= 0.94
    assert fit.cost().drifted_since_us is None


def test_a_drift_raises_an_alarm_and_dates_it() -> None:
    """A card that draws 15 % more from one second on is told within minutes, and since when."""
    terms, energy, start, end = told(steps(8000), 2000, 5.0)
    energy = np.where(np.arange(2000) < 1000, energy, energy * 1.15)
    cost = learned(terms[:1100], energy[:1100], start[:1100], end[:1100]).cost()
    assert cost.drifted_since_us is not None
    assert abs(cost.drifted_since_us / 1e6 - 1000) <= 20
    assert any("out of range since" in doubt for doubt in cost.doubts(KEY, cost.fitted_to_us))


def test_a_cost_says_what_it_is_not_for() -> None:
    """Another stack version, and a use after its date, are each named; its own use is not doubted."""
    cost = learned(*told(steps(400), 100)).cost()
    assert cost.doubts(KEY, cost.fitted_to_us) == ()
    other = CostKey(KEY.device, KEY.model, "vLLM 0.12")
    assert cost.doubts(other, cost.fitted_to_us) == ("serving stack is 'vLLM 0.12', fitted on 'vLLM 0.11'",)
    assert "to be used before" in cost.doubts(KEY, cost.use_by_us)[0]


def test_out_of_profile_is_wider() -> None:
    """The range for another stack holds 0.64 and 1.56 of the estimate, and the own range."""
    terms, energy, start, end = told(steps(400), 100, 5.0)
    cost = learned(terms, energy, start, end).cost()
    low, high = cost.range_j(terms[:1])
    wide_low, wide_high = cost.range_j(terms[:1], out_of_profile=True)
    mid = cost.energy_j(terms[:1])
    assert wide_low[0] < min(low[0], 0.6401 * mid[0])
    assert wide_high[0] > max(high[0], 1.5624 * mid[0])


def test_a_device_never_seen_idle_is_wide_at_idle() -> None:
    """Fitted while always busy, the range of an idle window is a tenth of the idle power at least; of a busy one not."""
    edges = np.arange(401) * 250_000
    busy = steps_of(
        {
            "start_us": edges[:-1],
            "end_us": edges[1:],
            "n_steps": np.full(400, 30.0),
            "decode_tokens": np.full(400, 200.0),
        },
        groups=[["gpu"]],
        origin="made-up",
    )
    start, end = seconds(100)
    terms = np.nan_to_num(window_terms(busy, start, end))
    cost = learned(terms, terms @ TRUE, start, end).cost()
    idle = np.array([[1.0, 0, 0, 0, 0, 0]])
    low, high = cost.range_j(idle)
    assert high[0] - low[0] > 0.5 * cost.coefficients[IDLE]
    low, high = cost.range_j(terms[:1])
    assert high[0] - low[0] < 0.1 * cost.energy_j(terms[:1])[0]


def test_work_units_are_learned_too() -> None:
    """A model of images: energy by denoising step, none by token."""
    profile = work_profile_for("H100", "stabilityai/stable-diffusion-3.5-medium")
    generator = np.random.default_rng(2)
    batch = generator.integers(1, 9, 600).astype(float)
    edges = np.arange(601) * 1_000_000
    made = steps_of(
        {"start_us": edges[:-1], "end_us": edges[1:], "n_steps": np.full(600, 2.0), "work_units": 2 * batch},
        groups=[["gpu"]],
        origin="made-up",
    )
    terms = np.nan_to_num(window_terms(made, edges[:-1], edges[1:]))
    true = np.array([123.0, 5.0, 0, 0, 0, 40.0])
    fit = CostFit(KEY, prior_of_work(profile))
    fit.update(terms, terms @ true, edges[:-1], edges[1:])
    cost = fit.cost()
    assert cost.coefficients[-1] == pytest.approx(40.0, rel=0.02)
    np.testing.assert_allclose(cost.energy_j(terms), terms @ true, rtol=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, e, s, f: (t, e, s[::-1].copy(), f[::-1].copy()), "in order of their ends"),
        (
            lambda t, e, s, f: (t, np.where(np.arange(len(e)) == 3, -1.0, e), s, f),
            "window 3: -1 J is no energy",
        ),
    ],
)
def test_bad_windows_are_refused(change, message) -> None:
    """Ends that do not grow, and energy below zero, name the window."""
    with pytest.raises(InputError, match=message):
        CostFit(KEY, prior_of(PROFILE)).update(*change(*told(steps(80), 20)))


def test_a_silent_meter_teaches_nothing() -> None:
    """NaN windows leave the fit as if they had not been."""
    terms, energy, start, end = told(steps(400), 100, 3.0)
    silent = np.where(np.arange(100) >= 60, np.nan, energy)
    one = learned(terms, silent, start, end).cost()
    two = learned(terms[:60], energy[:60], start[:60], end[:60]).cost()
    np.testing.assert_allclose(one.coefficients, two.coefficients)


def test_window_terms_are_what_a_loop_finds() -> None:
    """Rows cut at the windows' edges by hand give the same sums."""
    made = steps(40)
    start = np.array([100_000, 130_000, 5_000_000])
    end = np.array([1_900_000, 170_000, 12_000_000])
    rows = row_terms(made)
    for k, (a, b) in enumerate(zip(start, end, strict=True)):
        by_hand = np.zeros(len(TERMS))
        for i in range(len(made)):
            shared = max(0, min(b, made.end_us[i]) - max(a, made.start_us[i]))
            by_hand += rows[i] * shared / (made.end_us[i] - made.start_us[i])
        by_hand[IDLE] = (b - a) / 1e6
        np.testing.assert_allclose(window_terms(made, start, end)[k], by_hand, rtol=1e-9)


@pytest.mark.parametrize("offset_s", [-0.8, 0.0, 0.35, 1.9])
@pytest.mark.parametrize("average_s", [0.1, 1.0])
def test_the_clock_and_the_average_are_found(offset_s: float, average_s: float) -> None:
    """A meter that lags by so much, and averages over so long, is found out from a minute and a half at 4 Hz.

    Rows are a quarter of a second: what is shorter than one is the same anywhere inside it.
    """
    made = steps(400)
    reading = np.arange(12, 388) * 250_000 + 60_000
    true_end = reading - round(offset_s * 1e6)
    terms = window_terms(made, true_end - round(average_s * 1e6), true_end)
    power = terms @ TRUE / average_s + np.random.default_rng(3).normal(0, 3, len(reading))
    found = align(made, reading, power, prior_of_proportions(PROFILE))
    assert found.average_s == average_s
    assert found.offset_s == pytest.approx(offset_s, abs=0.06 if average_s == 1.0 else 0.13)


def test_too_few_readings_align_nothing() -> None:
    """Six readings are refused with the number that would do."""
    made = steps(400)
    with pytest.raises(InputError, match="6 meter readings"):
        align(made, np.arange(40, 46) * 1_000_000, np.full(6, 300.0), prior_of(PROFILE))


def cost_of(coefficients=TRUE) -> StepCost:
    k = len(TERMS)
    return StepCost(KEY, np.asarray(coefficients, float), np.zeros((k, k)), 1.0, 10.0, 100.0, 0.0, 0, HOUR_US)


@st.composite
def stretches(draw, most: int = 12, room_us: int = 5000):
    """Disjoint stretches in order, some touching, some of no length apart."""
    edges = draw(st.lists(st.integers(0, room_us), min_size=2, max_size=2 * most, unique=True))
    edges = sorted(edges)[: len(edges) // 2 * 2]
    return np.array(edges[::2], np.int64), np.array(edges[1::2], np.int64)


@settings(max_examples=300, deadline=None)
@given(rows=stretches(), windows=stretches(), data=st.data())
def test_rows_and_what_is_left_sum_to_the_meter(rows, windows, data) -> None:
    """Σ rows + Σ unattributed = Σ counter to 1e-9; no part is negative; a silent window gives nothing."""
    n, m = len(rows[0]), len(windows[0])
    numbers = st.floats(0, 1e4, allow_subnormal=False)
    made = steps_of(
        {
            "start_us": rows[0],
            "end_us": rows[1],
            "n_steps": data.draw(st.lists(numbers, min_size=n, max_size=n)),
            "prefill_tokens": data.draw(st.lists(numbers, min_size=n, max_size=n)),
            "decode_tokens": data.draw(st.lists(numbers, min_size=n, max_size=n)),
        },
        groups=[["gpu"]],
        origin="made-up",
    )
    counted = np.array(data.draw(st.lists(st.one_of(numbers, st.just(math.nan)), min_size=m, max_size=m)))
    true = data.draw(st.sampled_from([TRUE, np.zeros(len(TERMS)), TRUE * (np.arange(len(TERMS)) != IDLE)]))
    split = metered(made, cost_of(true), *windows, counted)
    total = np.nansum(split.row_j) + np.nansum(split.unattributed_j)
    assert total == pytest.approx(np.nansum(counted), rel=1e-9, abs=1e-12)
    assert not (split.row_j < 0).any()
    assert not (split.unattributed_j < 0).any()
    np.testing.assert_array_equal(np.isnan(split.unattributed_j), np.isnan(counted))
    np.testing.assert_array_equal(np.isnan(split.row_j), split.metered_s == 0.0)


def test_each_window_sums_to_its_own_counter() -> None:
    """Two windows, a row in each: each row has its window's joules less the idle of the rest of it."""
    made = steps_of(
        {"start_us": [0, 1_000_000], "end_us": [1_000_000, 1_500_000], "n_steps": [100, 50]},
        groups=[["gpu"]],
        origin="made-up",
    )
    cost = cost_of([100.0, 2.0, 0, 0, 0, 0])
    split = metered(made, cost, *seconds(2), np.array([600.0, 250.0]))
    # The first window is said to take 100 + 200 J and took 600; the second 50 + 100 J in its row and 50 J after it.
    np.testing.assert_allclose(split.row_j, [600.0, 250.0 * 150 / 200])
    np.testing.assert_allclose(split.unattributed_j, [0.0, 250.0 * 50 / 200])
    np.testing.assert_allclose(split.fixed_j, [400.0, 125.0])
    np.testing.assert_allclose(split.scale, [2.0, 1.25])


def test_where_no_step_ran_all_is_unattributed() -> None:
    """A reading with no step stays with nobody, and a step with no reading has no energy."""
    made = steps_of({"start_us": [0], "end_us": [1_000_000]}, groups=[["gpu"]], origin="made-up")
    split = metered(made, cost_of(), *seconds(1, 5), np.array([140.0]))
    assert split.unattributed_j.tolist() == [140.0]
    assert np.isnan(split.row_j).all()


@pytest.mark.parametrize(
    ("start", "end", "energy", "message"),
    [
        ([0, 500_000], [1_000_000, 2_000_000], [1.0, 1.0], "windows 0 and 1 overlap"),
        ([1_000_000, 0], [2_000_000, 1_000_000], [1.0, 1.0], "out of order"),
        ([0], [0], [1.0], "does not end after it starts"),
        ([0], [1_000_000], [-3.0], "a counter that fell was reset"),
    ],
)
def test_bad_counter_windows_are_refused(start, end, energy, message) -> None:
    """Overlap, disorder, no length and a fallen counter each name the window."""
    with pytest.raises(InputError, match=message):
        metered(steps(4), cost_of(), np.array(start), np.array(end), np.array(energy))


def test_several_groups_are_refused() -> None:
    """One meter reads one group."""
    made = steps_of(
        {"start_us": [0, 0], "end_us": [9, 9], "group": [0, 1]}, groups=[["a"], ["b"]], origin="made-up"
    )
    with pytest.raises(InputError, match="one group at a time"):
        window_terms(made, np.array([0]), np.array([9]))
