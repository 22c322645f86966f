"""What a publisher's first answer is worth: zones that have no fit of their own yet."""

from __future__ import annotations

import numpy as np

from gridmargin.grid import assemble
from gridmargin.marginal import ESTIMATORS
from gridmargin.pipeline import facts_from
from gridmargin.sources import LIVE_SOURCES, Payload
from gridmargin.vocab import Basis, Kind
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
