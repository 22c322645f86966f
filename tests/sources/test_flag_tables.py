"""ISO-NE's fuel mix with flags, NYISO's fuel mix, and any operator's fuel on the margin."""

from datetime import UTC, datetime, timedelta

import pytest

from gridmargin.grid import assemble
from gridmargin.sources import SOURCES, Payload
from gridmargin.vocab import Interval, TableError
from sources.payload_samples import fuel_on_margin_table, isone_table, nyiso_day, nyiso_zip

ISONE, NYISO, MARGIN = (SOURCES.get(name) for name in ("isone", "nyiso", "fuel_on_margin"))
DAY = Interval(datetime(2024, 3, 9, 5, tzinfo=UTC), datetime(2024, 3, 10, 5, tzinfo=UTC))
FEBRUARY = Interval(datetime(2025, 2, 1, tzinfo=UTC), datetime(2025, 3, 1, tzinfo=UTC))


def isone_states(*snapshots, interval=DAY):
    return assemble(ISONE.parse(isone_table(list(snapshots)), interval), "US-ISNE", 300).frame


def mix(gas=6000, flag="Y", **others):
    return {"Natural Gas": (gas, flag), **others}


# -- ISO-NE --------------------------------------------------------------------------------------------------------


def test_a_snapshot_stands_for_the_five_minutes_that_hold_it():
    """00:05:34 -05:00 is 05:05 UTC; the last of two in one interval stands for it, flag and all."""
    frame = isone_states(
        ("2024-03-09T00:06:00.000-05:00", mix(5900, "Y", Hydro=(900, "N"))),
        ("2024-03-09T00:09:59.000-05:00", mix(5800, "N", Hydro=(950, "Y"))),
    )
    assert frame["start_utc"].to_list() == [datetime(2024, 3, 9, 5, 5, tzinfo=UTC)]
    assert frame["generation_gas_mw"].to_list() == [5800.0]
    assert frame["published_margin_hydro_frac"].to_list() == [1.0]
    assert frame["published_margin_gas_frac"].to_list() == [0.0]


def test_five_minutes_without_a_snapshot_have_no_state():
    """Twelve minutes between snapshots leave an interval out; nothing is carried on (C2)."""
    frame = isone_states(("2024-03-09T00:04:00.000-05:00", mix()), ("2024-03-09T00:16:00.000-05:00", mix()))
    assert [start.minute for start in frame["start_utc"]] == [0, 15]


def test_a_category_that_a_snapshot_leaves_out_is_not_known_there():
    """The earlier snapshot of the interval had solar, the last one has not: null, not 0 and not the earlier."""
    frame = isone_states(
        ("2024-03-09T12:00:10.000-05:00", mix(Solar=(500, "N"))),
        ("2024-03-09T12:03:10.000-05:00", mix()),
        ("2024-03-09T12:05:10.000-05:00", mix(Solar=(510, "N"))),
    )
    assert frame["generation_solar_mw"].to_list() == [None, 510.0]
    assert frame["published_margin_solar_frac"].to_list() == [None, 0.0]


def test_the_days_of_a_table_may_be_in_any_order_and_over_a_clock_change():
    """Each time carries its offset: -05:00 before the spring change, -04:00 after it."""
    wide = Interval(DAY.start_utc, DAY.end_utc + timedelta(days=1))
    frame = isone_states(
        ("2024-03-10T03:01:00.000-04:00", mix()),
        ("2024-03-10T01:59:00.000-05:00", mix()),
        interval=wide,
    )
    assert [f"{start:%H:%M}" for start in frame["start_utc"]] == ["06:55", "07:00"]


def test_the_same_answer_fetched_twice_is_one_and_two_answers_are_refused():
    """A repeated row is one statement; one that differs is named by row."""
    again = [("2024-03-09T00:06:00.000-05:00", mix()), ("2024-03-09T00:06:00.000-05:00", mix())]
    assert isone_states(*again).height == 1
    with pytest.raises(TableError, match=r"row 2 .*row 3"):
        isone_states(again[0], ("2024-03-09T00:06:00.000-05:00", mix(6001)))


@pytest.mark.parametrize(
    ("was", "now", "message"),
    [
        ("Natural Gas,Y", "Cold Fusion,Y", "row 2, column FuelCategory: 'Cold Fusion'"),
        ("Natural Gas,Y", "Natural Gas,maybe", "row 2, column MarginalFlag: 'maybe'"),
        ("-05:00", "", "row 2, column BeginDate"),
        (",6000,", ",six,", "row 2, column GenMw: 'six'"),
    ],
)
def test_a_bad_cell_of_isone_is_named(was, now, message):
    """Row and column, and what stands there."""
    text = isone_table([("2024-03-09T00:06:00.000-05:00", mix())], name="genfuelmix.csv").body.decode()
    assert was in text
    with pytest.raises(TableError, match=message):
        ISONE.parse(Payload("isone", "genfuelmix.csv", text.replace(was, now).encode()), DAY)


def test_folder_and_span_of_isone(tmp_path):
    """A table in a folder of any name is found, and its span is cut at five minutes."""
    payload = isone_table()
    (tmp_path / "any").mkdir()
    (tmp_path / "any" / "2024_genfuelmix_march.csv.gz").write_bytes(payload.body)
    source = ISONE(tmp_path)
    assert source.zones() == ["US-ISNE"]
    span = source.span("US-ISNE")
    assert str(span) == "2024-03-09T10:00Z/2024-03-09T11:00Z"
    assert len(list(source.fetch("US-ISNE", span))) == 1
    assert list(source.fetch("US-ISNE", DAY)) != []
    assert list(source.fetch("US-ISNE", FEBRUARY)) == []


# -- NYISO ---------------------------------------------------------------------------------------------------------


def nyiso_states(payload, interval=FEBRUARY):
    return assemble(NYISO.parse(payload, interval), "US-NYIS", 300).frame


def test_a_stamp_of_nyiso_ends_its_interval():
    """00:05 EST is the interval from 05:00 UTC; 00:00 ends the day before."""
    frame = nyiso_states(nyiso_zip())
    assert frame["start_utc"][0] == datetime(2025, 2, 2, 4, 30, tzinfo=UTC)
    assert frame["start_utc"][-1] == datetime(2025, 2, 2, 5, 25, tzinfo=UTC)
    assert frame.height == 12


def test_a_stamp_off_the_grid_gives_way_to_the_one_that_ends_the_interval():
    """00:07:30 and 00:10:00 fall in one interval, which the last names; alone, the odd one stands."""
    day = nyiso_day(
        ["02/01/2025 00:05:00", "02/01/2025 00:07:30", "02/01/2025 00:10:00", "02/01/2025 00:13:00"]
    )
    frame = nyiso_states(nyiso_zip({"20250201rtfuelmix.csv": day}))
    assert frame["generation_gas_oil_mw"].to_list() == [4000.0, 4002.0, 4003.0]


def test_both_passes_of_the_repeated_hour_are_told_apart_by_their_zone():
    """01:30 EDT and 01:30 EST on the autumn change are an hour apart."""
    stamps = ["11/02/2025 01:30:00"]
    both = nyiso_day(stamps, "EDT") + nyiso_day(stamps, "EST").partition("\n")[2]
    payload = Payload("nyiso", "20251102rtfuelmix.csv", both.encode())
    frame = nyiso_states(
        payload, Interval(datetime(2025, 11, 2, tzinfo=UTC), datetime(2025, 11, 3, tzinfo=UTC))
    )
    assert [f"{start:%H:%M}" for start in frame["start_utc"]] == ["05:25", "06:25"]


def test_a_cell_of_a_zip_is_found_by_counting_through_its_tables():
    """The second table's rows go on after the first one's; the header lines count."""
    payload = nyiso_zip()
    observations = NYISO.parse(payload, FEBRUARY)
    last = observations.record(len(observations) - 1)
    assert last.cell.row == 26  # two tables of a header and twelve rows
    assert float(NYISO.cell_text(payload, last.cell)) == last.value


def test_a_day_of_nyiso_and_a_zip_of_it_say_the_same(tmp_path):
    """The plain table and the packed one give the same states, and a folder may hold both."""
    day = nyiso_day([f"02/01/2025 00:{minute:02d}:00" for minute in range(5, 35, 5)])
    plain = Payload("nyiso", "20250201rtfuelmix.csv", day.encode())
    packed = nyiso_zip({"20250201rtfuelmix.csv": day})
    assert nyiso_states(plain).equals(nyiso_states(packed))
    for payload in (plain, packed):
        (tmp_path / payload.name).write_bytes(payload.body)
    source = NYISO(tmp_path)
    assert len(list(source.fetch("US-NYIS", source.span("US-NYIS")))) == 2


# -- fuel on the margin ---------------------------------------------------------------------------------------------


def test_shares_become_flags_of_their_fuels():
    """A quarter coal, half gas, a quarter wind; the step between times is the interval."""
    payload = fuel_on_margin_table()
    july = Interval(datetime(2024, 7, 1, tzinfo=UTC), datetime(2024, 7, 2, tzinfo=UTC))
    frame = assemble(MARGIN.parse(payload, july), "US-MISO", 3600).frame
    assert frame["published_margin_gas_frac"].to_list() == [0.5] * 6
    assert frame["published_margin_coal_frac"].to_list() == [0.25] * 6


def test_an_interval_that_is_stated_wins_over_the_shortest_step():
    """Hours of a table that skips every other one are still hours."""
    rows = [f"2024-07-01T{hour:02d}:00Z,US-MISO,gas,1,3600" for hour in (0, 2, 4)]
    payload = fuel_on_margin_table(rows, header="time_utc,zone,fuel,share,interval_s")
    observations = MARGIN.parse(
        payload, Interval(datetime(2024, 7, 1, tzinfo=UTC), datetime(2024, 7, 2, tzinfo=UTC))
    )
    assert observations.frame["interval_s"].unique().to_list() == [3600]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("2024-07-01T00:00:00,US-MISO,gas,1", "row 2, column time_utc"),
        ("2024-07-01T00:00:00Z,US-MISO,gasoline,1", "row 2, column fuel: 'gasoline'"),
        ("2024-07-01T00:00:00Z,US-MISO,gas,1.5", "row 2, column share: '1.5'"),
        ("2024-07-01T00:00:00Z,US-MISO,gas,", "row 2, column share"),
        ("2024-07-01T00:00:00Z,,gas,1", "row 2, column zone"),
    ],
)
def test_a_bad_cell_of_a_margin_table_is_named(row, message):
    """Row and column, and what is wanted there."""
    with pytest.raises(TableError, match=message):
        MARGIN.parse(fuel_on_margin_table([row]), DAY)


def test_a_margin_table_in_a_folder_names_its_zones(tmp_path):
    """Zones and interval are read from the table; another zone is refused with those it has."""
    (tmp_path / "my_fuel_on_margin.csv.gz").write_bytes(fuel_on_margin_table().body)
    source = MARGIN(tmp_path)
    assert source.zones() == ["US-MISO"]
    assert source.interval_s("US-MISO") == 3600
    assert str(source.span("US-MISO")) == "2024-07-01T00:00Z/2024-07-01T06:00Z"


# -- as published ---------------------------------------------------------------------------------------------------


@pytest.mark.data
def test_the_recorded_tables_are_read_whole(data_dir):
    """Every state of ISO-NE has a flag or none at all, and New York's fuels are all there in every state."""
    source = ISONE(data_dir)
    span = source.span("US-ISNE")
    frame = assemble(ISONE.parse(next(iter(source.fetch("US-ISNE", span))), span), "US-ISNE", 300).frame
    flagged = frame.select(
        total=sum(
            frame[name].fill_null(0.0) for name in frame.columns if name.startswith("published_margin_")
        )
    )["total"]
    assert flagged.is_in([0.0, 1.0, 2.0]).all()
    assert (flagged > 0).mean() > 0.95
    source = NYISO(data_dir)
    span = source.span("US-NYIS")
    frame = assemble(NYISO.parse(next(iter(source.fetch("US-NYIS", span))), span), "US-NYIS", 300).frame
    assert frame.null_count().to_numpy().sum() == 0
    assert frame.height / (span.duration_s / 300) > 0.99
