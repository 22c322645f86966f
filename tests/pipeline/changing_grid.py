"""A made-up publisher whose grid becomes another one on a day: coal answers less of the load, and its rate falls."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from gridmargin.ledger import Book
from gridmargin.marginal import Facts, FuelRate
from gridmargin.pipeline import Factory
from gridmargin.sources import Archive, Observations, Payload
from gridmargin.sources.observation import OBSERVATION_SCHEMA
from gridmargin.vocab import Fuel, Interval, sha256_hex

START = datetime(2021, 1, 1, tzinfo=UTC)
CHANGE = datetime(2021, 5, 3, tzinfo=UTC)
END = datetime(2021, 7, 1, tzinfo=UTC)
ZONE = "US-ERCO"
RATES = {Fuel.COAL: 1000.0, Fuel.GAS: 400.0}
FACTS = Facts("America/Chicago", {fuel: FuelRate(rate, "made up", 0.05) for fuel, rate in RATES.items()})


class ChangingGrid:
    """Hourly coal and gas, and a published marginal rate where `publishes`."""

    name = "changing_grid"
    states_margin = True

    def __init__(self, change_utc=CHANGE, publishes=True, coal=(0.6, 0.1)):
        self.change_utc, self.publishes, self.coal = change_utc, publishes, coal

    def zones(self):
        return [ZONE]

    def interval_s(self, zone):
        return 3600

    def span(self, zone):
        return Interval(START, END)

    def fetch(self, zone, interval):
        body = [self.change_utc.isoformat(), self.publishes, list(self.coal)]
        yield Payload(self.name, "grid.json", json.dumps(body).encode())

    @staticmethod
    def parse(payload, interval):
        change, publishes, coal = json.loads(payload.body)
        n = int((END - START).total_seconds() // 3600)
        draw = np.random.default_rng(3)
        load = 3000 * np.sin(2 * np.pi * np.arange(n) / 24) + np.cumsum(draw.normal(0, 60, n))
        load += np.repeat(draw.normal(0, 900, n // 24 + 1), 24)[:n]
        start = [START + timedelta(hours=k) for k in range(n)]
        answers = np.where(np.array(start) < datetime.fromisoformat(change), *coal)
        values = {
            "generation_coal_mw": 9000 + answers * load,
            "generation_gas_mw": 12_000 + (1 - answers) * load,
        }
        if publishes:
            values["published_marginal_rate_gco2_per_kwh"] = (
                1000 * answers + 400 * (1 - answers) + draw.normal(0, 8, n)
            )
        parts = [
            pl.DataFrame(
                {
                    "zone": ZONE, "start_utc": start, "interval_s": 3600, "quantity": quantity, "value": value,
                    "status": "reported", "payload_sha256": sha256_hex(payload.body), "row": np.arange(n), "column": quantity,
                }
            ).cast(OBSERVATION_SCHEMA)
            for quantity, value in values.items()
        ]  # fmt: skip
        inside = (pl.col("start_utc") >= interval.start_utc) & (pl.col("start_utc") < interval.end_utc)
        return Observations(pl.concat(parts).select(OBSERVATION_SCHEMA.keys()).filter(inside))


def factory_of(folder, source=None, now=datetime(2021, 7, 1, tzinfo=UTC), estimators=("regression",)):
    """Everything needed to cover, watch and renew the made-up zone, with a clock that stands still."""
    return Factory(
        source or ChangingGrid(), Book(folder / "ledger.sqlite"), Archive(folder / "archive"), lambda *_: FACTS,
        lambda: now, estimators,
    )  # fmt: skip
