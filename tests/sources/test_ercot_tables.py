"""ERCOT's tables: local prevailing time to UTC, on ordinary days and on both clock-change days."""

import gzip
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.grid import assemble
from gridmargin.sources import SOURCES, Observations, Payload
from gridmargin.vocab import Fuel, Interval, TableError
from sources.payload_samples import CLOCKS, SECOND_PASS, SKIPPED, ercot_day, ercot_table

Ercot = SOURCES.get("ercot")
CENTRAL = ZoneInfo("America/Chicago")
ALWAYS = Interval(datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


def one_fuel(day, cells, *, dst=False):
    return ercot_table(
        ercot_day(day, ("Coal",), dst_columns=dst, fill=lambda fuel, clocks: cells), dst_columns=dst
    )


def test_an_interval_is_named_by_its_end_and_power_is_four_times_energy():
    """`0:15` on a summer day starts at 05:00 UTC; 1,000.0 MWh in a quarter-hour are 4,000 MW."""
    frame = Ercot.parse(ercot_table(ercot_day(date(2020, 7, 15))), ALWAYS).frame
    first = frame.filter(
        (pl.col("column") == "0:15") & (pl.col("quantity") == "generation_gas_simple_mw")
    ).row(0, named=True)
    assert first["start_utc"] == datetime(2020, 7, 15, 5, tzinfo=UTC)
    assert first["value"] == 4000.0
    last = frame.filter(pl.col("column") == "0:00")["start_utc"].unique().to_list()
    assert last == [datetime(2020, 7, 16, 4, 45, tzinfo=UTC)]


def starts(payload):
    return Ercot.parse(payload, ALWAYS).frame.sort("start_utc")


def test_the_spring_day_has_92_intervals_in_a_row():
    """The skipped hour's columns are empty and the clock time 3:15 follows 2:00 at once."""
    cells = {c: float(n) for n, c in enumerate(CLOCKS) if c not in SKIPPED}
    frame = starts(one_fuel(date(2020, 3, 8), cells))
    assert frame.height == 92
    assert set(np.diff(frame["start_utc"].to_physical().to_numpy())) == {900_000_000}
    assert frame["start_utc"][0] == datetime(2020, 3, 8, 6, tzinfo=UTC)
    assert frame["value"].sum() == pytest.approx(4 * sum(cells.values()))


def test_the_autumn_day_has_100_intervals_and_the_marked_columns_come_second():
    """The repeated hour is first the plain columns, then the `(DST)` ones, as the series' continuity shows."""
    order = CLOCKS[:8] + SECOND_PASS + CLOCKS[8:]
    cells = {c: float(n) for n, c in enumerate(order)}
    frame = starts(one_fuel(date(2020, 11, 1), cells, dst=True))
    assert frame["column"].to_list() == order
    assert set(np.diff(frame["start_utc"].to_physical().to_numpy())) == {900_000_000}
    assert frame["value"].sum() == pytest.approx(4 * sum(cells.values()))


@pytest.mark.parametrize(
    ("day", "label", "dst"), [(date(2020, 3, 8), "2:30", False), (date(2020, 7, 15), "01:30 (DST)", True)]
)
def test_energy_at_a_time_that_never_was_is_refused(day, label, dst):
    """A value in the skipped hour, or in the repeated one on another day, is not dropped in silence."""
    cells = {c: 1.0 for c in CLOCKS if day.month != 3 or c not in SKIPPED} | {label: 5.0}
    with pytest.raises(TableError, match=r"row 2, column .*does not have in Central"):
        starts(one_fuel(day, cells, dst=dst))


@given(st.dates(date(2010, 1, 1), date(2030, 12, 31)))
def test_any_local_day_is_covered_once_without_gap(day):
    """From local midnight to local midnight, every quarter-hour once, whatever the clock did."""
    midnight = [datetime(d.year, d.month, d.day, tzinfo=CENTRAL) for d in (day, day + timedelta(days=1))]
    hours = (midnight[1].astimezone(UTC) - midnight[0].astimezone(UTC)) / timedelta(hours=1)
    cells = {c: 1.0 for c in CLOCKS if hours != 23 or c not in SKIPPED}
    cells |= dict.fromkeys(SECOND_PASS, 1.0) if hours == 25 else {}
    frame = starts(one_fuel(day, cells, dst=True))
    assert frame.height == 4 * hours
    assert frame["start_utc"].n_unique() == frame.height
    assert frame["start_utc"][0] == midnight[0].astimezone(UTC)


def test_a_cell_that_is_no_number_is_named():
    """The message holds file, row and column."""
    rows = ercot_day(date(2020, 7, 15))
    rows[2][10] = "n/a"
    with pytest.raises(TableError, match=r"IntGenByFuel202007.tsv.gz, row 4, column 1:45: 'n/a'"):
        Ercot.parse(ercot_table(rows), ALWAYS)


def test_a_cell_that_is_empty_is_unknown_and_not_zero():
    """A missing value leaves its quantity out of that state (C2)."""
    rows = ercot_day(date(2020, 7, 15))
    rows[1][4] = ""
    states = assemble(Ercot.parse(ercot_table(rows), ALWAYS), "US-ERCO", 900)
    assert np.isnan(states.generation_mw(Fuel.COAL)[0])
    assert states.frame["completeness_frac"][0] == pytest.approx(8 / 9)


@pytest.mark.parametrize("cut", [1, 2, 40, 700])
def test_a_plain_table_cut_short_anywhere_in_its_last_rows_is_refused(cut):
    """Even inside its very last cell: the row's own total tells."""
    payload = ercot_table(ercot_day(date(2020, 7, 15)), name="IntGenByFuel202007.tsv")
    with pytest.raises(TableError, match=r"cut short"):
        Ercot.parse(Payload("ercot", payload.name, payload.body[: -cut - 2]), ALWAYS)


def test_an_unknown_fuel_is_named():
    """Nothing falls under `other` because its name is new."""
    with pytest.raises(TableError, match=r"row 2, column Fuel: 'Fusion'"):
        Ercot.parse(ercot_table(ercot_day(date(2020, 7, 15), ("Fusion",))), ALWAYS)


def test_a_month_that_stands_in_two_files_is_refused(tmp_path):
    """Packed and plain copies of one month are not read twice."""
    for name in ("IntGenByFuel202007.tsv", "IntGenByFuel202007.tsv.gz"):
        payload = ercot_table(ercot_day(date(2020, 7, 15)), name=name)
        (tmp_path / name).write_bytes(payload.body)
    with pytest.raises(TableError, match="both state ERCOT's July 2020"):
        Ercot(tmp_path)


@pytest.mark.parametrize("place", ["", "any_name", "grid/any_name"])
def test_tables_are_found_from_the_pack_the_grid_folder_or_their_own(tmp_path, place):
    """Years in the folder's name play no part."""
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    payload = ercot_table(ercot_day(date(2031, 7, 15)), name="IntGenByFuel203107.tsv")
    (tmp_path / place / payload.name).write_bytes(payload.body)
    source = Ercot(tmp_path)
    assert source.zones() == ["US-ERCO"]
    assert source.span("US-ERCO").start_utc == datetime(2031, 7, 1, 5, tzinfo=UTC)


@pytest.mark.data
@pytest.mark.parametrize(("year", "n"), [(2019, 35_040), (2020, 35_136)])
def test_a_real_year_has_every_interval_once_and_keeps_its_totals(data_dir, year, n):
    """Every quarter-hour of the year, and each table row's own total within its rounding."""
    source = Ercot(data_dir)
    year_interval = Interval(datetime(year, 1, 1, 6, tzinfo=UTC), datetime(year + 1, 1, 1, 6, tzinfo=UTC))
    parts, payloads = [], list(source.fetch("US-ERCO", year_interval))
    assert len(payloads) == 12
    for payload in payloads:
        parts.append(source.parse(payload, year_interval))
        lines = [line.split("\t") for line in gzip.decompress(payload.body).decode().splitlines()[1:]]
        sums = dict(parts[-1].frame.group_by("row").agg(pl.col("value").sum() / 4).iter_rows())
        for number, line in enumerate(lines, start=2):
            assert sums[number] == pytest.approx(float(line[3].replace(",", "")), abs=0.05 * 101)
    states = assemble(Observations.concat(parts), "US-ERCO", 900)
    assert len(states) == n
    assert set(np.diff(states.start_epoch_s())) == {900}
    assert (states.frame["completeness_frac"] == 1).all()


@pytest.mark.data
def test_the_marked_autumn_columns_join_the_real_series_smoothly(data_dir):
    """On real autumn days our order of the repeated hour has smaller steps than the other order."""
    for month, day in (("201911", "11/03/2019"), ("202011", "11/01/2020")):
        found = next(p for p in data_dir.glob(f"grid/*/IntGenByFuel{month}.tsv.gz"))
        lines = [line.split("\t") for line in gzip.decompress(found.read_bytes()).decode().splitlines()]
        steps = np.zeros(2)
        for line in lines[1:]:
            if line[0] == day:
                value = {c: float(v.replace(",", "")) for c, v in zip(lines[0][4:], line[4:], strict=True)}
                plain, marked = CLOCKS[4:8], SECOND_PASS
                for k, order in enumerate((plain + marked, marked + plain)):
                    series = [value[c] for c in [CLOCKS[3], *order, CLOCKS[8]]]
                    steps[k] += np.abs(np.diff(series)).sum()
        assert steps[0] < steps[1]
