"""EIA-930's hour labels, several years side by side, California's rate, and the typical days."""

import io
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gridmargin.grid import assemble
from gridmargin.sources import SOURCES, Observations, Payload
from gridmargin.vocab import Interval, Status, TableError, TimeError, UnknownNameError
from sources.payload_samples import eia_table, moer_table

Eia930, CaisoMoer, ReferenceDays = (SOURCES.get(n) for n in ("eia930", "caiso_moer", "reference"))
ALWAYS = Interval(datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("authority", "hour"), [("ERCO", -1), ("CISO", -1), ("NYIS", -1), ("MISO", -1), ("PJM", 0)]
)
def test_a_label_is_the_end_of_the_hour_but_for_pjm(authority, hour):
    """The first row of 2022 starts an hour before its label, in PJM's table at it."""
    frame = Eia930.parse(eia_table(authority), ALWAYS).frame
    assert (frame["start_utc"].min() - datetime(2022, 1, 1, tzinfo=UTC)).total_seconds() == 3600 * hour


def test_two_years_of_one_authority_are_both_read(tmp_path):
    """Files of the same name in two folders continue each other."""
    for year in (2021, 2022):
        folder = tmp_path / "grid" / f"fuelmix_{year}"
        folder.mkdir(parents=True)
        (folder / "ERCO.csv").write_bytes(eia_table(start=datetime(year, 1, 1, tzinfo=UTC)).body)
    source = Eia930(tmp_path)
    assert source.zones() == ["US-ERCO"]
    assert source.span("US-ERCO").start_utc == datetime(2020, 12, 31, 23, tzinfo=UTC)
    assert len(list(source.fetch("US-ERCO", ALWAYS))) == 2
    assert (
        len(
            list(
                source.fetch(
                    "US-ERCO", Interval(datetime(2022, 1, 1, tzinfo=UTC), datetime(2022, 1, 2, tzinfo=UTC))
                )
            )
        )
        == 1
    )


def test_other_tables_with_short_names_are_left_alone(tmp_path):
    """A file is recognised by its header, not only by its name."""
    (tmp_path / "ERCO.csv").write_text("name,WND\nx,1\n")
    assert Eia930(tmp_path).zones() == []


def test_column_sets_may_differ_and_the_average_is_not_read():
    """A table without oil gives no oil, and `avg_CI` never becomes an observation."""
    frame = Eia930.parse(eia_table(columns="NG,COL"), ALWAYS).frame
    assert set(frame["quantity"]) == {"generation_gas_mw", "generation_coal_mw"}


def test_a_time_without_offset_is_refused():
    """The row and what stands there are named (C1)."""
    body = eia_table().body.replace(b"2022-01-01 03:00:00+00:00", b"2022-01-01 03:00:00", 1)
    with pytest.raises((TableError, TimeError), match=r"ERCO.csv, row 5, column timestamp"):
        Eia930.parse(Payload("eia930", "ERCO.csv", body), ALWAYS)


def test_a_rate_of_exactly_zero_is_a_value():
    """A curtailment interval is kept, and grams are a thousand times kilograms."""
    frame = CaisoMoer.parse(moer_table(), ALWAYS).frame.filter(pl.col("zone") == "US-CISO-PGE")
    assert frame.height == 12
    assert frame["value"].to_list()[:3] == pytest.approx([100.0, 110.0, 0.0])
    assert frame["row"].to_list()[:3] == [2, 3, 4]


def test_rates_without_a_time_zone_are_refused():
    """A Parquet file with naive times is not guessed at (C1)."""
    out = io.BytesIO()
    pl.DataFrame({"time_utc": [datetime(2020, 1, 1)], "PGE": [0.1], "SCE": [0.1]}).write_parquet(out)  # noqa: DTZ001
    with pytest.raises(TableError, match="no UTC offset"):
        CaisoMoer.parse(Payload("caiso_moer", "moer_5min.parquet", out.getvalue()), ALWAYS)


@pytest.mark.parametrize("zone", ReferenceDays(Path()).zones())
def test_a_typical_day_answers_any_hour_and_says_modelled(zone):
    """Without file or network, every hour of any stretch has a state marked modelled."""
    stretch = Interval(datetime(2031, 2, 27, tzinfo=UTC), datetime(2031, 3, 3, tzinfo=UTC))
    source = ReferenceDays(Path())
    states = assemble(
        Observations.concat([source.parse(p, stretch) for p in source.fetch(zone, stretch)]), zone, 3600
    )
    assert len(states) == 96
    assert set(states.frame["status"]) == {Status.MODELLED.value}
    total = np.nansum([states.generation_mw(fuel) for fuel in states.fuels], axis=0)
    assert (total > 1000).all()


def test_a_zone_without_typical_days_is_unknown():
    """The message lists those that have them."""
    with pytest.raises(UnknownNameError):
        ReferenceDays(Path()).span("US-ISNE")


@pytest.mark.data
def test_the_real_fossil_series_fits_epa_best_at_the_hours_we_say(data_dir):
    """Shifting our hours by one either way lowers the fit with EPA's hourly fossil load, for each authority that has one."""
    loads = pl.read_parquet(next(data_dir.glob("grid/*/hourly_fossil_load.parquet"))).filter(
        pl.col("year") == 2022
    )
    source = Eia930(data_dir)
    for zone, region, offset_h in (
        ("US-ERCO", "Texas", -6), ("US-CISO", "California", -8), ("US-NYIS", "New York", -5),
        ("US-PJM", "Mid-Atlantic", -5), ("US-MISO", "Midwest", -6),
    ):  # fmt: skip
        start = pl.datetime("year", "month", "day", "hour", time_zone="UTC") - pl.duration(hours=offset_h)
        epa = loads.filter(pl.col("region") == region).select(start.alias("start_utc"), "fossil_load_mw")
        states = assemble(
            Observations.concat([source.parse(p, ALWAYS) for p in source.fetch(zone, ALWAYS)]), zone, 3600
        )
        fossil = states.frame.select(
            "start_utc", pl.sum_horizontal("generation_gas_mw", "generation_coal_mw").alias("mw")
        )
        fits = []
        for shift_h in (-1, 0, 1):
            both = epa.join(
                fossil.with_columns(pl.col("start_utc") + pl.duration(hours=shift_h)), on="start_utc"
            ).sort("start_utc")
            x, y = np.diff(both["fossil_load_mw"].to_numpy()), np.diff(both["mw"].to_numpy())
            usual = np.abs(y) < np.quantile(np.abs(y), 0.995)
            fits.append(np.corrcoef(x[usual], y[usual])[0, 1])
        assert np.argmax(fits) == 1, (zone, fits)
