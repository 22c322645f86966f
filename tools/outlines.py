"""Make src/gridmargin/places/outlines.geojson: coarse outlines of the zones that a public-domain line can bound.

    python tools/outlines.py FOLDER

FOLDER holds countries-50m.json of the package world-atlas 2.0.2 (Natural Earth, public domain) and states-10m.json
of us-atlas 3.0.1 (US Census Bureau, public domain). Land that several zones share, or that no zone of ours covers, is
kept as such, so that a point there is refused with the candidates named. Lines inside a country are ours: parallels,
meridians, rivers and state groups from general knowledge, each with a gap of `GAP_DEG` on both sides.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import shapely
from shapely.geometry import LineString, MultiPolygon, Polygon, box, mapping, shape
from shapely.geometry.base import BaseGeometry

OUT = Path(__file__).resolve().parents[1] / "src" / "gridmargin" / "places" / "outlines.geojson"

TOLERANCE_DEG = 0.06
"""How far a simplified line may lie from the original. [°]"""

GAP_DEG = 0.3
"""Width left undecided on each side of a line of ours. [°]"""

DIGITS = 2
EARTH = "Natural Earth 4.1.0, 1:50m, public domain (package world-atlas 2.0.2)"
CENSUS = "US Census Bureau cartographic boundaries 2017, public domain (package us-atlas 3.0.1)"

WHOLE = {
    "Austria": "AT", "Belgium": "BE", "Bulgaria": "BG", "Switzerland": "CH", "Liechtenstein": "CH", "Cyprus": "CY",
    "Czechia": "CZ", "Germany": "DE", "Luxembourg": "DE", "Estonia": "EE", "Finland": "FI", "Greece": "GR",
    "Croatia": "HR", "Hungary": "HU", "Ireland": "IE", "Iceland": "IS", "Lithuania": "LT", "Latvia": "LV",
    "Montenegro": "ME", "Macedonia": "MK", "Netherlands": "NL", "Poland": "PL", "Romania": "RO", "Serbia": "RS",
    "Slovenia": "SI", "Slovakia": "SK", "Turkey": "TR", "Hong Kong": "HK", "South Korea": "KR", "Singapore": "SG",
    "Thailand": "TH", "Taiwan": "TW", "United Arab Emirates": "AE", "Bahrain": "BH", "Israel": "IL", "Qatar": "QA",
    "Saudi Arabia": "SA", "South Africa": "ZA",
}  # fmt: skip
"""Countries that are one zone, all of their land."""

SHARED = {
    "Sweden": "SE-SE1 SE-SE2 SE-SE3 SE-SE4", "Norway": "NO-NO1 NO-NO2 NO-NO3 NO-NO4 NO-NO5",
    "China": "CN-C CN-E CN-N CN-NE CN-NW CN-S", "India": "IN-EA IN-NE IN-NO IN-SO IN-WE",
    "Brazil": "BR-CS BR-N BR-NE BR-S", "Malaysia": "MY-WM", "Indonesia": "ID-JB", "Mexico": "MX", "Chile": "CL-SEN",
    "Canada": "CA-AB CA-BC CA-MB CA-NB CA-ON CA-QC CA-SK", "Spain": "ES", "France": "FR", "Portugal": "PT",
    "Italy": "IT-CAL IT-CNO IT-CSO IT-NO IT-SAR IT-SIC IT-SO", "Denmark": "DK-DK1 DK-DK2", "New Zealand": "NZ",
    "Japan": "JP-CB JP-CG JP-HKD JP-HR JP-KN JP-KY JP-ON JP-SK JP-TH JP-TK", "United Kingdom": "GB IE",
    "Australia": "AU-NSW AU-QLD AU-SA AU-TAS AU-VIC AU-WA",
}  # fmt: skip
"""Countries whose land is several zones, or a zone and more; parts of some are told apart below."""

STATES = {
    "US-ISNE": "Connecticut|Maine|Massachusetts|New Hampshire|Rhode Island|Vermont", "US-NYIS": "New York",
    "US-PJM": "Delaware|District of Columbia|Maryland|New Jersey|Ohio|Pennsylvania|Virginia|West Virginia",
    "US-MISO": "Wisconsin|Michigan|Louisiana", "US-SWPP": "Kansas|Nebraska|Oklahoma", "US-SOCO": "Georgia|Alabama",
    "US-PACE": "Utah", "US-ERCO": "Texas", "US-CISO": "California", "US-TVA": "Tennessee",
    "US-HECO": "Hawaii",
}  # fmt: skip
"""States where one authority balances all or nearly all plants (eGRID), as far as `KEEP` goes."""

CANDIDATES = {
    "Alabama": "US-SOCO US-TVA", "Arizona": "US-AZPS US-SRP US-TEPC US-WALC", "Arkansas": "US-MISO US-SPA US-SWPP",
    "California": "US-BANC US-CISO US-IID US-LDWP US-PACW US-TIDC US-WALC", "Colorado": "US-PSCO US-WACM US-SWPP",
    "Florida": "US-FMPP US-FPC US-FPL US-GVL US-HST US-JEA US-SEC US-TAL US-TEC", "Georgia": "US-SOCO US-TVA",
    "Idaho": "US-AVA US-BPAT US-IPCO US-PACE", "Illinois": "US-MISO US-PJM", "Indiana": "US-MISO US-PJM",
    "Iowa": "US-MISO US-SWPP US-AECI", "Kentucky": "US-LGEE US-MISO US-PJM US-TVA", "Louisiana": "US-MISO US-SWPP",
    "Maine": "US-ISNE CA-NB", "Michigan": "US-MISO US-PJM", "Minnesota": "US-MISO US-SWPP",
    "Mississippi": "US-MISO US-SOCO US-TVA", "Missouri": "US-AECI US-MISO US-SPA US-SWPP",
    "Montana": "US-BPAT US-MISO US-NWMT US-SWPP US-WAUW", "Nebraska": "US-SWPP US-WACM",
    "Nevada": "US-CISO US-NEVP US-WALC", "New Mexico": "US-EPE US-PNM US-SWPP US-WACM",
    "North Carolina": "US-CPLE US-CPLW US-DUK US-PJM US-TVA", "North Dakota": "US-MISO US-SWPP",
    "Oklahoma": "US-AECI US-SPA US-SWPP", "Oregon": "US-BPAT US-IPCO US-PACW US-PGE",
    "South Carolina": "US-CPLE US-DUK US-SC US-SCEG", "South Dakota": "US-MISO US-SWPP US-WACM",
    "Tennessee": "US-PJM US-TVA", "Texas": "US-EPE US-ERCO US-MISO US-SWPP", "Utah": "US-LDWP US-PACE US-WACM",
    "Virginia": "US-LGEE US-PJM US-TVA",
    "Washington": "US-AVA US-BPAT US-CHPD US-DOPD US-GCPD US-PACW US-PSEI US-SCL US-TPWR",
    "Wyoming": "US-BPAT US-NWMT US-PACE US-WACM US-WAUW", "Hawaii": "US-HECO",
}  # fmt: skip
"""Whose plants a state holds (eGRID 2016), where that is more than one authority."""

OAHU = box(-158.4, 21.1, -157.5, 21.8)
ERCOT = Polygon(
    [
        (-103.2, 28.0), (-103.2, 30.4), (-102.8, 32.0), (-101.2, 32.3), (-99.9, 33.7), (-98.3, 34.0), (-97.2, 33.7),
        (-96.0, 33.4), (-95.8, 32.7), (-95.5, 32.2), (-95.6, 31.2), (-96.2, 30.7), (-95.9, 30.1), (-95.3, 29.95),
        (-94.95, 29.75), (-94.6, 29.2), (-96.0, 25.5), (-100.0, 25.5),
    ]
)  # fmt: skip
CAISO = [
    Polygon([(-123.2, 37.9), (-122.2, 38.5), (-121.75, 38.2), (-121.4, 37.5), (-121.2, 36.9), (-120.2, 36.4), (-120.0, 34.8),
             (-121.5, 34.3), (-123.2, 36.5)]),
    Polygon([(-120.0, 35.1), (-119.9, 36.9), (-119.3, 36.9), (-118.7, 35.1)]),
    Polygon([(-117.9, 33.85), (-117.9, 33.3), (-117.8, 32.3), (-116.4, 32.3), (-116.4, 33.3), (-117.0, 33.95)]),
]  # fmt: skip
"""The Bay Area and the central coast, Fresno to Bakersfield, Orange County to San Diego: clear of municipal authorities."""

KEEP: dict[str, BaseGeometry] = {
    "Maine": box(-72, 42, -66, 45.6),
    "Virginia": box(-81.2, 36, -75, 40),
    "Michigan": shapely.union_all(
        [box(-91, 45.7, -83, 48), box(-85.0, 41.5, -82, 45.7), box(-87, 42.7, -82, 45.7)]
    ),
    "Louisiana": box(-95, 28, -88, 31.0),
    "Oklahoma": box(-99.9, 33.5, -95.9, 37.1),
    "Nebraska": box(-101.5, 39.9, -95, 43.1),
    "Georgia": box(-86, 30, -80.5, 34.3),
    "Alabama": box(-89, 30, -84, 33.6),
    "Utah": box(-114.1, 39.9, -110.9, 42.1),
    "Tennessee": box(-91, 34.9, -83.2, 36.6),
    "Texas": ERCOT,
    "California": shapely.union_all(CAISO),
    "Hawaii": OAHU,
}
"""The part of a state where its main authority is alone, by our own coarse lines."""

PARTS_OF_SHARED = {
    "Iowa": ("US-MISO", box(-94.3, 41.1, -91.2, 43.2)),
    "Illinois": ("US-PJM", box(-89.2, 41.5, -87.4, 42.5)),
}

MURRAY = [
    (140.5, -34.03), (141.0, -34.03), (142.15, -34.18), (142.8, -34.6), (143.4, -34.8), (143.55, -35.35), (144.75, -36.13),
    (145.57, -35.81), (146.4, -36.0), (146.92, -36.08), (148.0, -36.05), (148.19, -36.79), (149.98, -37.51), (151.0, -38.1),
]  # fmt: skip
QUEENSLAND_SOUTH = [
    (137.5, -26.0), (141.0, -26.0), (141.0, -29.0), (149.0, -29.0), (150.3, -28.55), (151.0, -28.75), (151.9, -28.95),
    (152.5, -28.3), (153.1, -28.35), (153.56, -28.16), (154.5, -28.1),
]  # fmt: skip
OTTAWA = [
    (-79.52, 52.0), (-79.52, 47.4), (-78.7, 46.32), (-77.2, 45.9), (-76.4, 45.45), (-75.7, 45.43), (-74.5, 45.58),
    (-74.4, 45.2), (-74.7, 45.0), (-74.7, 44.5),
]  # fmt: skip
GULF_OF_CALIFORNIA = [
    (-114.75, 33.0), (-114.75, 31.8), (-113.8, 30.6), (-112.5, 28.9), (-111.2, 27.0), (-109.0, 24.0), (-109.0, 22.0),
]  # fmt: skip


def read(path: Path, collection: str) -> dict[str, BaseGeometry]:
    """Read a TopoJSON collection as polygons by name."""
    topology = json.loads(path.read_text(encoding="utf-8"))
    (sx, sy), (tx, ty) = topology["transform"]["scale"], topology["transform"]["translate"]
    arcs = []
    for arc in topology["arcs"]:
        x = y = 0
        line = []
        for dx, dy in arc:
            x, y = x + dx, y + dy
            line.append((x * sx + tx, y * sy + ty))
        arcs.append(line)

    def ring(indices: Iterable[int]) -> list[tuple[float, float]]:
        points: list[tuple[float, float]] = []
        for index in indices:
            line = arcs[index] if index >= 0 else arcs[~index][::-1]
            points += line[1:] if points else line
        return points

    found: dict[str, BaseGeometry] = {}
    for geometry in topology["objects"][collection]["geometries"]:
        if "arcs" not in geometry:
            continue
        polygons = [geometry["arcs"]] if geometry["type"] == "Polygon" else geometry["arcs"]
        rings = [[ring(part) for part in polygon] for polygon in polygons]
        whole = shapely.make_valid(MultiPolygon([(p[0], p[1:]) for p in rings]))
        name = geometry["properties"]["name"]
        found[name] = shapely.union_all([found[name], whole]) if name in found else whole
    return found


def pieces(land: BaseGeometry) -> list[BaseGeometry]:
    """List the polygons of a land."""
    return [part for part in shapely.get_parts(land) if part.geom_type == "Polygon"]


def within(land: BaseGeometry, area: BaseGeometry) -> BaseGeometry:
    """Give the part of a land inside an area."""
    return shapely.intersection(land, area)


def side(
    land: BaseGeometry, line: list[tuple[float, float]], corners: list[tuple[float, float]]
) -> BaseGeometry:
    """Give the land between a line and the corners on one side of it, the gap left out."""
    area = shapely.make_valid(Polygon([*line, *corners]))
    return shapely.difference(within(land, area), LineString(line).buffer(GAP_DEG))


def countries(world: dict[str, BaseGeometry]) -> dict[str, BaseGeometry]:
    """Give what can be told apart inside countries, by zone."""
    parts: dict[str, BaseGeometry] = {}
    mainland = {"Spain": ("ES", box(-9.6, 36.02, 3.4, 44)), "France": ("FR", box(-5.5, 42.2, 8.3, 51.3)),
                "Portugal": ("PT", box(-9.8, 36.8, -6, 42.3)), "United Kingdom": ("GB", box(-5.3, 49.8, 2, 58.7)),
                "Chile": ("CL-SEN", box(-76, -41.0, -66, -17)), "Malaysia": ("MY-WM", box(99, 1, 105, 7)),
                "Indonesia": ("ID-JB", box(105, -8.9, 115.8, -5.8)), "New Zealand": ("NZ", box(165, -47.5, 179, -34))}  # fmt: skip
    for name, (zone, area) in mainland.items():
        parts[zone] = within(world[name], area)
    parts["IE"] = shapely.union_all(
        [world["Ireland"], within(world["United Kingdom"], box(-8.3, 53.9, -5.4, 55.4))]
    )
    ulster = box(-8.3, 53.9, -5.4, 55.4)
    parts["GB"] = shapely.difference(parts["GB"], ulster)
    for piece in pieces(world["Denmark"]):
        zone = "DK-DK1" if piece.representative_point().x < 10.97 else "DK-DK2"
        parts[zone] = shapely.union_all([parts.get(zone, Polygon()), piece])
    boxes = {"Italy": {"IT-SAR": box(8, 38.7, 10, 41.3), "IT-SIC": box(12.3, 36.5, 15.55, 38.2)},
             "Japan": {"JP-HKD": box(139.3, 41.5, 146, 45.6), "JP-SK": box(132.4, 32.7, 134.8, 34.42),
                       "JP-KY": box(129.5, 31, 132.1, 33.95), "JP-ON": box(127, 26, 128.5, 27)}}  # fmt: skip
    for name, areas in boxes.items():
        for zone, area in areas.items():
            own = [piece for piece in pieces(world[name]) if area.contains(piece.representative_point())]
            parts[zone] = shapely.union_all(own)
    parts |= australia(world["Australia"]) | canada(world["Canada"])
    parts["MX"] = side(world["Mexico"], GULF_OF_CALIFORNIA, [(-80, 14), (-80, 33)])
    return parts


def australia(land: BaseGeometry) -> dict[str, BaseGeometry]:
    """Tell the market regions apart by the states' lines, the islands of the north-west mines left out."""
    south_east = side(land, QUEENSLAND_SOUTH, [(154.5, -45), (137.5, -45)])
    gap = box(141.0 - GAP_DEG, -39, 141.0 + GAP_DEG, -25)
    main = shapely.difference(within(south_east, box(129, -45, 155, -25)), gap)
    tasmania = within(land, box(144.5, -44, 148.6, -40.5))
    victoria = side(within(main, box(141, -39.3, 151, -33)), MURRAY, [(151, -39.5), (140.5, -39.5)])
    return {
        "AU-QLD": shapely.union_all(
            [
                side(within(land, box(142, -29.5, 155, -9)), QUEENSLAND_SOUTH, [(154.5, -9), (137.5, -9)]),
                Polygon(),
            ]
        ),
        "AU-NSW": side(
            within(main, box(141, -38, 154.5, -28)), MURRAY, [(154.5, -38.1), (154.5, -27), (140.5, -27)]
        ),
        "AU-VIC": victoria,
        "AU-SA": within(main, box(129.3, -38.2, 140.7, -26)),
        "AU-TAS": tasmania,
        "AU-WA": within(land, box(113, -35.3, 121.8, -28)),
    }


def canada(land: BaseGeometry) -> dict[str, BaseGeometry]:
    """Tell the provinces apart where a meridian, the Ottawa river or plain distance does."""
    return {
        "CA-BC": within(land, box(-129, 48.2, -120.3, 56)),
        "CA-AB": within(land, box(-114.0, 49, -110.3, 58)),
        "CA-SK": within(land, box(-109.7, 49, -102.3, 58)),
        "CA-MB": within(land, box(-101.0, 49, -95.5, 56)),
        "CA-ON": side(
            within(land, box(-94.7, 41.5, -74, 51)), OTTAWA, [(-74.7, 41.0), (-94.7, 41.0), (-94.7, 52.0)]
        ),
        "CA-QC": side(within(land, box(-79.5, 44.9, -70.5, 51)), OTTAWA, [(-70.5, 44.5), (-70.5, 52.0)]),
    }


def united_states(
    states: dict[str, BaseGeometry],
) -> tuple[dict[str, BaseGeometry], dict[str, list[BaseGeometry]]]:
    """Give the zones that states bound, and what is left of each state by the candidates there."""
    parts: dict[str, BaseGeometry] = {}
    shared: dict[str, list[BaseGeometry]] = {}
    owner = {name: zone for zone, names in STATES.items() for name in names.split("|")}
    for name, land in states.items():
        zone, area = PARTS_OF_SHARED.get(name, (owner.get(name), KEEP.get(name)))
        own = Polygon() if zone is None else land if area is None else within(land, area)
        if zone is not None:
            parts[zone] = shapely.union_all([parts.get(zone, Polygon()), own])
        rest = shapely.difference(land, own)
        if not rest.is_empty:
            shared.setdefault(CANDIDATES.get(name, ""), []).append(rest)
    return parts, shared


def collect(folder: Path) -> list[tuple[str | None, str, str, str, BaseGeometry]]:
    """Give every feature: zone, candidates, name, source, land."""
    world = read(folder / "countries-50m.json", "countries")
    states = read(folder / "states-10m.json", "states")
    own, shared = united_states(states)
    parts = countries(world) | {zone: shapely.union_all([world[n] for n, z in WHOLE.items() if z == zone and zone != "IE"])
                                for zone in set(WHOLE.values()) - {"IE"}}  # fmt: skip
    features = [
        (zone, "", zone, f"{EARTH}; lines inside a country are ours", land) for zone, land in parts.items()
    ]
    features += [
        (zone, "", zone, f"{CENSUS}; lines inside a state are ours", land) for zone, land in own.items()
    ]
    taken = shapely.union_all([land for *_, land in features])
    america = shapely.union_all(list(states.values()))
    for name, zones in SHARED.items():
        rest = shapely.difference(shapely.difference(world[name], taken), america)
        features.append((None, zones, name, EARTH, rest))
    features += [
        (None, zones, "several authorities", CENSUS, shapely.union_all(lands))
        for zones, lands in shared.items()
    ]
    named = shapely.union_all([taken, america, *(world[n] for n in SHARED)])
    other = shapely.union_all(
        [land for name, land in world.items() if name not in WHOLE and name != "United States of America"]
    )
    features.append((None, "", "no zone of ours", EARTH, shapely.difference(other, named)))
    return features


def main(folder: Path) -> None:
    """Write the outlines."""
    features = collect(folder)
    kept: list[dict[str, Any]] = []
    for zone, candidates, name, source, land in features:
        coarse = shapely.set_precision(shapely.simplify(land, TOLERANCE_DEG), 10.0**-DIGITS)
        polygons = [p for p in pieces(shapely.make_valid(coarse)) if p.area > 0.002]
        if not polygons:
            sys.stderr.write(f"nothing left of {name}\n")
            continue
        shown = mapping(MultiPolygon(polygons))
        rounded = [
            [[[round(x, DIGITS), round(y, DIGITS)] for x, y in r] for r in p] for p in shown["coordinates"]
        ]
        kept.append({"type": "Feature",
                     "properties": {"zone": zone, "candidates": candidates.split(), "name": name, "source": source},
                     "geometry": {"type": "MultiPolygon", "coordinates": rounded}})  # fmt: skip
        assert shape(kept[-1]["geometry"]).is_valid, name
    lines = ",\n".join(json.dumps(feature, ensure_ascii=False, separators=(",", ":")) for feature in kept)
    OUT.write_text('{"type":"FeatureCollection","features":[\n' + lines + "\n]}\n", encoding="utf-8")
    sys.stdout.write(f"{len(kept)} outlines, {OUT.stat().st_size} bytes\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
