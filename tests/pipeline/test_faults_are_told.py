"""A state that contradicts itself is flagged wherever its estimate goes: never a silent number."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from gridmargin.sources import Observations
from gridmargin.vocab import Interval, Kind
from interfaces.command_line import run
from pipeline.tied_grid import HOME, TiedGrid, factory_of

BAD = datetime(2021, 5, 11, 10, tzinfo=UTC)


class Contradicting(TiedGrid):
    """Demand that is what is made and imported, but for one hour in which it is 3,000 MW less."""

    @staticmethod
    def parse(payload, interval):
        found = TiedGrid.parse(payload, interval).frame
        home = found.filter(pl.col("zone") == HOME)
        made = home.filter(pl.col("quantity").str.contains("generation|imports"))
        demand = home.filter(pl.col("quantity") == "generation_gas_mw").drop("value").join(
            made.group_by("start_utc").agg(pl.col("value").sum()), on="start_utc", how="left", maintain_order="left"
        )  # fmt: skip
        off = pl.when(pl.col("start_utc") == BAD).then(-3000.0).otherwise(0.0)
        demand = demand.with_columns(pl.lit("demand_mw").alias("quantity"), pl.col("value") + off)
        imports = home.filter(pl.col("quantity") == "imports_from_AU-NSW_mw").with_columns(
            pl.lit("net_imports_mw").alias("quantity")
        )
        return Observations(pl.concat([found, demand.select(found.columns), imports]))


def test_the_entry_and_the_state_name_the_term_at_fault(tmp_path):
    """The hour whose demand does not add up says so in the ledger's conditions and in the answer; its neighbours do not."""
    factory = factory_of(tmp_path, (), Contradicting(), ("regression",))
    hours = Interval(BAD - timedelta(hours=1), BAD + timedelta(hours=2))
    factory.ensure(HOME, hours)
    before, bad, after = factory.book.entries(Kind.MARGINAL, HOME, hours, "regression")
    assert "faults" not in before.conditions
    assert "faults" not in after.conditions
    [told] = bad.conditions["faults"]
    assert told.startswith("balance: ")
    assert "term at fault: demand_mw" in told
    _, faults = factory.state(HOME, Interval.starting(BAD, 3600))
    assert faults == [told]
    assert factory.state(HOME, Interval.starting(BAD + timedelta(hours=5), 3600))[1] == []


@pytest.mark.data
def test_a_flag_is_printed_beside_the_answer(tmp_path, data_dir):
    """New South Wales is told to make two hundred megawatts less than it used; the answer says so."""
    asked = (
        "now",
        "AU-NSW",
        "--at",
        "2017-06-19T20:00Z",
        "--source",
        f"recorded:{data_dir}",
        "--data-dir",
        tmp_path,
    )
    assert "flag: balance: AU-NSW" in run(*asked).out
    assert "balance" in run(*asked, "--json").json()["faults"][0]
