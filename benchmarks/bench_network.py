"""Locational rates of all buses from the optimal basis: against the dispatch itself, and against one more MWh at each bus."""

from __future__ import annotations

import sys
import time

import numpy as np
from yardstick import DATA, Report

from gridmargin.evaluation.rts import _Hours
from gridmargin.grid import Network, rts_case
from gridmargin.marginal import Dispatch
from gridmargin.sources import RtsTables
from gridmargin.vocab import NotFoundError


def meshed(n_rows: int, n_columns: int, seed: int = 0) -> Network:
    """Make a grid of buses with some lines left out and long ones put in: as sparse and meshed as a real one."""
    draw = np.random.default_rng(seed)
    n = n_rows * n_columns
    bus = np.arange(n).reshape(n_rows, n_columns)
    right = np.stack([bus[:, :-1].ravel(), bus[:, 1:].ravel()], axis=1)
    down = np.stack([bus[:-1].ravel(), bus[1:].ravel()], axis=1)
    down = down[draw.random(len(down)) < 0.5]
    far = draw.integers(0, n, (n // 20, 2))
    far = far[far[:, 0] != far[:, 1]]
    ends = np.concatenate([right, down, far, bus[:-1, :1].repeat(2, 1) + np.array([0, n_columns])])
    units = draw.choice(n, n // 6, replace=False)
    size = draw.uniform(50, 500, len(units))
    cost = draw.uniform(5, 80, len(units))
    return Network(
        name=f"{n} buses, made up", bus_names=tuple(str(i) for i in range(n)),
        branch_from=ends[:, 0], branch_to=ends[:, 1],
        branch_mw_per_rad=draw.uniform(500, 5000, len(ends)), branch_limit_mw=draw.uniform(150, 900, len(ends)),
        link_from=np.empty(0, np.int64), link_to=np.empty(0, np.int64), link_limit_mw=np.empty(0),
        offer_names=tuple(f"u{i}" for i in range(len(units))), offer_bus=units.astype(np.int64), offer_mw=size,
        offer_cost_per_mwh=cost, offer_factor_gco2_per_kwh=np.where(cost < 20, 950.0, 380.0) + draw.normal(0, 20, len(units)),
    )  # fmt: skip


def seconds(work, n: int = 5) -> float:
    """Give the median time of some runs."""
    found = []
    for _ in range(n):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return float(np.median(found))


def measure(
    report: Report,
    network: Network,
    demand: np.ndarray,
    offers: np.ndarray,
    floor: float,
    warm_floor: float | None,
    n_sample: int,
) -> None:
    """Print what all rates cost beside one dispatch and beside one more dispatch for each bus."""
    dispatch = Dispatch(network)

    def cold() -> None:
        dispatch.forget()
        dispatch.solve(demand, offers)

    solve_s = seconds(cold)
    rates_s = seconds(dispatch.marginal_gco2_per_kwh, 50)
    n = len(network.bus_names)
    name = f"{n} buses"
    report.ratio(f"{name}: dispatch with all rates / dispatch", solve_s + rates_s, solve_s, "s", at_most=1.05)
    for how, n_buses, limit in (
        ("from the last basis", 10 * n_sample, warm_floor),
        ("afresh", n_sample, floor),
    ):
        draw = np.random.default_rng(1).choice(n, min(n_buses, n), replace=False)
        started = time.perf_counter()
        for bus in draw:
            more = demand.copy()
            more[bus] += 1.0
            if how == "afresh":
                dispatch.forget()
            dispatch.solve(more, offers)
        each_s = (time.perf_counter() - started) / len(draw)
        what = f"{name}: a dispatch for each bus, {how} ({len(draw)} timed) / all rates"
        report.ratio(what, each_s * n, rates_s, "s", at_least=limit)


def main() -> int:
    """Time the test system where it is there, and a made-up network of some three thousand buses."""
    report = Report("highspy", "scipy", "numpy")
    try:
        tables = RtsTables(DATA)
    except NotFoundError as why:
        report.left_out(str(why))
    else:
        hours = _Hours(rts_case(tables), tables, tables.reference())
        demand, offers, _ = hours.given(18)
        measure(report, hours.case.network, demand, offers, 500.0, 500.0, 73)
        day = [hours.given(hour) for hour in range(24, 48)]

        def through(forget: bool) -> None:
            for wanted, offered, _ in day:
                if forget:
                    hours.dispatch.forget()
                hours.dispatch.solve(wanted, offered)

        cold, warm = seconds(lambda: through(True)), seconds(lambda: through(False))
        report.ratio("a day, cold / warm", cold, warm, "s", at_least=5.0)
    network = meshed(50, 62)
    demand = np.random.default_rng(2).uniform(0, 1, len(network.bus_names))
    demand *= 0.5 * network.offer_mw.sum() / demand.sum()
    measure(report, network, demand, network.offer_mw, 20_000.0, None, 5)
    return report.exit_code()


if __name__ == "__main__":
    sys.exit(main())
