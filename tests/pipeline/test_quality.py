"""The quality report counts what is absent, suspect, stated again and late, and leads each flag to its raw cell."""

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from gridmargin.pipeline import installed_mw, quality_of
from gridmargin.sources import Observations, Payload
from gridmargin.vocab import Interval, NoFactorError, sha256_hex
from pipeline.test_faults_are_told import BAD, Contradicting
from pipeline.tied_grid import END, HOME, NEIGHBOUR, TiedGrid

DAY = Interval(datetime(2021, 5, 11, tzinfo=UTC), datetime(2021, 5, 12, tzinfo=UTC))
SPIKE, HOLE = DAY.start_utc + timedelta(hours=5), DAY.start_utc + timedelta(hours=14)
AGAIN = b'["again"]'


class Faulty(TiedGrid):
    """Lignite at ten times in one hour, gas absent in another, and one hour stated again by a later payload."""

    def fetch(self, zone, interval):
        yield from super().fetch(zone, interval)
        yield Payload(self.name, "again.json", AGAIN)

    @staticmethod
    def parse(payload, interval):
        if payload.body == AGAIN:
            whole = [TiedGrid.parse(p, interval).frame for p in TiedGrid().fetch(HOME, interval)]
            row = pl.concat(whole).filter(
                (pl.col("start_utc") == DAY.start_utc) & (pl.col("quantity") == "generation_gas_mw")
            )
            return Observations(
                row.with_columns(pl.col("value") + 1, payload_sha256=pl.lit(sha256_hex(AGAIN)))
            )
        frame = TiedGrid.parse(payload, interval).frame
        is_lignite, is_gas = (pl.col("quantity") == f"generation_{fuel}_mw" for fuel in ("lignite", "gas"))
        times = pl.when((pl.col("start_utc") == SPIKE) & is_lignite).then(10.0).otherwise(1.0)
        return Observations(
            frame.filter(~((pl.col("start_utc") == HOLE) & is_gas)).with_columns(pl.col("value") * times)
        )


def by_name(answer, name):
    [found] = [row for row in answer["quantities"] if row["quantity"] == name]
    return found


def test_the_shares_of_a_quantity_add_up_to_one():
    """Reported, imputed for a gap, absent: every interval is one of them."""
    answer = quality_of(Faulty(), HOME, DAY)
    for row in answer["quantities"]:
        assert row["stated_frac"] + row["gaps_imputed_frac"] + row["absent_frac"] == pytest.approx(1.0)
        assert sum(row["by_status_frac"].values()) == pytest.approx(row["stated_frac"])
    gas = by_name(answer, "generation_gas_mw")
    assert (gas["stated_frac"], gas["gaps_imputed_frac"]) == pytest.approx((23 / 24, 1 / 24))
    assert by_name(answer, "price_aud_per_mwh")["checked"] is False


def test_a_flag_leads_to_the_cell_and_the_imputed_value_stands_beside_the_reported():
    """The hash, the row and the column that the observation carries."""
    source = Faulty()
    answer = quality_of(source, HOME, DAY)
    rows = [
        row for flag in answer["flags"] for row in flag["first"] if row["quantity"] == "generation_lignite_mw"
    ]
    assert rows
    for row in rows:
        assert row["start_utc"] == "2021-05-11T05:00Z"
        hashes = [sha256_hex(payload.body) for payload in source.fetch(HOME, DAY)]
        assert row["cell"]["payload_sha256"] in hashes
        assert row["cell"]["column"] == "generation_lignite_mw"
        assert row["imputed"]["status"] == "imputed"
        assert row["value"] == pytest.approx(10 * row["imputed"]["value"], rel=0.2)
    assert by_name(answer, "generation_lignite_mw")["n_flagged"] == 1


def test_what_is_stated_again_and_what_is_late_is_counted():
    """One hour restated with another value; a day asked for beyond the end of the record."""
    times = quality_of(Faulty(), HOME, DAY)["intervals"]
    assert (times["n_stated_again"], times["n_changed_later"]) == (1, 1)
    over = Interval(END - timedelta(days=1), END + timedelta(hours=6))
    late = quality_of(TiedGrid(), HOME, over)["intervals"]
    assert (late["n_asked"], late["n_stated"], late["n_late"], late["n_missing"]) == (30, 24, 6, 0)


def test_the_balance_is_told_with_its_worst_interval():
    """The hour with 3,000 MW too few of demand is the worst, by that much."""
    balance = quality_of(Contradicting(), HOME, DAY)["balance"]
    assert balance["worst"][0]["start_utc"] == BAD.strftime("%Y-%m-%dT%H:%MZ")
    assert balance["residual_mw"]["max"] == pytest.approx(3000.0)
    assert balance["residual_mw"]["p50"] <= balance["residual_mw"]["p90"] <= balance["residual_mw"]["max"]
    assert quality_of(TiedGrid(), NEIGHBOUR, DAY)["balance"] is None


def test_the_report_is_plain_json_and_the_same_each_time():
    """Nothing that JSON cannot say, no NaN."""
    first, second = (json.dumps(quality_of(Faulty(), HOME, DAY), allow_nan=False) for _ in range(2))
    assert first == second


def test_clean_data_are_called_good():
    """And the faulty day is not."""
    assert quality_of(TiedGrid(), NEIGHBOUR, DAY)["verdict"].startswith("good: 0.00% of the values absent")
    assert not quality_of(Faulty(), HOME, DAY)["verdict"].startswith("good")


def test_a_stretch_outside_the_record_is_refused():
    """With what the record covers."""
    with pytest.raises(NoFactorError, match="reach from 2021-01-01T00:00Z to 2021-07-01T00:00Z"):
        quality_of(TiedGrid(), HOME, Interval(END, END + timedelta(days=1)))


def test_no_plant_list_means_no_capacity():
    """Not known is not zero (C2)."""
    assert installed_mw(None, HOME) == {}
