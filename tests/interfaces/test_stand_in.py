"""Which recorded stretch stands in for one that no record holds, and that the answer says so."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gridmargin.interfaces.stand_in import stand_in_shift
from gridmargin.pipeline import moment_for
from gridmargin.vocab import Interval
from interfaces.test_rest import asked as asked_of_typical_days
from interfaces.test_rest_forecasts import serving
from pipeline.tied_grid import END, FACTS, HOME, START, TiedGrid

MELBOURNE = ZoneInfo("Australia/Melbourne")
FACTORY = SimpleNamespace(source=TiedGrid())


def local_day(year, month, day, n=1):
    first = datetime(year, month, day, tzinfo=MELBOURNE)
    return Interval(first.astimezone(UTC), (first + timedelta(days=n)).astimezone(UTC))


def in_year(moment, year):
    """The same date and time of another year; 28 February for the 29th, where that year has none."""
    try:
        return moment.replace(year=year)
    except ValueError:
        return moment.replace(year=year, day=28)


@given(day=st.dates(date(2021, 7, 2), date(2090, 12, 31)), n=st.integers(1, 32))
@example(day=date(2084, 3, 1), n=1)
@settings(max_examples=200, deadline=None)
def test_the_newest_whole_stretch_of_a_record_that_ended_stands_in(day, n):
    """It lies inside the record, ends within two days of its end unless the record has that very date, and by local time."""
    wanted = local_day(day.year, day.month, day.day, n)
    shift = stand_in_shift(FACTORY, HOME, wanted)
    start, end = wanted.start_utc + shift, wanted.end_utc + shift
    assert start >= START
    assert end <= END
    same_date = start == in_year(wanted.start_utc, start.year)
    if not same_date:
        assert END - end < timedelta(days=2)
        # The same local hour of the day, whatever the clocks were set to.
        assert start.astimezone(MELBOURNE).timetz().replace(tzinfo=None) == wanted.start_utc.astimezone(
            MELBOURNE
        ).timetz().replace(tzinfo=None)


@given(minutes=st.integers(1, 36_000_000))
@example(minutes=int((datetime(2084, 2, 29, 13, tzinfo=UTC) - END).total_seconds() // 60))
@settings(max_examples=200, deadline=None)
def test_a_moment_is_answered_by_the_same_local_time_of_day(minutes):
    """Never by midnight for a morning: by its date where the record has it, else by one of its last two days."""
    moment = END + timedelta(minutes=minutes)
    found, note = moment_for(TiedGrid(), HOME, moment)
    assert START <= found < END
    if found != in_year(moment, found.year):
        assert END - found <= timedelta(days=2)
        local = (at.astimezone(MELBOURNE).replace(tzinfo=None) for at in (found, moment))
        assert len({at.time() for at in local}) == 1
    assert "." not in note


def test_what_the_record_holds_needs_no_stand_in():
    """Nothing is moved."""
    assert stand_in_shift(FACTORY, HOME, local_day(2021, 5, 11)) == timedelta(0)


def test_the_page_gets_a_whole_day_of_a_record_that_ended(tmp_path, monkeypatch):
    """24 hours, each imputed, and the stretch that they are of; before, one interval was all there was."""
    monkeypatch.setattr("gridmargin.wiring.workplace.source_for", lambda *_: TiedGrid())
    monkeypatch.setattr("gridmargin.wiring.workplace.facts_from", lambda _folder: lambda *_: FACTS)
    day = local_day(2026, 11, 24)

    async def work():
        async with serving(tmp_path) as client:
            path = f"/v1/zones/{HOME}/factors?start={day.start_utc:%Y-%m-%dT%H:%MZ}&end={day.end_utc:%Y-%m-%dT%H:%MZ}"
            return (await client.get(path)).json()

    answer = asyncio.run(work())
    starts = answer["marginal"]["start_epoch_s"]
    assert starts == list(range(int(day.start_utc.timestamp()), int(day.end_utc.timestamp()), 3600))
    assert set(answer["marginal"]["status"]) == {"imputed"}
    assert answer["stands_in"] == {
        "kind": "recorded",
        "start_utc": "2021-06-29T14:00Z",
        "end_utc": "2021-06-30T14:00Z",
    }


@pytest.mark.parametrize("day", ["2026-07-15", "2026-11-24"])
def test_a_typical_day_says_that_it_is_one(day, tmp_path):
    """Its own date is shown, and that it is typical."""
    path = f"/v1/zones/US-ERCO/factors?start={day}T05:00Z&end={day}T15:00Z"
    answer = asked_of_typical_days(tmp_path, lambda c, _d: c.get(path)).json()
    assert answer["shifted_s"] == 0
    assert answer["stands_in"]["kind"] == "typical"
