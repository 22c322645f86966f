"""Two made-up Australian regions with a tie, a pumped store, curtailment and prices, for modifiers and blends."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from gridmargin.ledger import Book
from gridmargin.marginal import ESTIMATORS, Facts, FuelRate
from gridmargin.pipeline import Factory
from gridmargin.sources import Archive, Observations, Payload
from gridmargin.sources.observation import OBSERVATION_SCHEMA
from gridmargin.vocab import Fuel, Interval, Kind, sha256_hex

HOME, NEIGHBOUR = "AU-VIC", "AU-NSW"
DAYS = 5
START, END = datetime(2021, 1, 1, tzinfo=UTC), datetime(2021, 7, 1, tzinfo=UTC)
RATES = {Fuel.LIGNITE: 1300.0, Fuel.COAL: 950.0, Fuel.GAS: 500.0}
FACTS = Facts("Australia/Melbourne", {fuel: FuelRate(rate, "made up", 0.05) for fuel, rate in RATES.items()})


class TiedGrid:
    """Hourly, a file every five days: what looks back a day from 11 May needs another one."""

    name = "tied_grid"
    states_margin = False

    def zones(self):
        return [NEIGHBOUR, HOME]

    def interval_s(self, zone):
        return 3600

    def span(self, zone):
        return Interval(START, END)

    def fetch(self, zone, interval):
        first = max((interval.start_utc - START).days, 0) // DAYS
        last = (min(interval.end_utc, END) - START - timedelta(seconds=1)).days // DAYS
        for part in range(first, last + 1):
            yield Payload(self.name, f"part{part}.json", json.dumps([part]).encode())

    @staticmethod
    def parse(payload, interval):
        [part] = json.loads(payload.body)
        draw = np.random.default_rng(part)
        n = DAYS * 24
        hour = np.arange(n) % 24
        load = 2000 * np.sin(2 * np.pi * (hour - 6) / 24) + draw.normal(0, 250, n)
        load += np.repeat(draw.normal(0, 500, DAYS), 24)
        pumped = np.where(hour < 6, -300.0 - 40 * hour, np.where(hour > 17, 200.0 + 30 * hour, 0.0))
        values = {
            HOME: {
                "generation_lignite_mw": 5000 + 0.3 * load,
                "generation_gas_mw": 2500 + 0.6 * load,
                "generation_pumped_mw": pumped,
                "imports_from_AU-NSW_mw": 0.1 * load + 50,
                "curtailment_mw": np.where(hour == 12, 200.0, 0.0),
                "price_aud_per_mwh": np.where(hour == 12, 0.0, 40.0),
            },
            NEIGHBOUR: {"generation_coal_mw": 8000 + 0.8 * load, "generation_gas_mw": 1500 + 0.2 * load},
        }
        start = [START + timedelta(days=part * DAYS, hours=k) for k in range(n)]
        parts = [
            pl.DataFrame(
                {
                    "zone": zone, "start_utc": start, "interval_s": 3600, "quantity": quantity, "value": value,
                    "status": "reported", "payload_sha256": sha256_hex(payload.body), "row": np.arange(n), "column": quantity,
                }
            ).cast(OBSERVATION_SCHEMA)
            for zone, quantities in values.items()
            for quantity, value in quantities.items()
        ]  # fmt: skip
        inside = (pl.col("start_utc") >= interval.start_utc) & (pl.col("start_utc") < interval.end_utc)
        return Observations(pl.concat(parts).select(OBSERVATION_SCHEMA.keys()).filter(inside))

    @staticmethod
    def cell_text(payload, cell):
        return "as made up"


class Worse:
    """A second opinion, off by 300 g/kWh."""

    name, version, kind = "worse", "1", Kind.MARGINAL
    needs = frozenset()

    def can_fit(self, history, facts):
        return ESTIMATORS.get("regression")().can_fit(history, facts)

    def fit(self, history, facts):
        return replace(ESTIMATORS.get("regression")().fit(history, facts), estimator=self.name)

    def estimate(self, states, fit):
        found = ESTIMATORS.get("regression")().estimate(states, fit)
        return replace(
            found, estimator=self.name, low=found.low + 300, mid=found.mid + 300, high=found.high + 300,
            source_factor=found.source_factor + 300,
        )  # fmt: skip


def factory_of(folder, asked, source=None, estimators=("regression", "average")):
    """Everything needed to cover the home region, with a clock that stands still."""
    return Factory(
        source or TiedGrid(), Book(folder / "ledger.sqlite"), Archive(folder / "archive"), lambda *_: FACTS,
        lambda: datetime(2021, 7, 1, tzinfo=UTC), estimators, asked,
    )  # fmt: skip
