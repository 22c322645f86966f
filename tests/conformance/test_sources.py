"""What every registered source must keep, whoever wrote it."""

from datetime import timedelta

import polars as pl
import pytest

from gridmargin.grid import GridStates, assemble
from gridmargin.sources import SOURCES, Payload, cell_text
from gridmargin.vocab import InputError, Interval, Status, TableError, sha256_hex
from sources.payload_samples import SAMPLES


def test_there_are_sources_and_each_has_a_sample():
    """The suite runs over something, and a source without a sample payload is named."""
    assert len(SOURCES) > 0
    assert [name for name in SOURCES if name not in SAMPLES] == []


@pytest.fixture(params=sorted(SAMPLES))
def name(request):
    return request.param


@pytest.fixture
def sample(name):
    build, interval = SAMPLES[name]
    return SOURCES.get(name), build(), interval


def test_its_name_is_the_registered_one(name):
    """A payload finds its parser by the name it carries."""
    assert SOURCES.get(name).name == name
    assert SAMPLES[name][0]().source == name


def test_parsing_gives_observations_of_that_payload(sample):
    """Every observation names the payload's hash, a known status and a finite value."""
    source, payload, interval = sample
    frame = source.parse(payload, interval).frame
    assert frame.height > 0
    assert frame["payload_sha256"].unique().to_list() == [sha256_hex(payload.body)]
    assert set(frame["status"]) <= {status.value for status in Status}
    assert frame["value"].is_finite().all()


def test_parsing_is_pure(sample):
    """The same bytes give the same observations."""
    source, payload, interval = sample
    assert source.parse(payload, interval).frame.equals(source.parse(payload, interval).frame)


def test_only_the_interval_asked_for_is_given(sample):
    """Starts lie inside the half-open interval, and two halves make the whole (C1)."""
    source, payload, interval = sample
    middle = interval.start_utc + timedelta(hours=(interval.duration_s // 7200))
    middle = (
        middle
        if middle < interval.end_utc and middle > interval.start_utc
        else interval.start_utc + timedelta(minutes=30)
    )
    whole = source.parse(payload, interval).frame
    parts = [
        source.parse(payload, part).frame
        for part in (Interval(interval.start_utc, middle), Interval(middle, interval.end_utc))
    ]
    assert parts[0]["start_utc"].max() < middle <= parts[1]["start_utc"].min()
    order = ["zone", "start_utc", "quantity"]
    assert pl.concat(parts).sort(order).equals(whole.sort(order))


def test_each_interval_is_stated_once_and_without_gap(sample):
    """The sample's stretch is covered: every interval, every zone, no interval twice."""
    source, payload, interval = sample
    frame = source.parse(payload, interval).frame
    for zone in frame["zone"].unique():
        step_s = frame.filter(pl.col("zone") == zone)["interval_s"][0]
        states = assemble(source.parse(payload, interval), zone, step_s)
        assert isinstance(states, GridStates)
        assert len(states) == interval.duration_s / step_s


def test_each_cell_can_be_read_again(sample):
    """The row and column of an observation lead back to its number in the payload, in one unit throughout."""
    ratios: dict[str, float] = {}
    source, payload, interval = sample
    observations = source.parse(payload, interval)
    for index in range(0, len(observations), 7):
        found = observations.record(index)
        text = cell_text(payload, found.cell)
        ratio = found.value / float({"Y": "1"}.get(text, text).replace(",", "")) if found.value else 1.0
        assert ratio == pytest.approx(
            ratios.setdefault(found.cell.payload_sha256, ratio) if found.value else 1.0
        )


@pytest.mark.parametrize("body", [b"", b"<!DOCTYPE html><html><body>503</body></html>", b"a,b\n1,2\n"])
def test_what_is_no_such_table_is_refused_by_name(sample, body):
    """An empty file, a web page or another table is a TableError that names the file."""
    source, payload, interval = sample
    with pytest.raises(TableError, match=payload.name.split(".")[0]):
        source.parse(Payload(payload.source, payload.name, body), interval)


def test_a_payload_cut_short_is_refused(sample):
    """Bytes that end inside a record or block are a TableError, never fewer values."""
    source, payload, interval = sample
    with pytest.raises(TableError):
        source.parse(Payload(payload.source, payload.name, payload.body[: len(payload.body) - 25]), interval)


def test_an_empty_folder_has_no_zones_and_says_what_it_looked_for(name, tmp_path):
    """Asking a folder without tables for a stretch names the folder."""
    source = SOURCES.get(name)(tmp_path)
    if name == "reference":
        assert len(source.zones()) >= 6
        return
    assert source.zones() == []
    zone = SOURCES.get(name).parse(SAMPLES[name][0](), SAMPLES[name][1]).frame["zone"][0]
    with pytest.raises(InputError, match=str(tmp_path)):
        source.span(zone)
