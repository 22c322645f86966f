"""zonal: who answers across borders. The stacks of several zones, dispatched together over ties that may be full.

Each zone is a bus of a transport network, its units are offers at the bids of `merit_order`, and each border is a link
up to the most it was seen to carry. One more megawatt-hour in a zone is answered by the cheapest units that the ties
let through: the neighbour's over a tie with room, its own behind one that binds. The load is not known to the megawatt,
so each interval is dispatched at several loads, and the answers become a distribution over units.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.grid import GridStates, Network, imports_column
from gridmargin.marginal.conformal import widening
from gridmargin.marginal.dispatch import Dispatch
from gridmargin.marginal.estimate import Estimates
from gridmargin.marginal.estimator import Fit
from gridmargin.marginal.merit_blocks import blocks_at, residual_mw
from gridmargin.marginal.merit_order import FACTOR_SPREAD90_FRAC, SURPLUS
from gridmargin.vocab import Basis, InputError, Kind, NoFactorError

FloatArray = NDArray[np.float64]

NAME, VERSION = "zonal", "1"

LOADS_SD = (-1.2816, -0.5244, 0.0, 0.5244, 1.2816)
"""Where the load is put: the 10, 30, 50, 70 and 90 % points of a normal distribution, each a fifth of the chance."""

SCARCE_PER_MWH = 1e5
"""What a last megawatt costs that no unit can give, so that every hour can be dispatched: above any market's cap."""

SCARCE_MW = 1e6

NO_LOAD_MW = 1e-3
"""A kilowatt: below it a zone has nothing for its units to serve."""

_ALMOST_NOTHING = 1e-9


def fit_zonal(home: str, histories: Mapping[str, GridStates], stacks: Mapping[str, Fit]) -> Fit:
    """Put the stacks of a zone and its neighbours together with what their borders were seen to carry.

    Parameters
    ----------
    home : str
        The zone whose margin is asked for.
    histories : mapping of str to GridStates
        What the stacks were fitted on.
    stacks : mapping of str to Fit
        From `MeritOrder.fit`, by zone, home among them.

    Raises
    ------
    NoFactorError
        If no border lies between any two of the zones.
    """
    ties = []
    zones = sorted(stacks)
    for at, zone in enumerate(zones):
        for other in zones[at + 1 :]:
            column = imports_column(other)
            if column in histories[zone].frame.columns:
                flow = histories[zone].values(column)
                known = flow[np.isfinite(flow)]
                if len(known):
                    most = float(np.abs(known).max())
                    ties.append({"from": other, "to": zone, "limit_mw": most})
    if not ties:
        raise NoFactorError(f"{NAME} of {home} needs flows between it and zones whose units are known")
    own = stacks[home]
    parameters: dict[str, Any] = {
        "stacks": {zone: stacks[zone].parameters for zone in zones},
        "ties": ties,
        "loads_sd": list(LOADS_SD),
    }
    hashes = sorted({digest for fit in stacks.values() for digest in fit.payload_sha256s})
    return Fit(
        NAME, VERSION, home, own.train_start_utc, own.train_end_utc, own.n_train, parameters, tuple(hashes)
    )


def estimate_zonal(states: Mapping[str, GridStates], fit: Fit) -> Estimates:
    """Dispatch the zones together for every interval in which the load of each is known.

    Parameters
    ----------
    states : mapping of str to GridStates
        By zone, all of one interval length.

    Raises
    ------
    InputError
        If a zone of the fit has no states, or lengths differ.
    """
    p = fit.parameters
    zones = sorted(p["stacks"])
    missing = [zone for zone in zones if zone not in states]
    if missing:
        raise InputError(f"{NAME} of {fit.zone} was fitted with {missing[0]}: give its states too")
    if len({states[zone].interval_s for zone in zones}) > 1:
        raise InputError(f"{NAME} of {fit.zone}: its zones have intervals of different lengths")
    mine = states[fit.zone]
    start_s = mine.start_epoch_s()
    for zone in zones:
        start_s = np.intersect1d(start_s, states[zone].start_epoch_s())
    demand = np.column_stack(
        [_load(states[zone], p["stacks"][zone], zone, p["ties"], start_s) for zone in zones]
    )
    known = np.isfinite(demand).all(axis=1)
    start_s, demand = start_s[known], demand[known]
    network, names, factors = _network(p, zones)
    probability, regime, low, high = _answers(network, names, factors, demand, p, zones.index(fit.zone))
    sources = tuple(dict.fromkeys(names))
    by_source = np.zeros((len(names), len(sources)))
    by_source[np.arange(len(names)), [sources.index(name) for name in names]] = 1.0
    share = probability @ by_source
    emission = (probability * factors) @ by_source
    usual = (factors @ by_source) / by_source.sum(axis=0)
    factor = np.where(share > _ALMOST_NOTHING, emission / np.maximum(share, _ALMOST_NOTHING), usual)
    mid = np.einsum("nk,nk->n", share, factor)
    status = mine.frame["status"].gather(np.searchsorted(mine.start_epoch_s(), start_s)).to_numpy()
    spread = FACTOR_SPREAD90_FRAC * np.maximum(mid, 1.0)
    wide = widening(status.astype(np.str_))
    return Estimates(
        zone=fit.zone,
        interval_s=mine.interval_s,
        start_epoch_s=start_s,
        low=np.maximum(mid - (np.maximum(mid - low, 0.0) + spread) * wide, 0.0),
        mid=mid,
        high=mid + (np.maximum(high - mid, 0.0) + spread) * wide,
        source_names=sources,
        source_probability=share,
        source_factor=factor,
        regime=regime,
        status=status.astype(np.str_),
        basis=Basis(Kind.MARGINAL),
        estimator=NAME,
        estimator_version=VERSION,
        fit_id=fit.fit_id,
    )


def _load(
    states: GridStates,
    stack: Mapping[str, Any],
    zone: str,
    ties: list[dict[str, Any]],
    start_s: NDArray[np.int64],
) -> FloatArray:
    """Give what the units of all zones have to serve in one: what its own made, and what came in over the ties."""
    at = np.searchsorted(states.start_epoch_s(), start_s)
    load = residual_mw(states, stack["residual"])
    for tie in ties:
        if zone in (tie["from"], tie["to"]):
            other = tie["from"] if zone == tie["to"] else tie["to"]
            load = load + states.values(imports_column(other))
    return load[at]


def _network(p: Mapping[str, Any], zones: list[str]) -> tuple[Network, list[str], FloatArray]:
    """Give the network, the source of each offer and its factor; each zone's last offer is what is not there."""
    names: list[str] = []
    capacity, cost, factor, bus = [], [], [], []
    for at, zone in enumerate(zones):
        stack = p["stacks"][zone]
        blocks = blocks_at(stack, {})
        for group, mw, outage, bid, rate in zip(
            blocks.group, blocks.capacity_mw, blocks.outage_frac, blocks.bid_per_mwh, blocks.factor_gco2_per_kwh,
            strict=True,
        ):  # fmt: skip
            names.append(f"{zone}:{stack['sources'][group]}")
            capacity.append(mw * (1.0 - outage))
            cost.append(bid)
            factor.append(rate)
            bus.append(at)
        dearest = int(np.argmax(blocks.bid_per_mwh))
        names.append(f"{zone}:{stack['sources'][blocks.group[dearest]]}")
        capacity.append(SCARCE_MW)
        cost.append(SCARCE_PER_MWH)
        factor.append(float(blocks.factor_gco2_per_kwh[dearest]))
        bus.append(at)
    ends = [(zones.index(tie["from"]), zones.index(tie["to"])) for tie in p["ties"]]
    nothing = np.empty(0, np.int64)
    network = Network(
        name="zones " + ", ".join(zones),
        bus_names=tuple(zones),
        branch_from=nothing,
        branch_to=nothing,
        branch_mw_per_rad=np.empty(0),
        branch_limit_mw=np.empty(0),
        link_from=np.array([a for a, _ in ends], dtype=np.int64),
        link_to=np.array([b for _, b in ends], dtype=np.int64),
        link_limit_mw=np.array([tie["limit_mw"] for tie in p["ties"]]),
        offer_names=tuple(f"{name}#{number}" for number, name in enumerate(names)),
        offer_bus=np.array(bus, dtype=np.int64),
        offer_mw=np.array(capacity),
        offer_cost_per_mwh=np.array(cost),
        offer_factor_gco2_per_kwh=np.array(factor),
    )
    return network, [*names, SURPLUS], np.array([*factor, 0.0])


def _answers(
    network: Network,
    names: list[str],
    factors: FloatArray,
    demand_mw: FloatArray,
    p: Mapping[str, Any],
    home: int,
) -> tuple[FloatArray, NDArray[np.str_], FloatArray, FloatArray]:
    """Dispatch each interval at each load; give probabilities by offer, regimes, and the ends over the loads."""
    dispatch = Dispatch(network)
    n, zones = len(demand_mw), network.bus_names
    sd = np.array([p["stacks"][zone]["load_sd_mw"] for zone in zones])
    chance = 1.0 / len(p["loads_sd"])
    probability = np.zeros((n, len(names)))
    rates = np.empty((n, len(p["loads_sd"])))
    regime = np.empty(n, dtype="U60")
    beside = [
        (k, zones[int(network.link_from[k] if network.link_to[k] == home else network.link_to[k])])
        for k in range(len(network.link_from))
        if home in (network.link_from[k], network.link_to[k])
    ]
    for row in range(n):
        for column, shift in enumerate(p["loads_sd"]):
            at = demand_mw[row] + shift * sd
            # What is over is curtailed or spilled where it is: the dispatch has no use for a load below zero.
            dispatch.solve(np.maximum(at, 0.0))
            if at[home] <= NO_LOAD_MW:
                answer = np.zeros(len(names))
                answer[-1] = 1.0
            else:
                answer = np.append(np.maximum(dispatch.response_mw(home), 0.0), 0.0)
                answer /= answer.sum()
            probability[row] += chance * answer
            rates[row, column] = float(answer @ factors)
            if shift == 0.0:
                full = dispatch.is_link_binding
                bound = [zone for k, zone in beside if full[k]]
                regime[row] = "bound " + "+".join(bound) if bound else "free"
    return probability, regime.astype(np.str_), rates.min(axis=1), rates.max(axis=1)
