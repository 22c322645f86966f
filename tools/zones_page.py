"""Write docs/reference/zones.md from the tables of the registry.

python tools/zones_page.py           write the page
python tools/zones_page.py --check   exit with 1 where the page is not what would be written
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from gridmargin.places import built_in_outlines
from gridmargin.reference import CLOUDS, SCHEMES, Naming, Zone, known_zones, namings

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "zones.md"

HEAD = """\
# Zones and places

<!-- Written by tools/zones_page.py from src/gridmargin/reference/zones.csv and names/*.csv; a test holds the two together. -->

A zone is an area with one grid state.
Capitals, spaces, underscores, colons and hyphens do not matter in a name: `AWS US-EAST-1` is `aws:us-east-1`.
`gridmargin zones where PLACE` says which zone a place lies in, by which rule and source, and how sure that is; over HTTP `GET /v1/zones/where?place=PLACE`.
`now`, `account`, `forecast`, `ledger`, `recalibrate`, `declare`, `up --zone` and every `/v1/zones/{zone}/…` route take the same names as zone ids.

    gridmargin zones where aws:us-east-1
    gridmargin zones where 52.52,13.40

A zone without data here is answered by name and by nothing else: no factor is made up for it (C8), and the answer says so, with any alternative that has data.

## What may be asked

| place | example | meaning |
|---|---|---|
| a zone | `US-ERCO` | itself |
| a declared data centre | `dallas-1` | see [Declare a data centre](../howto/declare-a-data-centre.md) |
| a point | `37.77,-122.42` | latitude, then longitude, in degrees; see [Outlines](#outlines) |
"""

RULES = """
## Which rule decides

Override, then declared data centre, then registry or outline.
The answer names the rule, and every weaker rule that says another zone stands beside it as a conflict.
A name that holds several of our zones is refused with the zones listed, and so is a point that cannot be told.

## What a row says

`relation`: `same` where their area is ours, `part` where theirs lies inside ours, `whole` where theirs holds ours and more.
`confidence`: `high` where the publisher says it or there is one grid only; `medium` where only a metropolis or a state is published, and it has a main grid; `low` where several grids serve it.
`alternatives`: zones that it may lie in instead.
Each row names its document and the date of reading; a row whose zone is not ours, or a name with two answers, is refused with file and row.
`registry` in a JSON answer is the newest date in the tables and a hash over every row, so that an answer can be told from one of another edition.
A name that went out of use keeps its row with `valid_to`, and the answer says so.

What the names rest on:

- `eia`: the balancing authorities of EIA-930, and its Canadian and Mexican neighbours.
- `iso`: operators, and their load zones, hubs or regions.
- `avert`: EPA's regions, groups of balancing authorities; a region of several is refused with them listed.
- `eic`: area codes of the ENTSO-E Transparency Platform; the check character of each is tested.
- `em`: zone keys of Electricity Maps' public configuration.
- `wt`: WattTime regions as its public clients name them; the publisher lists them per account, so most are `medium`.
- `aws`, `gcp`, `azure`: the providers' lists. Provider lists give a city or a state, seldom a site; who balances it is ours to say, and the note says why.

AWS's secret regions (`us-iso…`, `us-isob…`, `eu-isoe…`, `us-isof…`) are left out: no place is published.
Google's carbon table holds four regions that its locations page does not (`europe-west5`, `us-central2`, `us-east2`, `us-east7`); they are here and say so.
The Green Software Foundation's Cloud Region Metadata table (edition 2026) names another zone in three rows: it has `azure:northcentralus` in MISO, where Chicago is in PJM, `azure:westus` in Washington, where Microsoft's list says California, and `gcp:me-central1` in the United Arab Emirates, where Doha is in Qatar.
"""

OUTLINES = """
## Outlines

A point is looked up in polygons: the user's own with `--geojson FILE` or `GRIDMARGIN_GEOJSON`, else coarse ones that ship with the package.
In a file of the user's every feature names a zone in the property `zone`, by our id or by a name such as `em:US-CAL-CISO`, and lines are taken as exact.

The built-in outlines are made by `tools/outlines.py` from public-domain lines: countries by Natural Earth 4.1.0 at 1:50 million, states by the US Census Bureau, simplified to 0.06°.
Lines inside a country or a state are ours, and 0.3° on each side of those in Australia and Canada is left undecided.
A point within 15 km of a line between two areas is refused, and so is land that several zones share, with the candidates named.
{with_outline} of {n_zones} zones have an outline; the others can be named but not found by a point.

How right they are (`pytest tests/places/test_outlines.py`, data tests): of 1,146 fossil plants in EPA's AVERT tables 547 are answered, and 546 of these lie in the AVERT region of the zone; of all 9,362 plants with a balancing authority in eGRID 2016 3,710 are answered, 3,691 of them (99.5 %) with their own authority.
States were chosen by the same eGRID table, so that figure is no test of the choice.
Of the 159 cloud regions with a published metropolis 98 are answered, each with the zone of the registry, and for the other 61 that zone is among the candidates named.
"""


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Write a Markdown table."""
    names = list(head)
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def cloud_row(row: Naming) -> list[str]:
    """Write one cloud region."""
    others = ", ".join(row.alternatives)
    return [f"`{row.full_name}`", row.place, row.zone, row.confidence, others, row.note]


def zone_row(zone: Zone, outlined: set[str]) -> list[str]:
    """Write one zone, with the name that its publisher uses."""
    names = [f"`{r.full_name}`" for s in ("eia", "eic", "em") for r in namings(s) if r.zone == zone.id and r.relation == "same"]  # fmt: skip
    return [f"`{zone.id}`", zone.name, zone.kind.replace("_", " "), ", ".join(names), "yes" if zone.id in outlined else ""]  # fmt: skip


def page() -> str:
    """Give the whole page."""
    zones = known_zones()
    outlined = set(built_in_outlines().zones())
    counts = Counter({scheme: len({row.name for row in namings(scheme)}) for scheme in SCHEMES})
    examples = {"eia": "ERCO", "iso": "PJM/DOM", "avert": "Texas", "eic": "10Y1001A1001A82H", "em": "US-CAL-CISO",
                "wt": "CAISO_NORTH", "aws": "us-east-1", "gcp": "us-central1", "azure": "eastus"}  # fmt: skip
    asked = "".join(
        f"| {SCHEMES[s]}, {counts[s]} names | `{s}:{examples[s]}` | row of `names/{s}.csv` |\n"
        for s in SCHEMES
    )
    asked = asked.replace("row of `names/avert.csv`", "column `avert_region` of `zones.csv`")
    outlines = OUTLINES.format(with_outline=len(outlined), n_zones=len(zones))
    clouds = "".join(
        f"\n## {SCHEMES[s]}s\n\n"
        + table(("region", "place", "zone", "confidence", "or", "note"), map(cloud_row, namings(s)))
        for s in CLOUDS
    )
    head = ("zone", "name", "kind", "same as", "outline")
    listed = table(head, (zone_row(zones[z], outlined) for z in sorted(zones)))
    return HEAD + asked + RULES + outlines + clouds + f"\n## The {len(zones)} zones\n\n" + listed


def main(check: bool) -> int:
    """Write the page, or say whether it is up to date."""
    text = page()
    if not check:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write("docs/reference/zones.md is not what the tables say; run: python tools/zones_page.py\n")
    return 1


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
