"""MISO's fuels on the margin: units counted by region and fuel, in a spreadsheet, against shares worked by hand."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.sources import LIVE_SOURCES, SOURCES, Payload
from gridmargin.sources.miso_margin import EST, WORDS
from gridmargin.sources.packed import pack
from gridmargin.vocab import Fuel, Interval, TableError
from sources.payload_samples import MISO_HEADER, miso_margin_table, miso_row, spreadsheet

FIVE = timedelta(minutes=5)
MIDNIGHT = datetime(2023, 7, 1)  # noqa: DTZ001 - the publisher's clock, EST all year
"""05:00 UTC: in summer too."""
YEAR = Interval(datetime(2023, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC))


def shares(rows, payload: Payload | None = None) -> dict[datetime, dict[str, float]]:
    """Give what each interval's fuels have of the margin."""
    payload = payload or miso_margin_table(rows)
    found: dict[datetime, dict[str, float]] = {}
    frame = SOURCES.get("miso_margin").parse(payload, YEAR).frame
    for start, quantity, value in frame.select("start_utc", "quantity", "value").iter_rows():
        found.setdefault(start, {})[quantity.removeprefix("published_margin_").removesuffix("_frac")] = value
    return found


def utc(hour: int, minute: int) -> datetime:
    """Give a moment of the first of July."""
    return datetime(2023, 7, 1, hour, minute, tzinfo=UTC)


def test_a_fuels_share_is_its_units_over_those_of_all_regions():
    """Two of coal and two of gas in one region and one of gas in another are 2/5 and 3/5; a fuel without a row has none."""
    rows = [
        miso_row(MIDNIGHT, "Central", "Coal", 2),
        miso_row(MIDNIGHT, "Central", "Gas", 2),
        miso_row(MIDNIGHT, "South", "Gas", 1),
        miso_row(MIDNIGHT + FIVE, "North", "WIND", 1),
        miso_row(MIDNIGHT + FIVE, "North", "Hydro", 0),
    ]
    assert shares(rows) == {
        utc(5, 0): {"coal": pytest.approx(0.4), "gas": pytest.approx(0.6)},
        utc(5, 5): {"wind": 1.0, "hydro": 0.0},
    }


def test_whether_a_time_names_the_start_or_the_end_is_told_by_its_hour():
    """00:00 in hour 1 and 00:55 in hour 1 begin their five minutes; 01:00 in hour 1 ends it, and 00:00 in hour 24."""

    def row(at: datetime, hour: int):
        return ["Peak", "South", "Gas", 1, hour, f"{at:%m/%d/%Y %I:%M:%S %p}"]

    later = MIDNIGHT + timedelta(hours=1)
    assert list(shares([row(MIDNIGHT, 1), row(later - FIVE, 1)])) == [utc(5, 0), utc(5, 55)]
    assert list(shares([row(MIDNIGHT, 24), row(later - FIVE, 1), row(later, 1)])) == [
        utc(4, 55),
        utc(5, 50),
        utc(5, 55),
    ]
    with pytest.raises(TableError, match=r"row 6, column Hour Ending: '1' is not the hour of"):
        shares([row(MIDNIGHT, 1), row(later, 1)])
    with pytest.raises(TableError, match="no time lies on the hour"):
        shares([row(MIDNIGHT + FIVE, 1)])


def test_a_cell_may_hold_a_date_and_a_sheet_may_go_on_in_another():
    """Spreadsheets count days from 1899-12-30: as text of such a date, 2023-07-01 00:05; rows go on through the sheets."""
    first = [["A note"], MISO_HEADER, miso_row(MIDNIGHT, "South", "Gas", 1)]
    written = ["Peak", "South", "Coal", 1, 1, f"{MIDNIGHT + FIVE:%Y-%m-%d %H:%M:%S}"]
    sheets = spreadsheet(first, [["Nothing here"]], [MISO_HEADER, written])
    payload = Payload("miso_margin", "2023_rt_fuel_on_margin.zip", pack([("a.xlsx", sheets)]))
    frame = SOURCES.get("miso_margin").parse(payload, YEAR).frame
    assert frame.select("start_utc", "quantity", "row").rows() == [
        (utc(5, 0), "published_margin_gas_frac", 3),
        (utc(5, 5), "published_margin_coal_frac", 6),
    ]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (miso_row(MIDNIGHT, "South", "Phlogiston", 1), "row 5, column Fuel Type: 'phlogiston' is not known"),
        (miso_row(MIDNIGHT, "Atlantis", "Gas", 1), "row 5, column Region Name: 'Atlantis' is not a region"),
        (miso_row(MIDNIGHT, "South", "Gas", -1), "row 5, column Unit Count: '-1' is not a number of units"),
        (miso_row(MIDNIGHT, "South", "Gas", 1.5), "row 5, column Unit Count: '1.5' is not a number of units"),
        (miso_row(MIDNIGHT, "South", "Gas", "one"), "row 5, column Unit Count: 'one' is not a number"),
        (
            ["Peak", "South", "Gas", 1, 25, "07/01/2023 12:00:00 AM"],
            "column Hour Ending: '25' is not an hour",
        ),
        (["Peak", "South", "Gas", 1, 1, "yesterday"], "column Time Interval EST: 'yesterday' is not a time"),
        (["Peak", "South", "Gas", 1, 1, "07/01/2023 12:01:00 AM"], "is not a time such as"),
    ],
)
def test_what_is_not_known_is_told_by_row(row, told):
    """A new word, region or form is refused; nothing is dropped in silence."""
    with pytest.raises(TableError, match=told):
        shares([row])


def test_the_whole_of_miso_is_read_alone_and_never_beside_its_parts():
    """A row for all regions may count their units again."""
    assert shares([miso_row(MIDNIGHT, "MISO", "Gas", 3)]) == {utc(5, 0): {"gas": 1.0}}
    with pytest.raises(TableError, match="row 6, column Region Name: 'miso' is not read beside"):
        shares([miso_row(MIDNIGHT, "South", "Gas", 1), miso_row(MIDNIGHT, "MISO", "Gas", 1)])


def test_a_count_that_is_missing_leaves_its_interval_without_a_share():
    """No sum is known there (C2); a row that stands twice is refused."""
    known, missing = miso_row(MIDNIGHT, "South", "Gas", 1), miso_row(MIDNIGHT, "South", "Coal", None)
    assert shares([known, missing, miso_row(MIDNIGHT + FIVE, "South", "Coal", 1)]) == {
        utc(5, 5): {"coal": 1.0}
    }
    with pytest.raises(TableError, match=r"row 6: states gas of south at .* a second time"):
        shares([known, known])


@given(st.lists(st.integers(0, 40), min_size=30, max_size=30))
def test_shares_of_an_interval_come_to_one(counts):
    """Whatever is counted, in three regions and ten words: the shares add up, and where nothing is counted none is."""
    pairs = [(region, word) for region in ("North", "Central", "South") for word in WORDS]
    rows = [miso_row(MIDNIGHT, *pair, count) for pair, count in zip(pairs, counts, strict=True)]
    found = shares(rows)
    if not sum(counts):
        assert found == {}
        return
    [at] = found
    assert sum(found[at].values()) == pytest.approx(1.0)
    by_word = {WORDS[word].value: 0 for word in WORDS}
    for (_, word), count in zip(pairs, counts, strict=True):
        by_word[WORDS[word].value] += count
    assert found[at] == pytest.approx({fuel: n / sum(counts) for fuel, n in by_word.items()})


def test_a_damaged_or_other_spreadsheet_is_told():
    """Cut short within the zip, without the columns, or with none in it."""
    name = "2023_rt_fuel_on_margin.zip"
    for members, told in (
        ([("a.xlsx", b"PK\x03\x04 and no more")], "is no spreadsheet that can be read"),
        ([("a.xlsx", spreadsheet([["Fuel"], ["Gas"]]))], "holds no spreadsheet with the columns"),
        ([("a.txt", b"see the other file")], "holds no spreadsheet with the columns"),
    ):
        with pytest.raises(TableError, match=told):
            shares(None, Payload("miso_margin", name, pack(members)))
    whole = miso_margin_table()
    with pytest.raises(TableError, match="cut short or damaged"):
        shares(None, Payload("miso_margin", name, whole.body[:100]))


def test_where_spreadsheets_cannot_be_read_it_says_what_to_install(monkeypatch):
    """A refused table and no crash, so that a live round goes on without it."""
    monkeypatch.setitem(sys.modules, "fastexcel", None)
    with pytest.raises(TableError, match="pip install fastexcel"):
        shares([miso_row(MIDNIGHT, "South", "Oil", 1)])


def test_a_folder_gives_its_years_by_the_publishers_clock(tmp_path):
    """2023 begins at 05:00 UTC; the table of a year that is not touched is not opened."""
    for year in (2022, 2023):
        (tmp_path / f"{year}_rt_fuel_on_margin.zip").write_bytes(miso_margin_table().body)
    source = SOURCES.get("miso_margin")(tmp_path)
    new_year = datetime(2023, 1, 1, tzinfo=UTC) - EST
    assert source.zones() == ["US-MISO"]
    assert source.span("US-MISO") == Interval(
        datetime(2022, 1, 1, 5, tzinfo=UTC), datetime(2024, 1, 1, 5, tzinfo=UTC)
    )
    later = Interval(new_year, new_year + timedelta(days=1))
    assert [p.name for p in source.fetch("US-MISO", later)] == ["2023_rt_fuel_on_margin.zip"]


def test_live_a_stretch_of_days_asks_for_its_years_and_reads_them_alike():
    """A round does not; 45 days about a new year ask for both, of the host of the market reports, beside the mix."""
    live = LIVE_SOURCES.get("miso")()
    end = datetime(2024, 1, 20, tzinfo=UTC)
    asked = live.requests("US-MISO", Interval(end - timedelta(days=45), end))
    years = [r for r in asked if r.supplement == "fuels on the margin"]
    assert [(r.path, r.host) for r in years] == [
        (f"marketreports/{year}_rt_fuel_on_margin.zip", "https://docs.misoenergy.org")
        for year in (2023, 2024)
    ]
    assert years[0].interval.start_utc == datetime(2023, 1, 1, 5, tzinfo=UTC)
    round_of = live.requests("US-MISO", Interval(end - timedelta(hours=2), end))
    assert [r for r in round_of if r.supplement == "fuels on the margin"] == []
    same = miso_margin_table()
    drop = "payload_sha256"
    mine = live.parse(Payload("miso", same.name, same.body), YEAR).frame.drop(drop)
    assert mine.equals(SOURCES.get("miso_margin").parse(same, YEAR).frame.drop(drop))
    assert mine["quantity"].unique().sort().to_list() == [
        f"published_margin_{fuel}_frac" for fuel in (Fuel.COAL.value, Fuel.GAS.value)
    ]
    assert mine.group_by("quantity").agg(pl.col("value").first()).sort("quantity")["value"].to_list() == [
        pytest.approx(1 / 3),
        pytest.approx(2 / 3),
    ]
