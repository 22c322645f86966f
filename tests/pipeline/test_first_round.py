"""What a publisher's first answer is worth: zones that have no fit of their own yet."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from gridmargin.grid import assemble
from gridmargin.ledger import Book
from gridmargin.marginal import ESTIMATORS
from gridmargin.pipeline import STAND_IN, Factory, facts_from
from gridmargin.sources import LIVE_SOURCES, Archive, Payload
from gridmargin.vocab import Basis, Interval, Kind
from sources.live_samples import LIVE_SAMPLES


def first_states(adapter):
    """The states of the first answer to the sample's question."""
    live, sample = LIVE_SOURCES.get(adapter)(), LIVE_SAMPLES[adapter]
    request = live.requests(sample.zone, sample.interval)[-1]
    payload = Payload(adapter, request.name, sample.keep(request, sample.build(request, (), {})))
    found = live.parse(payload, sample.interval)
    return assemble(found, sample.zone, live.interval_s(sample.zone))


def test_southwest_power_pool_is_answered_by_epas_central_region():
    """Its first hour has a factor from the package alone: coal and gas, between a gas and a coal plant's."""
    states = first_states("spp")
    facts = facts_from(None)("US-SWPP", 2025)
    curve = ESTIMATORS.get("fleet_curve")()
    fit = curve.fit(states, facts)
    estimates = curve.estimate(states, fit)
    assert fit.parameters["region"] == "Central"
    assert fit.parameters["load_map"]["reading"] == "border"
    assert len(estimates) == len(states)
    assert estimates.basis == Basis(Kind.MARGINAL)
    assert ((estimates.mid > 400) & (estimates.mid < 1000)).all()
    assert (estimates.low < estimates.mid).all()
    assert set(estimates.source_names) >= {"coal", "gas"}
    np.testing.assert_allclose(estimates.source_probability.sum(axis=1), 1.0)


class Rounds:
    """What a live adapter brought in some rounds, each its own answer."""

    states_margin = False

    def __init__(self, adapter, stretch):
        self.live, self.sample = LIVE_SOURCES.get(adapter)(), LIVE_SAMPLES[adapter]
        self.name, self.stretch = adapter, stretch

    def zones(self):
        return self.live.zones()

    def interval_s(self, zone):
        return self.live.interval_s(zone)

    def span(self, zone):
        return self.stretch

    def fetch(self, zone, interval):
        found = self.stretch.overlap(interval)
        for slot in found.split(self.interval_s(zone)) if found else ():
            for request in self.live.requests(zone, slot):
                yield Payload(self.name, request.name, self.sample.build(request, (), {}))

    def parse(self, payload, interval):
        return self.live.parse(payload, interval)


MORNING = datetime(2026, 9, 24, 15, tzinfo=UTC)


@pytest.fixture
def alberta(tmp_path):
    """An hour of Alberta's snapshots, and a ledger with nothing in it."""
    hour = Interval(MORNING, MORNING + timedelta(hours=1))
    with Book(tmp_path / "ledger.sqlite") as book:
        yield Factory(
            Rounds("aeso", hour), book, Archive(tmp_path / "archive"), facts_from(None), lambda: hour.end_utc
        )


def entries(factory, name, zone="CA-AB"):
    return factory.book.entries(Kind.MARGINAL, zone, factory.source.span(zone), name)


def test_alberta_is_answered_by_the_plants_that_run(alberta):
    """Gas in all its forms and some water: near a gas plant's rate, modelled, from nothing to more than a gas plant's."""
    assert alberta.ensure("CA-AB", alberta.source.span("CA-AB")).n_new > 0
    found = entries(alberta, STAND_IN)
    assert len(found) == 12
    for entry in found:
        factor = entry.estimate.factor_gco2_per_kwh
        assert 350 < factor.mid < 450
        assert factor.low == 0.0
        assert 500 < factor.high < 700
        assert entry.estimate.status == "modelled"
        assert {source.name for source in entry.estimate.sources} >= {"gas", "gas_cc", "hydro"}
        assert not {source.name for source in entry.estimate.sources} & {"wind", "solar", "other"}


def test_asking_again_writes_nothing_new(alberta):
    """What stands in covers the stretch."""
    alberta.ensure("CA-AB", alberta.source.span("CA-AB"))
    assert alberta.ensure("CA-AB", alberta.source.span("CA-AB")).n_new == 0


def test_where_another_estimator_speaks_nothing_stands_in(tmp_path):
    """Southwest Power Pool has its region's curve."""
    hour = Interval(MORNING, MORNING + timedelta(hours=1))
    with Book(tmp_path / "ledger.sqlite") as book:
        source = Rounds("spp", hour)
        source.fetch = lambda zone, interval: [
            Payload("spp", r.name, LIVE_SAMPLES["spp"].build(r, (), {}))
            for r in source.live.requests(zone, hour)
        ]
        factory = Factory(source, book, Archive(tmp_path / "archive"), facts_from(None), lambda: hour.end_utc)
        factory.ensure("US-SWPP", hour)
        assert len(entries(factory, "fleet_curve", "US-SWPP")) == 12
        assert entries(factory, STAND_IN, "US-SWPP") == []


def test_who_asks_for_one_estimator_gets_no_other(alberta):
    """A factory of the average alone writes no margin."""
    only = replace(alberta, estimators=("average",))
    only.ensure("CA-AB", only.source.span("CA-AB"))
    assert entries(only, STAND_IN) == []
