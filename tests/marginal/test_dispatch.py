"""Locational rates from the optimal basis equal what dispatching again gives, and say where they are one-sided."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from gridmargin.evaluation import TASKS, Ask
from gridmargin.grid import Network
from gridmargin.marginal import Dispatch, Stores, balance_matrix, dispatch_stretch, load_weighted
from gridmargin.vocab import InputError, TableError, UnknownNameError

NOBODY = np.empty(0, np.int64)


def network(buses, branches, offers, links=()) -> Network:
    """`branches`: (from, to, MW/rad, limit); `offers`: (bus, MW, cost, factor); `links`: (from, to, limit)."""
    b, o, d = np.array(branches).reshape(-1, 4), np.array(offers, dtype=float), np.array(links).reshape(-1, 3)
    return Network(
        name="made up", bus_names=tuple(buses),
        branch_from=b[:, 0].astype(np.int64), branch_to=b[:, 1].astype(np.int64),
        branch_mw_per_rad=b[:, 2], branch_limit_mw=b[:, 3],
        link_from=d[:, 0].astype(np.int64), link_to=d[:, 1].astype(np.int64), link_limit_mw=d[:, 2],
        offer_names=tuple(f"u{i}" for i in range(len(o))), offer_bus=o[:, 0].astype(np.int64), offer_mw=o[:, 1],
        offer_cost_per_mwh=o[:, 2], offer_factor_gco2_per_kwh=o[:, 3],
    )  # fmt: skip


TRIANGLE = network(
    "abc",
    [(0, 1, 100.0, 1e3), (1, 2, 100.0, 1e3), (0, 2, 100.0, 50.0)],
    [(0, 500.0, 10.0, 1000.0), (2, 500.0, 50.0, 400.0)],
)
LOAD = np.array([0.0, 100.0, 100.0])


def solved(net: Network, demand, offers=None) -> Dispatch:
    dispatch = Dispatch(net)
    dispatch.solve(np.asarray(demand, dtype=float), offers)
    return dispatch


def test_behind_a_full_line_each_bus_has_a_rate_of_its_own() -> None:
    """Three equal lines, one full: coal answers at a, gas at c, and b is the mean of both."""
    rates = solved(TRIANGLE, LOAD).rates()
    assert rates.price_per_mwh == pytest.approx([10.0, 30.0, 50.0])
    assert rates.marginal_gco2_per_kwh == pytest.approx([1000.0, 700.0, 400.0])
    assert not rates.tied.any()
    assert load_weighted(rates.marginal_gco2_per_kwh, LOAD) == pytest.approx(550.0)


def test_a_rate_may_lie_beyond_that_of_any_unit() -> None:
    """Where one more megawatt makes a dirty unit step up by two and a clean one back by one, the rate is 2D − C."""
    net = network(
        "abc",
        [(0, 1, 100.0, 1e3), (1, 2, 100.0, 50.0), (0, 2, 100.0, 1e3)],
        [(0, 500.0, 50.0, 1000.0), (1, 500.0, 10.0, 400.0)],
    )
    dispatch = solved(net, [0.0, 0.0, 100.0])
    assert dispatch.response_mw(2) == pytest.approx([2.0, -1.0])
    assert dispatch.rates().marginal_gco2_per_kwh[2] == pytest.approx(2 * 1000.0 - 400.0)
    assert dispatch.rates().price_per_mwh[2] == pytest.approx(2 * 50.0 - 10.0)


def test_a_link_that_is_not_full_lets_the_neighbour_answer() -> None:
    """Two zones and a tie: across it while there is room, inside once it binds."""
    net = network("ab", [], [(0, 500.0, 10.0, 900.0), (1, 500.0, 40.0, 400.0)], [(0, 1, 100.0)])
    free = solved(net, [50.0, 60.0])
    assert not free.is_link_binding.any()
    assert free.rates().marginal_gco2_per_kwh == pytest.approx([900.0, 900.0])
    assert free.link_mw == pytest.approx([60.0])
    full = solved(net, [50.0, 160.0])
    assert full.is_link_binding.all()
    assert full.rates().marginal_gco2_per_kwh == pytest.approx([900.0, 400.0])


def test_on_a_kink_an_increase_and_a_decrease_answer_differently() -> None:
    """Coal is full to the last megawatt: one more comes from gas, one less from coal."""
    net = network("a", [], [(0, 100.0, 10.0, 1000.0), (0, 100.0, 50.0, 400.0)])
    dispatch = solved(net, [100.0])
    assert dispatch.rates().tied.all()
    assert dispatch.one_sided(0, 1) == pytest.approx(400.0)
    assert dispatch.one_sided(0, -1) == pytest.approx(1000.0)
    assert solved(net, [200.0]).one_sided(0, 1) is None


def test_two_plans_of_equal_cost_are_a_tie() -> None:
    """Same price, other emissions: no rate is the only one."""
    net = network("a", [], [(0, 100.0, 10.0, 1000.0), (0, 100.0, 10.0, 400.0)])
    assert solved(net, [50.0]).rates().tied.all()
    assert (
        not solved(replace(net, offer_factor_gco2_per_kwh=np.array([700.0, 700.0])), [50.0])
        .rates()
        .tied.any()
    )


@st.composite
def cases(draw):
    n = draw(st.integers(2, 6))
    seed = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    ends = [(i, i + 1) for i in range(n - 1)] + [tuple(seed.choice(n, 2, replace=False)) for _ in range(n)]
    branches = [(a, b, seed.uniform(50, 500), seed.uniform(20, 300)) for a, b in ends]
    offers = [
        (seed.integers(n), seed.uniform(50, 200), seed.uniform(5, 90), seed.uniform(0, 1000))
        for _ in range(2 * n)
    ]
    net = network([str(i) for i in range(n)], branches, offers)
    return net, seed.uniform(0, 1, n) * 60.0


@given(cases())
def test_rates_equal_what_another_solver_says_of_one_more(case) -> None:
    """Off ties, against the same programme written out and solved by SciPy, before and after."""
    net, demand = case
    try:
        dispatch = solved(net, demand)
    except InputError:
        return
    rates = dispatch.rates()
    step = 1e-3
    for bus in range(len(demand)):
        down, up = dispatch.room_mw(bus)
        if rates.tied[bus] or min(down, up) < step:
            continue
        more = demand.copy()
        more[bus] += step
        found = (emissions(net, more) - emissions(net, demand)) / step
        assert rates.marginal_gco2_per_kwh[bus] == pytest.approx(found, rel=1e-4, abs=1e-2)
        answer = dispatch.response_mw(bus)
        assert answer.sum() == pytest.approx(1.0)
        assert answer @ net.offer_factor_gco2_per_kwh == pytest.approx(rates.marginal_gco2_per_kwh[bus])
        for side in (1, -1):
            assert dispatch.one_sided(bus, side) == pytest.approx(
                rates.marginal_gco2_per_kwh[bus], rel=1e-6, abs=1e-6
            )


def emissions(net: Network, demand) -> float:
    """Dispatch by an independent solver; g/kWh × MW."""
    n, m, s = len(net.bus_names), len(net.branch_from), len(net.offer_names)
    matrix = balance_matrix(net).toarray()
    flow = matrix[n:]
    bounds = [(0, mw) for mw in net.offer_mw] + [
        (0, 0) if i in net.references() else (None, None) for i in range(n)
    ]
    found = linprog(
        np.r_[net.offer_cost_per_mwh, np.zeros(n)], A_eq=matrix[:n], b_eq=demand, bounds=bounds,
        A_ub=np.r_[flow, -flow], b_ub=np.r_[net.branch_limit_mw, net.branch_limit_mw], method="highs-ipm",
    )  # fmt: skip
    assert found.status == 0
    assert m
    return float(found.x[:s] @ net.offer_factor_gco2_per_kwh)


def test_a_warm_dispatch_is_the_cold_one() -> None:
    """What was solved before leaves no trace in cost, output or rates."""
    warm = solved(TRIANGLE, [10.0, 300.0, 5.0])
    warm.solve(LOAD)
    cold = solved(TRIANGLE, LOAD)
    assert warm.cost == pytest.approx(cold.cost)
    assert warm.output_mw == pytest.approx(cold.output_mw)
    assert warm.marginal_gco2_per_kwh() == pytest.approx(cold.marginal_gco2_per_kwh())


def test_a_dispatch_that_cannot_be_names_what_is_short_and_where() -> None:
    """Too much demand, too little take, or a demand that is no number."""
    with pytest.raises(
        InputError, match=r"1800\.0 MW of demand, 1000\.0 MW offered; at least 800\.0 MW cannot be served"
    ):
        solved(TRIANGLE, [0.0, 900.0, 900.0])
    with pytest.raises(InputError, match="cannot be taken away, most of it at bus"):
        solved(TRIANGLE, [0.0, -10.0, 0.0])
    with pytest.raises(InputError, match="demand at bus c is not a number"):
        solved(TRIANGLE, [0.0, 1.0, np.nan])


def test_a_network_that_contradicts_itself_is_refused() -> None:
    """An island, a bus twice, nothing offered, a figure missing, a branch that conducts nothing."""
    offers = [(0, 10.0, 1.0, 1.0)]
    with pytest.raises(TableError, match="hang together with no other bus"):
        network("abc", [(0, 1, 1.0, 1.0)], offers)
    with pytest.raises(TableError, match="bus a stands twice"):
        network("aa", [(0, 1, 1.0, 1.0)], offers)
    with pytest.raises(TableError, match="no capacity"):
        network("ab", [(0, 1, 1.0, 1.0)], [(0, 0.0, 1.0, 1.0)])
    with pytest.raises(TableError, match="is not a number"):
        network("ab", [(0, 1, 1.0, 1.0)], [(0, 5.0, np.nan, 1.0)])
    with pytest.raises(TableError, match="conducts nothing"):
        network("ab", [(0, 1, 0.0, 1.0)], offers)


ONE_BUS = network("a", [], [(0, 100.0, 10.0, 1000.0), (0, 500.0, 50.0, 400.0)])
TWO_HOURS = np.array([[50.0], [150.0]])
OFFERS = np.tile(ONE_BUS.offer_mw, (2, 1))


def test_a_store_carries_the_answer_to_the_hour_it_charges_in() -> None:
    """Large enough, it serves the second hour's next megawatt-hour with coal of the first, divided by its efficiency."""
    store = Stores(np.array([0]), np.array([60.0]), np.array([500.0]), np.array([0.0]), np.array([0.8]))
    rates, output = dispatch_stretch(ONE_BUS, np.array([[20.0], [110.0]]), OFFERS, stores=store)
    assert output[1, 1] == pytest.approx(0.0)
    assert rates.total[:, 0] == pytest.approx([1000.0, 1250.0])
    assert rates.own[1, 0] == pytest.approx(0.0)


def test_a_ramp_makes_one_hour_pay_for_the_next() -> None:
    """Gas that must stand ready an hour before displaces coal there: in all, one more megawatt-hour saves CO2."""
    ramps = {"unit_of_offer": np.array([0, 1]), "ramp_mw": np.array([1000.0, 30.0])}
    rates, output = dispatch_stretch(ONE_BUS, TWO_HOURS, OFFERS, **ramps)
    assert output[0] == pytest.approx([30.0, 20.0])
    assert rates.own[:, 0] == pytest.approx([1000.0, 400.0])
    assert rates.total[:, 0] == pytest.approx([1000.0, 400.0 + 400.0 - 1000.0])


def test_hours_that_nothing_ties_are_dispatched_as_each_alone() -> None:
    """Own effect, total effect and the single hour's rate are one."""
    demand = np.array([LOAD, LOAD * 0.3])
    rates, _ = dispatch_stretch(TRIANGLE, demand, np.tile(TRIANGLE.offer_mw, (2, 1)))
    for hour in range(2):
        alone = solved(TRIANGLE, demand[hour]).marginal_gco2_per_kwh()
        assert rates.own[hour] == pytest.approx(alone)
        assert rates.total[hour] == pytest.approx(alone)


def test_hours_that_cannot_be_served_are_refused() -> None:
    """So is a store that gives more than it took."""
    with pytest.raises(InputError, match="no dispatch of 2 intervals"):
        dispatch_stretch(ONE_BUS, TWO_HOURS * 10, OFFERS)
    with pytest.raises(InputError, match="efficiency"):
        Stores(np.array([0]), np.array([1.0]), np.array([1.0]), np.array([0.0]), np.array([1.2]))


@pytest.mark.data
def test_the_reference_systems_rates_are_exact_and_its_prices_are_met(data_dir: Path) -> None:
    """Every bus off ties to 1e-6; prices of the reference run to a cent; its cost within a hundredth."""
    rows = {row["reference"]: row for row in TASKS.get("rts")(Ask(data_dir))["rows"]}
    assert rows["one-more-mwh"]["n"] > 5000
    assert rows["one-more-mwh"]["max_error"] < 1e-6
    assert rows["reference-price-of-a-bus"]["mae"] < 0.01
    assert abs(rows["reference-cost-of-a-day"]["bias_frac"]) < 0.01
    with pytest.raises(UnknownNameError, match="RTS-GMLC"):
        TASKS.get("rts")(Ask(data_dir, region="RTS"))
    with pytest.raises(InputError, match="leave out `horizon_min`"):
        TASKS.get("rts")(Ask(data_dir, horizon_min=60))


def test_a_folder_without_the_test_system_is_refused(tmp_path: Path) -> None:
    """The message names what was looked for."""
    with pytest.raises(InputError, match=r"SourceData/gen\.csv"):
        TASKS.get("rts")(Ask(tmp_path))
