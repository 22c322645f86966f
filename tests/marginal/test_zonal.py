"""Two or three zones dispatched together: over a tie with room the cheaper answers for both, behind a full one each its own."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from gridmargin.grid import GridStates, UnitFleet
from gridmargin.marginal import Facts, MeritOrder, zonal
from gridmargin.vocab import Fuel, InputError, NoFactorError
from marginal.fuel_mix import FACTS, states_of

HOME, AWAY = "US-ERCO", "US-MISO"
N = 24 * 14


def fleet(costs, factors, capacity=1000.0) -> UnitFleet:
    n = len(costs)
    nothing = np.full(n, np.nan)
    return UnitFleet(
        name="units", unit_names=tuple(f"u{k}" for k in range(n)), fuels=(Fuel.COAL,) * n, places=("x",) * n,
        capacity_mw=np.full(n, capacity), minimum_mw=np.zeros(n), factor_gco2_per_kwh=np.array(factors, dtype=float),
        marginal_cost_per_mwh=np.array(costs, dtype=float), ramp_mw_per_h=nothing, minimum_up_h=nothing,
        minimum_down_h=nothing, start_cost=nothing, forced_outage_frac=np.zeros(n), currency="USD",
    )  # fmt: skip


def states(zone, load, flow, other) -> GridStates:
    made = states_of({Fuel.COAL: np.asarray(load, dtype=float)})
    frame = made.frame.with_columns(
        pl.Series(f"imports_from_{other}_mw", flow, dtype=pl.Float64, nan_to_null=True)
    )
    return GridStates(zone, made.interval_s, frame)


def market(
    home_mw,
    away_mw,
    flow_mw=0.0,
    limit_mw=500.0,
    home=((30.0, 40.0), (900.0, 800.0)),
    away=((20.0, 25.0), (400.0, 500.0)),
):
    """A month of steady load in two zones, the tie seen at its limit once, then the loads asked for in the last hour."""
    history = {}
    for zone, other, units, sign in ((HOME, AWAY, home, 1.0), (AWAY, HOME, away, -1.0)):
        flow = np.zeros(N)
        flow[0] = sign * limit_mw
        load = np.full(N, float(1000 * len(units[0])))
        history[zone] = states(zone, load, flow, other)
    stacks = {
        zone: MeritOrder().fit(history[zone], replace(FACTS, units=fleet(*units)))
        for zone, units in ((HOME, home), (AWAY, away))
    }
    fit = zonal.fit_zonal(HOME, history, stacks)
    for stack in fit.parameters["stacks"].values():
        stack["load_sd_mw"] = 0.0
    now = {
        HOME: states(HOME, np.full(N, home_mw - flow_mw), np.full(N, flow_mw), AWAY),
        AWAY: states(AWAY, np.full(N, away_mw + flow_mw), np.full(N, -flow_mw), HOME),
    }
    return fit, now


def answer(fit, now):
    found = zonal.estimate_zonal(now, fit)
    return found, {
        name: p for name, p in zip(found.source_names, found.source_probability[-1], strict=True) if p > 1e-9
    }


def test_over_a_tie_with_room_the_cheaper_neighbour_answers():
    """400 MW at home, 700 MW next door whose units are cheaper: they serve both, and the neighbour's unit is the margin."""
    found, likely = answer(*market(400.0, 700.0))
    assert likely == {f"{AWAY}:u1": pytest.approx(1.0)}
    assert found.mid[-1] == pytest.approx(500.0)
    assert found.regime[-1] == "free"


def test_behind_a_full_tie_home_answers_for_itself():
    """900 MW at home and a tie of 500 MW: the rest is made at home, whatever is cheaper outside."""
    found, likely = answer(*market(900.0, 700.0))
    assert likely == {f"{HOME}:u0": pytest.approx(1.0)}
    assert found.regime[-1] == f"bound {AWAY}"


def test_it_does_not_matter_which_way_the_power_happened_to_flow():
    """What is dispatched is the load behind the flows, so the same loads give the same answer at any flow."""
    for flow in (-300.0, 0.0, 450.0):
        found, _ = answer(*market(900.0, 700.0, flow_mw=flow))
        assert found.mid[-1] == pytest.approx(900.0)


def test_a_load_that_nothing_can_serve_is_scarce_and_still_answered():
    """Beyond every unit and tie the dearest unit at home stands for what is missing; no hour is left out."""
    found, likely = answer(*market(9000.0, 700.0))
    assert likely == {f"{HOME}:u1": pytest.approx(1.0)}
    assert len(found) == N


def test_a_home_with_nothing_left_to_serve_has_a_surplus():
    """A load of zero or less is spilled at home: nothing burns for one more kilowatt-hour."""
    found, likely = answer(*market(-50.0, 700.0))
    assert likely == {"surplus": pytest.approx(1.0)}
    assert found.mid[-1] == 0.0


@given(
    loads=st.tuples(st.floats(50, 1900), st.floats(50, 1900)),
    limit=st.floats(10, 1500),
    costs=st.lists(st.integers(1, 999), min_size=4, max_size=4, unique=True),
)
def test_one_more_megawatt_hour_agrees_with_dispatching_again(loads, limit, costs):
    """An independent solver, given the same two stacks with 0.01 MW more at home, burns what the rate says."""
    home, away = (costs[:2], [900.0, 800.0]), (costs[2:], [400.0, 500.0])
    fit, now = market(*loads, limit_mw=limit, home=home, away=away)
    rate = zonal.estimate_zonal({z: replace(s, frame=s.frame[:1]) for z, s in now.items()}, fit).mid[0]
    factors = np.array([900.0, 800.0, 400.0, 500.0, 0.0])

    def burned(home_mw):
        solved = linprog(
            [*map(float, costs), 0.0],
            A_eq=[[1, 1, 0, 0, 1], [0, 0, 1, 1, -1]], b_eq=[home_mw, loads[1]],
            bounds=[(0, 1000)] * 4 + [(-limit, limit)], method="highs",
        )  # fmt: skip
        return None if solved.x is None else float(solved.x @ factors)

    before, up, down = burned(loads[0]), burned(loads[0] + 0.01), burned(loads[0] - 0.01)
    if None in (before, up, down):
        return  # nothing could serve it: the scarce case has its own test
    sides = sorted([(up - before) / 0.01, (before - down) / 0.01])
    assert sides[0] - 0.5 <= rate <= sides[1] + 0.5


@given(st.lists(st.tuples(st.floats(-100, 2500), st.floats(-100, 2500)), min_size=1, max_size=4))
def test_the_distribution_sums_to_one_and_to_the_factor(loads):
    """Whatever the loads, with the load's own uncertainty switched on."""
    fit, _ = market(400.0, 700.0)
    for stack in fit.parameters["stacks"].values():
        stack["load_sd_mw"] = 120.0
    n = len(loads)
    now = {
        zone: states(zone, [pair[at] for pair in loads], np.zeros(n), other)
        for at, (zone, other) in enumerate(((HOME, AWAY), (AWAY, HOME)))
    }
    found = zonal.estimate_zonal(now, fit)
    assert np.allclose(found.source_probability.sum(axis=1), 1.0)
    assert np.allclose((found.source_probability * found.source_factor).sum(axis=1), found.mid)
    assert ((found.low <= found.mid) & (found.mid <= found.high)).all()


def test_an_interval_in_which_a_flow_is_not_known_is_left_out():
    """A load behind an unknown flow is not known (C2)."""
    fit, now = market(400.0, 700.0)
    flow = np.zeros(N)
    flow[3] = np.nan
    now[HOME] = states(HOME, np.full(N, 400.0), flow, AWAY)
    found = zonal.estimate_zonal(now, fit)
    assert len(found) == N - 1
    assert now[HOME].start_epoch_s()[3] not in found.start_epoch_s


def test_zones_without_a_border_or_without_states_are_refused_by_name():
    """No flow between them is no market; a zone that the fit knows must be given."""
    alone = states_of({Fuel.COAL: np.full(N, 500.0)})
    history = {zone: GridStates(zone, alone.interval_s, alone.frame) for zone in (HOME, AWAY)}
    facts: Facts = replace(FACTS, units=fleet((10.0,), (900.0,)))
    stacks = {zone: MeritOrder().fit(history[zone], facts) for zone in history}
    with pytest.raises(NoFactorError, match="needs flows between"):
        zonal.fit_zonal(HOME, history, stacks)
    fit, now = market(400.0, 700.0)
    with pytest.raises(InputError, match=f"fitted with {AWAY}"):
        zonal.estimate_zonal({HOME: now[HOME]}, fit)
