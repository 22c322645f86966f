"""The registry of names: every row has one answer, a source and a date; counts and codes hold against outside lists."""

from __future__ import annotations

import csv
import gzip
import io
import string
import subprocess
import sys
from collections import Counter
from datetime import date
from pathlib import Path
from zoneinfo import available_timezones

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.reference import (
    CLOUDS,
    SCHEMES,
    every_name,
    known_zones,
    load_table,
    named,
    names_of,
    names_version,
    namings,
    read_namings,
)
from gridmargin.vocab import TableError, UnknownNameError

REPO = Path(__file__).resolve().parents[2]

ROWS = [row for scheme in SCHEMES for row in namings(scheme)]

COUNTS = {
    # botocore 1.44.8, partitions.json: 36 in aws, 2 in aws-cn, 2 in aws-us-gov, 1 in aws-eusc, global ones apart.
    "aws": 41,
    # GoogleCloudPlatform/region-carbon-info, data/yearly/2025.csv: 47 rows.
    "gcp": 47,
    # learn.microsoft.com regions list: 49 in the edition of 2026-09-23 and 9 restricted in that of 2025-09-23; 8 of
    # the SDK's (Jio, Taiwan, the United States government's) and 6 of 21Vianet.
    "azure": 72,
}

FINDABLE = [row for row in ROWS if row.relation != "whole"]


def test_there_is_something_to_examine() -> None:
    """Every scheme has rows, and every file in the folder is a scheme."""
    assert min(len(namings(scheme)) for scheme in SCHEMES) > 30
    folder = REPO / "src" / "gridmargin" / "reference" / "names"
    assert {path.stem for path in folder.glob("*.csv")} == set(SCHEMES) - {"avert"}


def test_every_row_resolves_to_a_zone_and_has_source_and_date() -> None:
    """Alternatives too; a date is a day, or the year of an AVERT edition."""
    for row in ROWS:
        assert {row.zone, *row.alternatives} <= set(known_zones())
        assert row.zone not in row.alternatives
        assert len(row.source) > 10
        assert date.fromisoformat(row.as_of if "-" in row.as_of else f"{row.as_of}-01-01")
        if row.confidence == "low":
            assert row.note or row.alternatives


@pytest.mark.parametrize("provider", CLOUDS)
def test_every_region_of_a_provider_is_there(provider: str) -> None:
    """As many as the list that the count was read from."""
    assert len({row.name for row in namings(provider)}) == len(namings(provider)) == COUNTS[provider]


def test_azure_has_the_sovereign_clouds_and_aws_the_partitions() -> None:
    """China, the United States government and Europe's sovereign cloud are among them."""
    azure, aws = ({row.name for row in namings(p)} for p in ("azure", "aws"))
    assert {"chinaeast", "chinanorth3", "usgovvirginia", "usdodcentral"} <= azure
    assert {"cn-north-1", "cn-northwest-1", "us-gov-east-1", "us-gov-west-1", "eusc-de-east-1"} <= aws


def test_a_name_has_one_answer_unless_it_holds_several_zones() -> None:
    """Two rows of one name are both `whole`, with different zones."""
    count = Counter((row.scheme, row.name.casefold()) for row in ROWS)
    several = [row for row in ROWS if count[row.scheme, row.name.casefold()] > 1]
    assert several
    assert {row.relation for row in several} == {"whole"}
    assert len({(row.scheme, row.name, row.zone) for row in ROWS}) == len(ROWS)


@given(st.sampled_from(FINDABLE), st.booleans())
def test_a_name_leads_to_its_zone_and_back(row, shouted) -> None:
    """In any case; what the zone is called holds the name again."""
    name = row.name.upper() if shouted else row.name.lower()
    (found,) = named(row.scheme, name)
    assert found == row
    assert row in names_of(row.zone)[row.scheme]
    assert row.full_name in every_name()


def test_a_name_that_is_the_same_as_a_zone_is_so_once_in_a_scheme() -> None:
    """One zone has one balancing authority, one bidding zone, one key; a second name is a part or a whole."""
    for scheme in ("eia", "avert", "eic", "em", "wt"):
        count = Counter(row.zone for row in namings(scheme) if row.relation == "same")
        assert max(count.values()) == 1, scheme


@given(st.text(string.ascii_lowercase + "-", min_size=1, max_size=12), st.sampled_from(list(SCHEMES)))
def test_what_is_not_listed_is_refused_with_near_names(text, scheme) -> None:
    """Never another region's answer."""
    if text in {row.name.casefold() for row in namings(scheme)}:
        return
    with pytest.raises(UnknownNameError) as refused:
        named(scheme, text)
    assert all(name.startswith(f"{scheme}:") for name in refused.value.near)


def eic_check(code: str) -> str:
    """Give the check character of an energy identification code, as ENTSO-E's EIC manual computes it."""
    value = {c: n for n, c in enumerate(string.digits + string.ascii_uppercase + "-")}
    total = sum(value[c] * weight for c, weight in zip(code[:15], range(16, 1, -1), strict=True))
    rest = 36 - (total - 1) % 37
    return (string.digits + string.ascii_uppercase + "-")[rest]


def test_every_area_code_has_its_check_character() -> None:
    """Sixteen characters, the last one computed from the others: a mistyped code shows."""
    codes = {row.name for row in namings("eic")}
    assert len(codes) > 50
    assert [code for code in codes if len(code) != 16 or code[15] != eic_check(code)] == []
    assert eic_check("10YDE-VE-------3") != "3"


def test_an_electricity_maps_key_of_an_authority_ends_in_its_code() -> None:
    """US-NW-BPAT is EIA's BPAT; Oahu is the exception."""
    eia = {row.zone: row.name for row in namings("eia") if row.relation == "same"}
    keys = [row for row in namings("em") if row.zone.startswith("US-")]
    assert len(keys) > 50
    assert {row.name for row in keys if row.name.rpartition("-")[2] != eia[row.zone]} == {"US-HI-OA"}


def test_zones_are_whole() -> None:
    """A known clock, a parent that is there, a point on Earth, an AVERT region whose time is known."""
    zones = known_zones()
    assert len(zones) > 160
    clocks = available_timezones()
    regions = {row["avert_region"] for row in load_table("avert_regions")}
    for zone in zones.values():
        assert zone.timezone in clocks
        assert zone.parent is None or zone.parent in zones
        assert abs(zone.latitude_deg) <= 90
        assert abs(zone.longitude_deg) <= 180
        assert zone.avert_region is None or zone.avert_region in regions
        assert zone.id.split("-")[0] == zone.country
    assert {zone.avert_region for zone in zones.values()} - {None} == regions


GOOD = {
    "name": "x-1", "place": "X", "zone": "DE", "relation": "part", "confidence": "high", "alternatives": "", "note": "",
    "source": "a document", "as_of": "2026-11-24",
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"zone": "US-NOPE"}, "unknown zone 'US-NOPE'"),
        ({"alternatives": "DE-NOPE"}, "unknown zone 'DE-NOPE'"),
        ({"relation": "near"}, "column relation: 'near'"),
        ({"confidence": "sure"}, "column confidence: 'sure'"),
        ({"as_of": "last week"}, "last week"),
        ({"latitude_deg": "north"}, "north"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused_with_file_and_row(change, says) -> None:
    """A mapping to an unknown zone above all."""
    with pytest.raises(TableError) as refused:
        read_namings("aws", [GOOD, GOOD | {"name": "x-2"} | change])
    assert "names/aws.csv, row 3" in str(refused.value)
    assert says in str(refused.value)


@pytest.mark.parametrize("second", [{"zone": "FR"}, {"name": "X-1"}, {"relation": "whole", "zone": "FR"}])
def test_two_answers_to_one_name_are_refused(second) -> None:
    """Also where they agree, or differ in case only."""
    with pytest.raises(TableError, match=r"names/aws\.csv, row 3: .* keep one"):
        read_namings("aws", [GOOD, GOOD | second])
    assert (
        len(read_namings("aws", [GOOD | {"relation": "whole"}, GOOD | {"relation": "whole", "zone": "FR"}]))
        == 2
    )


def test_the_version_names_the_content() -> None:
    """A day and a hash, the same each time."""
    day, _, digest = names_version().partition("+")
    assert date.fromisoformat(day)
    assert len(digest) == 12
    assert names_version() == names_version()


def test_the_page_is_what_the_tables_say() -> None:
    """docs/reference/zones.md is written by tools/zones_page.py; every cloud region and zone is on it."""
    tool = REPO / "tools" / "zones_page.py"
    done = subprocess.run([sys.executable, tool, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (REPO / "docs" / "reference" / "zones.md").read_text(encoding="utf-8")
    assert all(f"| `{row.full_name}` |" in page for provider in CLOUDS for row in namings(provider))
    assert all(f"| `{zone}` |" in page for zone in known_zones())


@pytest.mark.data
def test_every_authority_of_the_reference_table_is_there(data_dir: Path) -> None:
    """All that EIA lists and that were not retired by 2022, but Alaska's and those that only generate since."""
    path = data_dir / "grid" / "emission_factors" / "oge_ba_reference.csv"
    text = path.read_text(encoding="utf-8")
    rows = [row for row in csv.DictReader(text.splitlines()) if "EIA" in row["source"]]
    assert len(rows) > 60
    active = {row["ba_code"] for row in rows if not row["retirement_date"]}
    known = {row.name for row in namings("eia")}
    assert active - known == {"CEA", "GRIS", "SIKE"}


@pytest.mark.data
def test_avert_regions_are_those_of_the_plants(data_dir: Path) -> None:
    """EPA's units and eGRID's plants, joined: the region that most of an authority's plants are in is its zone's."""
    grid = data_dir / "grid"
    text = gzip.decompress((grid / "emission_factors" / "egrid2016_plants_ba_nerc.csv.gz").read_bytes())
    plants = pl.read_csv(io.BytesIO(text), infer_schema_length=0).select("ORISPL", "BACODE")
    units = pl.read_parquet(grid / "avert_2019_2022" / "units.parquet").select("orispl", "region").unique()
    joined = units.join(plants, left_on="orispl", right_on="ORISPL").filter(pl.col("BACODE") != "NA")
    most = joined.group_by("BACODE").agg(pl.col("region").mode().first())
    checked = 0
    for code, region in most.iter_rows():
        zone = known_zones().get(f"US-{code}")
        if zone is not None:
            assert zone.avert_region == region, code
            checked += 1
    assert checked > 25
