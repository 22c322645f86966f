"""The stack's probabilities against every combination of outages written out, and stacks worked by hand."""

from __future__ import annotations

from dataclasses import fields
from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.marginal.stack import Blocks, expected_output, margin_table
from gridmargin.vocab import InputError


def blocks(capacity, bid, outage, factor=None, group=None) -> Blocks:
    n = len(capacity)
    return Blocks(
        np.array(capacity, dtype=float),
        np.array(bid, dtype=float),
        np.linspace(300.0, 900.0, n) if factor is None else np.array(factor, dtype=float),
        np.broadcast_to(np.array(outage, dtype=float), (n,)),
        np.arange(n) if group is None else np.array(group),
    )


def enumerated(stack: Blocks, load_mw: float) -> np.ndarray:
    """Probability of each block to serve the next megawatt, by going through all 2ⁿ states."""
    order = np.argsort(stack.bid_per_mwh, kind="stable")
    out = np.zeros(len(order))
    for state in product((0, 1), repeat=len(order)):
        chance, below, found = 1.0, 0.0, order[-1]
        for is_up, at in zip(state, order, strict=True):
            chance *= (1 - stack.outage_frac[at]) if is_up else stack.outage_frac[at]
        for is_up, at in zip(state, order, strict=True):
            if is_up and below <= load_mw < below + stack.capacity_mw[at]:
                found = at
                break
            below += is_up * stack.capacity_mw[at]
        out[found] += chance
    return out


def at_load(table, load_mw: float) -> np.ndarray:
    return np.array(
        [
            np.interp(load_mw, table.load_mw, table.probability[:, k])
            for k in range(table.probability.shape[1])
        ]
    )


@given(
    st.lists(st.integers(2, 20), min_size=1, max_size=8),
    st.data(),
)
def test_it_equals_every_combination_of_outages_written_out(sizes, data):
    """For up to eight units of whole hundreds of MW, between the steps of the capacity, to 1e-9."""
    n = len(sizes)
    bid = data.draw(st.permutations(range(n)))
    outage = data.draw(st.lists(st.floats(0.0, 0.5), min_size=n, max_size=n))
    stack = blocks(np.array(sizes) * 100.0, bid, outage)
    load = 100.0 * data.draw(st.integers(0, sum(sizes) - 1)) + 50.0
    table = margin_table(stack, n, 0.0, n_steps=sum(sizes) * 4)
    np.testing.assert_allclose(at_load(table, load), enumerated(stack, load), atol=1e-9)


@given(st.integers(2, 8), st.floats(0.0, 0.3), st.integers(1, 99))
def test_capacities_off_the_grid_change_little(n, outage, percent):
    """With the default grid and any capacities the mean output is that of the enumeration within a grid step."""
    capacity = 100.0 * (1 + np.arange(n) * np.sqrt(2) % 3)
    stack = blocks(capacity, np.arange(n), outage)
    load = capacity.sum() * percent / 100
    served = np.zeros(n)
    for state in product((0, 1), repeat=n):
        up = np.array(state, dtype=bool)
        chance = np.prod(np.where(up, 1 - outage, outage))
        top = np.minimum(np.cumsum(capacity * up), load)
        served += chance * np.diff(top, prepend=0.0)
    np.testing.assert_allclose(
        expected_output(stack, np.array([load]), 0.0)[0], served, atol=4 * capacity.sum() / 2000
    )


def test_probabilities_sum_to_one_at_every_load():
    """Units and surplus share everything, with noise, and the factor's distribution agrees with the sources."""
    rng = np.random.default_rng(3)
    stack = blocks(rng.uniform(20, 400, 60), rng.uniform(10, 90, 60), rng.uniform(0, 0.2, 60))
    table = margin_table(stack, 60, 150.0)
    np.testing.assert_allclose(table.probability.sum(axis=1) + table.surplus, 1.0, atol=1e-9)
    np.testing.assert_allclose(
        table.factor_probability @ table.factors, table.emission.sum(axis=1), rtol=1e-9
    )
    assert (np.diff(table.cost_per_mwh) > -1e-9).all()


def test_a_stack_without_outages_is_a_staircase():
    """Three units, no noise: the load says which one answers; above all of them the last does, and it is scarce."""
    table = margin_table(blocks([100, 100, 100], [3, 1, 2], 0.0), 3, 0.0)
    for load, who in ((50, 1), (150, 2), (250, 0), (301, 0)):
        assert at_load(table, load)[who] == pytest.approx(1.0)
    assert np.interp(301.0, table.load_mw, table.scarce) == pytest.approx(1.0)
    assert np.interp(250.0, table.load_mw, table.scarce) == pytest.approx(0.0)


def test_an_outage_hands_its_share_to_the_next():
    """Two units of 100 MW at 10 % outage, load 50: the first in nine of ten cases, else the second."""
    table = margin_table(blocks([100, 100], [1, 2], 0.1), 2, 0.0)
    np.testing.assert_allclose(at_load(table, 50.0), [0.9, 0.1], atol=1e-9)


def test_load_noise_is_the_normal_distribution():
    """Without outages the chance of the upper unit is that of a normal load beyond the lower one's capacity."""
    table = margin_table(blocks([1000, 1000], [1, 2], 0.0), 2, 100.0)
    assert at_load(table, 1000.0)[1] == pytest.approx(0.5, abs=0.01)
    assert at_load(table, 900.0)[1] == pytest.approx(0.1587, abs=0.01)


def test_two_blocks_of_a_unit_as_independent_stay_near_the_truth():
    """Eight units in two blocks each: within 0.07 of the enumeration in which both fail together."""
    low, high = np.full(8, 40.0), np.full(8, 60.0)
    bid = np.concatenate([np.arange(8), 10 + np.arange(8)])
    stack = blocks(np.concatenate([low, high]), bid, 0.1, group=[0] * 8 + [1] * 8)
    table = margin_table(stack, 2, 20.0)
    worst = 0.0
    rng = np.random.default_rng(5)
    noise = rng.normal(0, 20, 400)
    for load in (200.0, 290.0, 320.0, 500.0, 700.0):
        truth = 0.0
        for up in range(9):
            truth += comb(8, up) * 0.9**up * 0.1 ** (8 - up) * (load + noise >= 40.0 * up).mean()
        worst = max(worst, abs(at_load(table, load)[1] - truth))
    assert worst < 0.07


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"capacity": [0.0, 0.0]}, "no capacity"),
        ({"bid": [1.0, np.nan]}, "bid_per_mwh of block 1"),
        ({"outage": 1.0}, "forced outage"),
        ({"factor": [1.0, np.inf]}, "factor"),
    ],
)
def test_what_is_no_stack_is_refused(change, message):
    """No capacity, no bid, always out, no factor: one message that names the term."""
    wanted = {"capacity": [1.0, 1.0], "bid": [1.0, 2.0], "outage": 0.1, "factor": [1.0, 2.0]} | change
    with pytest.raises(InputError, match=message):
        margin_table(blocks(**wanted), 2, 0.0)


@given(data=st.data())
def test_a_table_without_the_compiler_is_the_same_table(data) -> None:
    """To the last bit, whatever the blocks: which of the two passes is used may not be seen in a number."""
    n = data.draw(st.integers(1, 40))
    draw = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    n_groups = data.draw(st.integers(1, min(n, 6)))
    stack = Blocks(
        draw.exponential(300, n) * (draw.random(n) < 0.9) + 1.0,
        draw.normal(30, 20, n).round(data.draw(st.integers(-1, 2))),
        draw.uniform(0, 1200, n),
        draw.uniform(0, 0.5, n) * (draw.random(n) < 0.8),
        np.append(np.arange(n_groups), draw.integers(0, n_groups, n - n_groups)).astype(np.int64),
    )
    load_sd_mw = data.draw(st.sampled_from([0.0, 0.01, 0.1, 0.5])) * float(stack.capacity_mw.sum())
    n_steps = data.draw(st.sampled_from([20, 300]))
    one = margin_table(stack, n_groups, load_sd_mw, n_steps)
    other = margin_table(stack, n_groups, load_sd_mw, n_steps, compiled=False)
    for each in fields(one):
        assert getattr(one, each.name).tobytes() == getattr(other, each.name).tobytes(), each.name
