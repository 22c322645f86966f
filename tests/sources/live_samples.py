"""Small answers in each publisher's own format, by hand from its documentation; one builder per live adapter.

A builder gives the body for a request: every interval that the request can cover, but those in `skip`; `bump` adds to
the first value of some intervals, as a late revision does.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from gridmargin.sources import LiveRequest
from gridmargin.sources.packed import pack
from gridmargin.vocab import Interval

EASTERN = ZoneInfo("America/New_York")
CENTRAL = ZoneInfo("America/Chicago")
PACIFIC = ZoneInfo("America/Los_Angeles")
LONDON = ZoneInfo("Europe/London")


@dataclass(frozen=True)
class LiveSample:
    """What the conformance suite needs to know of one adapter.

    Attributes
    ----------
    build : callable
        `(request, skip, bump) -> body`.
    zone : str
        The zone asked for.
    interval : Interval
        A stretch in the middle of a day, on whole intervals.
    column : str
        A field of the format that the adapter needs; renamed, it is a schema change.
    secrets : mapping
        Keys, where they are wanted.
    timezone : str or None
        Where the publisher's labels are local time: the clock changes there are tried.
    is_snapshot : bool
        Whether an answer states one interval only, so that it cannot have a gap.
    """

    build: Callable[[LiveRequest, Collection[datetime], Mapping[datetime, float]], bytes]
    zone: str
    interval: Interval
    column: str
    secrets: Mapping[str, str] = field(default_factory=dict)
    timezone: str | None = None
    token: str | None = None
    """What the publisher gives at its login, where it has one."""
    beside: Callable[[str, Collection[datetime], Mapping[datetime, float]], bytes | None] = (
        lambda path, s, b: None
    )
    """What stands at a path beside the answers: a folder's page, a table that is packed with them."""
    keep: Callable[[LiveRequest, bytes], bytes] = lambda request, body: body
    """What is archived of an answer."""
    rename: Callable[[bytes, bytes], bytes] = lambda body, column: body.replace(column, b"Renamed")
    """The answer with a field renamed."""
    is_snapshot: bool = False
    moves_s: int | None = None
    """How much of the time a late revision of the sample restates, where that is more than one interval. [s]"""
    words: Mapping[str, str] = field(default_factory=lambda: {"Y": "1", "N": "0"})
    """Words that stand for numbers."""


def starts_of(interval: Interval, step_s: int, skip: Collection[datetime]) -> list[datetime]:
    """Give the starts of the intervals in a stretch, but for some."""
    n = int(interval.duration_s) // step_s
    every = (interval.start_utc + timedelta(seconds=step_s * k) for k in range(n))
    return [start for start in every if start not in skip]


NYISO_AREAS = (
    "CAPITL",
    "CENTRL",
    "DUNWOD",
    "GENESE",
    "HUD VL",
    "LONGIL",
    "MHK VL",
    "MILLWD",
    "N.Y.C.",
    "NORTH",
    "WEST",
)
NYISO_INTERFACES = {
    "CENTRAL EAST - VC": 1273.04, "SCH - HQ - NY": 900, "SCH - HQ_CEDARS": 40, "SCH - HQ_IMPORT_EXPORT": 880,
    "SCH - NE - NY": -66.48, "SCH - NPX_1385": 100, "SCH - NPX_CSC": -330, "SCH - OH - NY": 1011.6,
    "SCH - PJ - NY": -163.13, "SCH - PJM_HTP": 0, "SCH - PJM_NEPTUNE": 660, "SCH - PJM_VFT": 315,
}  # fmt: skip


def nyiso(request: LiveRequest, skip: Collection[datetime], bump: Mapping[datetime, float]) -> bytes:
    """A day's table by the prevailing local clock, of the end of five minutes or of their start; or a zip that holds it.

    Only the mix and the load say which clock it is.
    """
    starts = starts_of(request.interval, 300, skip)
    if "pal" in request.name:
        lines = ['"Time Stamp","Time Zone","Name","PTID","Load"']
        for number, start in enumerate(starts):
            at = start.astimezone(EASTERN)
            lines += [
                f'"{at:%m/%d/%Y %H:%M:%S}","{at.tzname()}","{area}",{61752 + k},{1000 + 10 * k + number:g}'
                for k, area in enumerate(NYISO_AREAS)
            ]
    elif "ExternalLimitsFlows" in request.name:
        lines = [
            "Timestamp,Interface Name,Point ID,Flow (MWH),Positive Limit (MWH),Negative Limit (MWH)",
            *(
                f"{start.astimezone(EASTERN):%m/%d/%Y %H:%M},{name},23330,{mw},2850,-9999"
                for start in starts
                for name, mw in NYISO_INTERFACES.items()
            ),
        ]
    elif "realtime_zone" in request.name:
        lines = [
            '"Time Stamp","Name","PTID","LBMP ($/MWHr)","Marginal Cost Losses ($/MWHr)","Marginal Cost Congestion ($/MWHr)"'
        ]
        for number, start in enumerate(starts):
            at = (start + timedelta(minutes=5)).astimezone(EASTERN)
            for k, name in enumerate((*NYISO_AREAS, "H Q", "PJM")):
                losses, congestion = 0.1 * k, -2.5 * k  # LBMP = energy + losses - what stands as congestion
                lbmp = 30 + 0.01 * number + losses - congestion
                lines.append(
                    f'"{at:%m/%d/%Y %H:%M:%S}","{name}",61757,{lbmp:.2f},{losses:.2f},{congestion:.2f}'
                )
    else:
        lines = ["Time Stamp,Time Zone,Fuel Category,Gen MW"]
        for number, start in enumerate(starts):
            label = (start + timedelta(minutes=5)).astimezone(EASTERN)
            for fuel, mw in (
                ("Natural Gas", 3000.0 + number + bump.get(start, 0.0)),
                ("Hydro", 2500.0),
                ("Nuclear", 3300.0),
            ):
                lines.append(f"{label:%m/%d/%Y %H:%M:%S},{label.tzname()},{fuel},{mw}")
    text = ("\n".join(lines) + "\n").encode()
    if request.name.endswith(".csv"):
        return text
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as folder:
        folder.writestr(zipfile.ZipInfo(request.name.replace("_csv.zip", ".csv")), text)
    return packed.getvalue()


ISONE_NODES = {
    "4010": (".I.SALBRYNB345 1", -370.829), "4011": (".I.ROSETON 345 1", 250.5), "4012": (".I.HQ_P1_P2345 5", -1372.922),
    "4013": (".I.HQHIGATE120 2", -217), "4014": (".I.SHOREHAM138 99", 330), "4017": (".I.NRTHPORT138 5", -12.5),
}  # fmt: skip


def isone(request: LiveRequest, skip: Collection[datetime], bump: Mapping[datetime, float]) -> bytes:
    """A day of snapshots as the web service gives them, in local time with its offset; or a day of five minutes."""
    records: list[dict[str, object]] = []
    starts = starts_of(request.interval, 300, skip)
    begins = [start.astimezone(EASTERN).isoformat(timespec="milliseconds") for start in starts]
    if request.name.startswith("fiveminutesystemload"):
        records = [
            {"BeginDate": at, "LoadMw": 11000.5 + n, "NativeLoad": 11000 + n, "ArdDemand": 0.5}
            for n, at in enumerate(begins)
        ]
        return json.dumps({"FiveMinSystemLoads": {"FiveMinSystemLoad": records}}).encode()
    if request.name.startswith("fiveminutelmp"):
        hub = {"$": ".H.INTERNAL_HUB", "@LocId": "4000", "@LocType": "HUB"}
        for n, at in enumerate(begins):
            parts = {"EnergyComponent": 40 + n / 100, "CongestionComponent": -0.5, "LossComponent": 0.11}
            records.append({"BeginDate": at, "Location": hub, "LmpTotal": sum(parts.values()), **parts})
        return json.dumps({"FiveMinLmps": {"FiveMinLmp": records}}).encode()
    if request.name.startswith("fiveminuteexternalflow"):
        for at in begins:
            for number_of, (name, mw) in ISONE_NODES.items():
                place = {"$": name, "@LocId": number_of}
                records.append(
                    {"BeginDate": at, "Location": place, "ActualFlow": mw, "CurrentSchedule": mw, "ImportLimit": -1000,
                     "ExportLimit": 200, "Purchase": 0, "Sale": 0, "TotalImports": -1973.251, "TotalExports": 580.5}
                )  # fmt: skip
        return json.dumps({"ExternalFlows": {"ExternalFlow": records}}).encode()
    for number, start in enumerate(starts):
        at = (start + timedelta(seconds=94)).astimezone(EASTERN).isoformat(timespec="milliseconds")
        for fuel, mw, flag in (
            ("Natural Gas", 6000 + number + bump.get(start, 0), "Y"),
            ("Nuclear", 3364, "N"),
        ):
            records.append(
                {
                    "BeginDate": at,
                    "GenMw": mw,
                    "FuelCategoryRollup": fuel,
                    "FuelCategory": fuel,
                    "MarginalFlag": flag,
                }
            )
    return json.dumps({"GenFuelMixes": {"GenFuelMix": records}}).encode()


def eia930(request: LiveRequest, skip: Collection[datetime], bump: Mapping[datetime, float]) -> bytes:
    """One answer of the API: hours in UTC labelled by their end, values as text, and how many rows there are."""
    whose, what, codes = {
        "fuel": ("respondent", "fueltype", ("NG", "COL", "SNB", "SUN", "WND")),
        "regi": ("respondent", "type", ("D", "TI", "DF", "NG")),
        "inte": ("fromba", "toba", ("PJM", "SWPP")),
    }[request.name[:4]]
    data = []
    for number, start in enumerate(starts_of(request.interval, 3600, skip)):
        for at, code in enumerate(codes):
            value = 1000 * (at + 1) + number + (bump.get(start, 0) if at == 0 else 0)
            data.append(
                {"period": f"{start + timedelta(hours=1):%Y-%m-%dT%H}", whose: "ERCO", f"{whose}-name": "ERCOT", what: code,
                 "type-name": code, "value": str(value), "value-units": "megawatthours"}
            )  # fmt: skip
    return json.dumps({"response": {"total": str(len(data)), "frequency": "hourly", "data": data}}).encode()


def elexon(request: LiveRequest, skip: Collection[datetime], bump: Mapping[datetime, float]) -> bytes:
    """A settlement day as the Insights API gives it: UTC starts, whole megawatts, newest first."""
    if request.path.endswith("market-index"):
        return market_index(request, skip)
    step_s = 300 if "FUELINST" in request.path else 1800
    records = []
    for number, start in enumerate(starts_of(request.interval, step_s, skip)):
        head = {
            "publishTime": f"{start + timedelta(seconds=step_s):%Y-%m-%dT%H:%M:%SZ}",
            "startTime": f"{start:%Y-%m-%dT%H:%M:%SZ}",
            "settlementDate": f"{start.astimezone(LONDON):%Y-%m-%d}",
            "settlementPeriod": 1 + number * step_s // 1800,
        }
        if request.path == "demand/outturn":
            demand = 28_000 + number
            records.append(
                head
                | {"initialDemandOutturn": demand, "initialTransmissionSystemDemandOutturn": demand + 900}
            )
            continue
        for code, mw in (
            ("CCGT", 9000 + number + bump.get(start, 0)),
            ("WIND", 7000 - number), ("PS", -350), ("INTFR", 1500), ("INTELEC", -120), ("INTNEM", 400),
        ):  # fmt: skip
            records.append({"dataset": request.path[-8:], **head, "fuelType": code, "generation": int(mw)})
    return json.dumps({"data": records[::-1]}).encode()


def market_index(request: LiveRequest, skip: Collection[datetime]) -> bytes:
    """Each half hour of two exchanges, one of which has no trades."""
    halves = {start - timedelta(seconds=int(start.timestamp()) % 1800) for start in skip}
    records = [
        {
            "startTime": f"{start:%Y-%m-%dT%H:%M:%SZ}",
            "dataProvider": provider,
            "settlementDate": f"{start.astimezone(LONDON):%Y-%m-%d}",
            "settlementPeriod": 1 + number,
            "price": price,
            "volume": volume,
        }
        for number, start in enumerate(starts_of(request.interval, 1800, halves))
        for provider, price, volume in (("N2EXMIDP", 0.0, 0.0), ("APXMIDP", 71.25 + number, 1204.9))
    ]
    return json.dumps({"metadata": {"datasets": ["MID"]}, "data": records}).encode()


GENERATION_NS = "urn:iec62325.351:tc57wg16:451-6:generationloaddocument:3:0"
PUBLICATION_NS = "urn:iec62325.351:tc57wg16:451-3:publicationdocument:7:3"


def _runs(starts: list[datetime], step_s: int) -> list[list[datetime]]:
    """Cut starts where one is missing: a gap is where a period ends and another begins."""
    runs: list[list[datetime]] = []
    for start in starts:
        if runs and start - runs[-1][-1] == timedelta(seconds=step_s):
            runs[-1].append(start)
        else:
            runs.append([start])
    return runs


def entsoe(request: LiveRequest, skip: Collection[datetime], bump: Mapping[datetime, float]) -> bytes:
    """A document of the web service: a time series a production type and direction, with periods of numbered points.

    Generation comes a quarter of an hour a point with every point there (A01); the others hourly where a point that is
    left out repeats the one before (A03).
    """
    query = request.query
    kind = query["documentType"]
    series: list[tuple[str, str, Callable[[int, datetime], float]]] = []
    step_s, curve, field_name = 3600, "A03", "quantity"
    if kind == "A75":
        step_s, curve = 900, "A01"
        zone = (
            f'<inBiddingZone_Domain.mRID codingScheme="A01">{query["in_Domain"]}</inBiddingZone_Domain.mRID>'
        )
        for code, mw in (("B04", 4000), ("B14", 3900), ("B18", 900), ("B19", 700), ("B10", 200)):
            of_type = f"<MktPSRType><psrType>{code}</psrType></MktPSRType>"
            first = code == "B04"
            series.append(
                (zone, of_type, lambda n, s, mw=mw, first=first: mw + n + (bump.get(s, 0) if first else 0))
            )
        out = zone.replace("inBidding", "outBidding")
        series.append((out, "<MktPSRType><psrType>B10</psrType></MktPSRType>", lambda n, s: 500.0))
    elif kind == "A44":
        field_name = "price.amount"
        series.append(("<currency_Unit.name>EUR</currency_Unit.name>", "", lambda n, s: 60.5 + n // 2))
    else:
        series.append(("", "", lambda n, s: 1000.0 + n // 2))
    parts = []
    for number, (before, after, value) in enumerate(series, start=1):
        periods = []
        every = starts_of(request.interval, step_s, ())
        numbered = {start: n for n, start in enumerate(every)}
        quarters = {start - timedelta(seconds=int(start.timestamp()) % step_s) for start in skip}
        for run in _runs([start for start in every if start not in quarters], step_s):
            points = []
            last = None
            for position, start in enumerate(run, start=1):
                now = value(numbered[start], start)
                if curve == "A03" and now == last:
                    continue
                last = now
                points.append(
                    f"<Point><position>{position}</position><{field_name}>{now:g}</{field_name}></Point>"
                )
            end = run[-1] + timedelta(seconds=step_s)
            periods.append(
                f"<Period><timeInterval><start>{run[0]:%Y-%m-%dT%H:%MZ}</start><end>{end:%Y-%m-%dT%H:%MZ}</end>"
                f"</timeInterval><resolution>PT{step_s // 60}M</resolution>{''.join(points)}</Period>"
            )
        parts.append(
            f"<TimeSeries><mRID>{number}</mRID>{before}<curveType>{curve}</curveType>{after}{''.join(periods)}</TimeSeries>"
        )
    root, space = (
        ("GL_MarketDocument", GENERATION_NS)
        if kind in ("A75", "A65")
        else ("Publication_MarketDocument", PUBLICATION_NS)
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{space}"><mRID>1</mRID><type>{kind}</type>'
        f"{''.join(parts)}</{root}>"
    ).encode()


def electricity_maps(
    request: LiveRequest, skip: Collection[datetime], bump: Mapping[datetime, float]
) -> bytes:
    """A past range of hours, with when each was written and whether it was estimated."""
    query = request.query
    records = [
        {
            "zone": query["zone"],
            "carbonIntensity": int(300 + number % 200 + bump.get(start, 0)),
            "datetime": f"{start:%Y-%m-%dT%H:%M:%S.000Z}",
            "updatedAt": f"{start + timedelta(hours=2):%Y-%m-%dT%H:%M:%S.000Z}",
            "createdAt": f"{start:%Y-%m-%dT%H:%M:%S.000Z}",
            "emissionFactorType": query["emissionFactorType"],
            "isEstimated": number % 7 == 0,
            "estimationMethod": "TIME_SLICER_AVERAGE" if number % 7 == 0 else None,
        }
        for number, start in enumerate(starts_of(request.interval, 3600, skip))
    ]
    return json.dumps({"zone": query["zone"], "temporalGranularity": "hourly", "data": records}).encode()


def watttime(request: LiveRequest, skip: Collection[datetime], bump: Mapping[datetime, float]) -> bytes:
    """A stretch of the marginal rate with what it says of itself."""
    data = [
        {
            "point_time": f"{start:%Y-%m-%dT%H:%M:%S+00:00}",
            "value": 900.5 + number % 50 + bump.get(start, 0),
            "last_updated": f"{start + timedelta(minutes=5):%Y-%m-%dT%H:%M:%S+00:00}",
        }
        for number, start in enumerate(starts_of(request.interval, 300, skip))
    ]
    meta = {
        "data_point_period_seconds": 300,
        "region": request.query["region"],
        "warnings": [],
        "signal_type": "co2_moer",
        "model": {"date": "2023-03-01"},
        "units": "lbs_co2_per_mwh",
    }
    return json.dumps({"data": data, "meta": meta}).encode()


def _market(name: str, tables: Mapping[str, list[str]]) -> bytes:
    """A file of the operator's: one `I` line and `D` lines a table, and how many lines there are."""
    lines = [f"C,NEMP.WORLD,{name},AEMO,PUBLIC,2026/09/24,22:05:11,0000000535047618,{name},0000000535047612"]
    for header, rows in tables.items():
        head = ",".join(header.split(",")[:3])
        lines += [f"I,{header}", *(f"D,{head},{row}" for row in rows)]
    return ("\n".join([*lines, f'C,"END OF REPORT",{len(lines) + 1}']) + "\n").encode()


INVENTORY = _market(
    "CO2EII_AVAILABLE_GENERATORS_WEB",
    {
        "CO2EII,PUBLISHING,1,STATIONNAME,DUID,GENSETID,REGIONID,CO2E_EMISSIONS_FACTOR,CO2E_ENERGY_SOURCE,CO2E_DATA_SOURCE": [
            '"Bayswater",BW01,BW01,NSW1,0.875,"Black coal","NGA 2024"',
            '"Bayswater",BW02,BW02,NSW1,0.875,"Black coal","NGA 2024"',
            '"Tallawarra",TALWA1,TALWA1,NSW1,0.4,"Natural Gas (Pipeline)","NGA 2024"',
            '"Somewhere, Units 1-8",SUN1,SUN1,NSW1,0,Solar,ISP2024',
            '"Somewhere, Units 1-8",SUN1,SUN1B,NSW1,0,Solar,ISP2024',
            '"Loy Yang",LYA1,LYA1,VIC1,1.1,"Brown coal","NGA 2024"',
        ]
    },
)


def aemo(request: LiveRequest, skip: Collection[datetime], bump: Mapping[datetime, float]) -> bytes:
    """A five-minute zip of NEMWEB, or a day's zip of such zips; labels are market time and name the end."""
    zips = []
    for start in starts_of(request.interval, 300, skip):
        end = (start + timedelta(minutes=5)).astimezone(timezone(timedelta(hours=10)))
        label, number = f'"{end:%Y/%m/%d %H:%M:%S}"', int(start.timestamp()) // 300 % 1000
        if request.name.startswith("DISPATCHSCADA"):
            units = {
                "BW01": 400 + number + bump.get(start, 0),
                "BW02": 350.5,
                "TALWA1": 200,
                "SUN1": 90,
                "LYA1": 500,
                "NEW1": 7,
            }
            tables = {
                "DISPATCH,UNIT_SCADA,1,SETTLEMENTDATE,DUID,SCADAVALUE,LASTCHANGED": [
                    f"{label},{unit},{mw},{label}" for unit, mw in units.items()
                ]
            }
        else:
            links = ("N-Q-MNSP1", "NSW1-QLD1", "T-V-MNSP1", "V-S-MNSP1", "V-SA", "VIC1-NSW1")
            tables = {
                "DISPATCH,PRICE,5,SETTLEMENTDATE,RUNNO,REGIONID,DISPATCHINTERVAL,INTERVENTION,RRP": [
                    f"{label},1,{region},1,0,{85.25 + number}" for region in ("NSW1", "VIC1")
                ],
                "DISPATCH,REGIONSUM,9,SETTLEMENTDATE,RUNNO,REGIONID,DISPATCHINTERVAL,INTERVENTION,TOTALDEMAND,NETINTERCHANGE": [
                    f"{label},1,{region},1,0,{7000 + number},{-300 - number}" for region in ("NSW1", "VIC1")
                ],
                "DISPATCH,INTERCONNECTORRES,3,SETTLEMENTDATE,RUNNO,INTERCONNECTORID,DISPATCHINTERVAL,INTERVENTION,METEREDMWFLOW": [
                    f"{label},1,{link},1,0,{50 + number}" for link in links
                ],
            }
        kind = request.name.partition("-")[0]
        zips.append((f"PUBLIC_{kind}_{end:%Y%m%d%H%M}_0000000535047618", _market(kind, tables)))
    inner = [(f"{name}.CSV", body) for name, body in zips]
    return pack(inner if request.listed else [(f"{n}.zip", pack([(f"{n}.CSV", body)])) for n, body in zips])


def aemo_beside(path: str, skip: Collection[datetime], bump: Mapping[datetime, float]) -> bytes | None:
    """The inventory, or a folder's page: the hours of the sample, each name ending in a number of its own."""
    if path.endswith("CO2EII_AVAILABLE_GENERATORS.CSV"):
        return INVENTORY
    if "/Current/" not in path or not path.endswith("/"):
        return None
    kind = "DISPATCHSCADA" if "SCADA" in path else "DISPATCHIS"
    links = []
    for start in starts_of(LIVE_SAMPLES["aemo_5min"].interval, 300, skip):
        end = (start + timedelta(minutes=5)).astimezone(timezone(timedelta(hours=10)))
        name = f"PUBLIC_{kind}_{end:%Y%m%d%H%M}_{535047618 + (start in bump):016d}.zip"
        links.append(f'<A HREF="{path}{name}">{name}</A>')
    return f"<html><head><title>nemweb</title></head><body><pre>{'<br>'.join(links)}</pre></body></html>".encode()


def aemo_kept(request: LiveRequest, body: bytes) -> bytes:
    """With the inventory beside what units gave."""
    if not request.beside:
        return body
    return pack([(request.name, body), ("CO2EII_AVAILABLE_GENERATORS.CSV", INVENTORY)])


def in_zips(body: bytes, column: bytes) -> bytes:
    """Rename a field in every table of a zip."""
    with zipfile.ZipFile(io.BytesIO(body)) as packed:
        tables = [(name, packed.read(name)) for name in packed.namelist()]
    return pack((name, table.replace(column, b"Renamed")) for name, table in tables)


def caiso(request: LiveRequest, skip: Collection[datetime], bump: Mapping[datetime, float]) -> bytes:
    """A day's table by the wall clock: spring's lost hour stands there empty, autumn's repeated one twice.

    Header and rows as public copies of the files have them; what the file of an autumn day holds is nowhere written.
    """
    if request.name.startswith("PRC_INTVL_LMP"):
        return caiso_prices(request, skip)
    if request.name.startswith("daily-renewable-report"):
        return caiso_report(request, skip)
    is_supply = request.name.startswith("fuelsource")
    header = (
        "Time,Solar,Wind,Geothermal,Biomass,Biogas,Small hydro,Coal,Nuclear,Natural Gas,Large Hydro,Batteries,Imports,Other"
        if is_supply
        else "Time,Day ahead forecast,Hour ahead forecast,Current demand"
    )
    lines, last = [header], None
    for number, start in enumerate(starts_of(request.interval, 300, ())):
        local = start.astimezone(PACIFIC)
        if last is not None and local.hour == last + 2:
            lines += [f"{last + 1:02}:{minute:02}" + "," * header.count(",") for minute in range(0, 60, 5)]
        last = local.hour
        moved = bump.get(start, 0.0)
        cells = (
            f"{40 + number + moved:g},3657,904,315,210,157,3,2244,10272,1816,-84,6645,0"
            if is_supply
            else f"26000,26100,{25000 + number:g}"
        )
        lines.append(f"{local:%H:%M}," + ("," * (header.count(",") - 1) if start in skip else cells))
    lines.append("00:00" + "," * header.count(","))
    return ("\r\n".join(lines) + "\r\n").encode()


def caiso_prices(request: LiveRequest, skip: Collection[datetime]) -> bytes:
    """A zip of OASIS with the parts of a hub's price, in UTC; parts by themselves, as the publisher orders them."""
    lines = [
        "INTERVALSTARTTIME_GMT,INTERVALENDTIME_GMT,OPR_DT,OPR_HR,NODE_ID_XML,NODE_ID,NODE,MARKET_RUN_ID,LMP_TYPE,"
        "XML_DATA_ITEM,PNODE_RESMRID,GRP_TYPE,POS,VALUE,OPR_INTERVAL,GROUP"
    ]
    hub = "TH_NP15_GEN-APND"
    for group, (kind, item, usd) in enumerate(
        (("MCC", "LMP_CONG_PRC", -1.68082), ("MCE", "LMP_ENE_PRC", 48.9464), ("LMP", "LMP_PRC", 50.48609)),
        start=1,
    ):
        for number, start in enumerate(starts_of(request.interval, 300, skip)):
            end, local = start + timedelta(minutes=5), start.astimezone(PACIFIC)
            lines.append(
                f"{start:%Y-%m-%dT%H:%M:%S}-00:00,{end:%Y-%m-%dT%H:%M:%S}-00:00,{local:%Y-%m-%d},{local.hour + 1},{hub},"
                f"{hub},{hub},RTM,{kind},{item},{hub},ALL_APNODES,0,{usd + number / 100:.5f},1,{group}"
            )
    return pack([("20260924_20260924_PRC_INTVL_LMP_RTM_v3.csv", ("\n".join(lines) + "\n").encode())])


def caiso_report(request: LiveRequest, skip: Collection[datetime]) -> bytes:
    """A day's renewable report: a web page with arrays in its script, one value an hour of the day."""
    gone = {start.replace(minute=0) for start in skip}
    hours = starts_of(request.interval, 3600, ())
    script = [
        f"curt_hr_tot_{fuel}_{why}_{scope}_mwh = "
        + json.dumps(["NA" if hour in gone else mwh + n for n, hour in enumerate(hours)])
        + ";"
        for fuel, of_fuel in (("solar", 100.5), ("wind", 10))
        for why, mwh in (("econ", of_fuel), ("ss", 1), ("oi", 0))
        for scope in ("local", "system")
    ]
    return ("<!DOCTYPE html><html><head><title>Daily Renewable Report</title></head><body><script>\n"
            + "\n".join(script) + "\n</script></body></html>").encode()  # fmt: skip


def ercot(request: LiveRequest, skip: Collection[datetime], bump: Mapping[datetime, float]) -> bytes:
    """The dashboards' JSON: fuels under stamps under days, or a list of demand that runs on into the forecast."""
    starts = starts_of(request.interval, 300, skip)
    stamp = {start: start.astimezone(CENTRAL).strftime("%Y-%m-%d %H:%M:%S%z") for start in starts}
    if request.name.startswith("supply-demand"):
        data = [
            {"epoch": int(start.timestamp()) * 1000, "forecast": 0, "demand": 50000 + number, "timestamp": stamp[start]}
            for number, start in enumerate(starts)
        ]  # fmt: skip
        ahead = {"epoch": 0, "forecast": 1, "demand": 61000, "timestamp": "2026-09-24 23:55:00-0500"}
        return json.dumps({"lastUpdated": stamp[starts[-1]], "data": [*data, ahead]}).encode()
    if request.name.startswith("system-wide-prices"):
        quarters = starts_of(request.interval, 900, ())
        whole = [q for q in quarters if not {q + timedelta(minutes=m) for m in (0, 5, 10)} & set(skip)]
        ends = [quarter + timedelta(minutes=15) for quarter in whole]
        prices = [
            {"intervalEnding": f"{end.astimezone(CENTRAL):%H:%M}", "dstFlag": "N", "hbBusAvg": 44.73, "hbHubAvg": 46.7 + n,
             "hbNorth": 41.25, "lzWest": 65.55, "timestamp": end.astimezone(CENTRAL).strftime("%Y-%m-%d %H:%M:%S%z"),
             "interval": int(end.timestamp()) * 1000}
            for n, end in enumerate(ends)
        ]  # fmt: skip
        return json.dumps({"lastUpdated": stamp[starts[-1]], "rtSppData": prices, "damSppData": []}).encode()
    if request.name.startswith("dc-tie-flows"):
        rows = [
            {"currentFrequency": 59.998, "currentSystemInertia": 340000, "dcE": -420 + n, "dcN": 35, "dcL": 100,
             "dcR": -28, "timestamp": (s + timedelta(seconds=k)).astimezone(CENTRAL).strftime("%Y-%m-%d %H:%M:%S%z"),
             "epoch": 0, "interval": "10:00:00", "dstFlag": "N"}
            for n, s in enumerate(starts) for k in (10, 290)
        ]  # fmt: skip
        return json.dumps({"lastUpdated": stamp[starts[-1]], "data": rows}).encode()
    days: dict[str, dict[str, object]] = {}
    for number, start in enumerate(starts):
        days.setdefault(stamp[start][:10], {})[stamp[start]] = {
            "Coal and Lignite": {"gen": 6287.0 + number + bump.get(start, 0.0)},
            "Natural Gas": {"gen": 31589.56},
            "Power Storage": {"gen": -769.35},
            "Power Storage Charging": {"gen": -769.35},
            "Power Storage Discharging": {"gen": 0},
        }
    return json.dumps(
        {"lastUpdated": stamp[starts[-1]], "monthlyCapacity": {"Wind": 40405}, "data": days}
    ).encode()


def pjm(request: LiveRequest, skip: Collection[datetime], bump: Mapping[datetime, float]) -> bytes:
    """One answer of Data Miner: UTC by the start, and how many rows there are; load is moments."""
    feed = request.path
    step_s = 300 if "five" in feed or feed == "inst_load" else 3600
    node = {"pnode_id": 1, "pnode_name": "PJM-RTO"}
    items: list[dict[str, object]] = []
    for number, start in enumerate(starts_of(request.interval, step_s, ())):
        inside = Interval.starting(start, step_s)
        if any(gone in inside for gone in skip):
            continue
        moved = sum(by for at, by in bump.items() if at in inside)
        at = {"datetime_beginning_utc": f"{start:%Y-%m-%dT%H:%M:%S}"}
        if feed.endswith("marginal_emissions"):
            items.append({**at, **node, "marginal_co2_rate": 1200.5})
        elif feed.endswith("lmps"):
            items.append({**at, **node, "total_lmp_rt": 31.25 + number % 288})
        elif feed == "hrl_load_metered":
            items.append({**at, "load_area": "RTO", "mw": 90_000.5 + number})
        elif feed == "inst_load":
            moment = f"{start + timedelta(seconds=15):%Y-%m-%dT%H:%M:%S}"
            items.append(
                {"datetime_beginning_utc": moment, "area": "PJM RTO", "instantaneous_load": 91_000 + number}
            )
        elif feed == "five_min_tie_flows":
            for tie, mw in (("PJM RTO", -3537.4), ("PJM MISO", -2136.0), ("LINDEN", -285.0)):
                items.append({**at, "tie_flow_name": tie, "actual_mw": mw, "scheduled_mw": mw + 5})
        else:
            for fuel, mw in (
                ("Coal", 15000 + number + moved),
                ("Gas", 40000.0),
                ("Multiple Fuels", 120.5),
                ("Storage", -20.0),
            ):
                items.append({**at, "fuel_type": fuel, "mw": mw})
    return json.dumps(
        {"links": [], "items": items, "searchSpecification": {"startRow": 1}, "totalRows": len(items)}
    ).encode()


def miso(request: LiveRequest, skip: Collection[datetime], bump: Mapping[datetime, float]) -> bytes:
    """The public API's tables: every number a text, times in EST all year."""
    est = [start - timedelta(hours=5) for start in starts_of(request.interval, 300, skip)]
    said = f"{est[-1]:%d-%b-%Y} - Interval {est[-1]:%H:%M} EST"
    if request.path == "RealTimeTotalLoad":
        loads = [
            {"Load": {"Time": f"{at:%H:%M}", "Value": str(93_419 + number)}} for number, at in enumerate(est)
        ]
        hours = [{"ClearedMWHourly": {"Hour": "1", "Value": "90916"}}]
        return json.dumps(
            {"LoadInfo": {"RefId": said, "ClearedMW": hours, "FiveMinTotalLoad": loads}}
        ).encode()
    if request.path.startswith("Interchange"):
        return json.dumps(
            [
                {"Time": f"{at:%Y-%m-%d %I:%M:%S %p}", "Value": f"{-5573.87 + number:.2f}"}
                for number, at in enumerate(est)
            ]
        ).encode()
    if request.path.startswith("MarketPricing"):
        nodes = [
            {"name": "ARKANSAS.HUB", "region": "South", "LMP": "22.12", "MLC": "-1.67", "MCC": "-1.91"},
            {"name": "INDIANA.HUB", "region": "Midwest", "LMP": "24.84", "MLC": "-0.86", "MCC": "0.00"},
        ]
        newest = {"HourAndMin": f"{est[-1]:%H:%M}", "PricingNode": nodes}
        return json.dumps({"LMPData": {"RefId": said, "FiveMinLMP": newest}}).encode()
    records = []
    for number, start in enumerate(starts_of(request.interval, 300, skip)):
        label = f"{start - timedelta(hours=5):%Y-%m-%d %I:%M:%S %p}"
        for category, mw in (
            ("Coal", 30866 + number + int(bump.get(start, 0))),
            ("Natural Gas", 34168),
            ("Other", 1323),
            ("Imports", 900),
        ):
            records.append(
                {"INTERVALEST": label, "CATEGORY": category, "ACT": str(mw), "FUEL_CATEGORY": f"{category}  ({mw:,} MW)"}
            )  # fmt: skip
    return json.dumps(
        {"RefId": "24-Sep-2026 - Interval 10:25 EST", "TotalMW": "90140", "Fuel": {"Type": records}}
    ).encode()


def spp(request: LiveRequest, skip: Collection[datetime], bump: Mapping[datetime, float]) -> bytes:
    """The two hours' table with a column a fuel, the year's with two, and what lies beside; labels are UTC and name the end."""
    market = "%m/%d/%Y %H:%M:%S"
    if request.name.startswith("FUEL-ON-MARGIN"):
        lines = ["Interval,GMTIntervalEnd,BAA,Fuel On Margin"]
        for start in starts_of(request.interval, 300, skip):
            end = start + timedelta(minutes=5)
            head = f"{end.astimezone(CENTRAL):{market}},{end:{market}}"
            lines += [f"{head},SPP,Coal", f"{head},SPP,Natural Gas", f"{head},SWPW,Hydro"]
        return ("\n".join(lines) + "\n").encode()
    if request.name.startswith("VER-Curtailments"):
        lines = [
            "LocalIntervalEnding,GMTIntervalEnding,WindRedispatchCurtailments,WindManualCurtailments,"
            "WindCurtailedForEnergy,SolarRedispatchCurtailments,SolarManualCurtailments,SolarCurtailedForEnergy,BAA"
        ]
        for number, start in enumerate(starts_of(request.interval, 300, skip)):
            end = start + timedelta(minutes=5)
            head = f"{end.astimezone(CENTRAL):{market}}.000000,{end:{market}}.000000"
            lines.append(f"{head},{1110.44 + number:.3f},0.000,2.500,0.000,0.000,7.000,SPP")
            lines.append(f"{head},3.000,0.000,0.000,0.000,0.000,0.000,SWPW")
        return ("\n".join(lines) + "\n").encode()
    if request.name.startswith("RTBM-LMP-SL"):
        end = starts_of(request.interval, 300, skip)[-1] + timedelta(minutes=5)
        head = f"{end.astimezone(CENTRAL):{market}},{end:{market}}"
        return (
            "Interval,GMTIntervalEnd,BAA,Settlement Location,Pnode,LMP,MLC,MCC,MEC\n"
            f"{head},SPP,AEC,SOUC,30.1234,-0.1000,5.0234,25.2000\n"
            f"{head},SPP,SPPNORTH_HUB,SPPNORTH_HUB,19.7,-1.3,-4.2,25.2000\n"
        ).encode()
    fuels = ("Coal", "Diesel Fuel Oil", "Hydro", "Natural Gas", "Nuclear", "Solar", "Waste Disposal Services", "Wind",
             "Waste Heat", "Other")  # fmt: skip
    if request.name.startswith("GenMix2Hour"):
        lines = ["GMT MKT Interval,BAA," + ",".join([*fuels[:-1], "Energy Storage", fuels[-1]]) + ",Load"]
    else:
        halves = [f"{fuel} Market, {'Gas' if fuel == 'Natural Gas' else fuel} Self" for fuel in fuels]
        lines = ["GMT MKT Interval, " + ", ".join(halves) + ", Load"]
    for number, start in enumerate(starts_of(request.interval, 300, skip)):
        label = f"{start + timedelta(minutes=5):%Y-%m-%dT%H:%M:%S}Z"
        coal = 7761.8 + number + bump.get(start, 0.0)
        if request.name.startswith("GenMix2Hour"):
            cells = f"SPP,{coal:.2f},0.00,976.70,9519.40,1857.10,2256.10,11.50,20211.00,0.00,-18.10,65.70,41852.580"
        else:
            cells = (
                f"{coal - 1000:.2f},1000,"
                + "0,0,900,76.7,9500,19.4,0,1857.1,2256,0.1,0,11.5,20000,211,0,0,60,5.7,41852.58"
            )
        lines.append(f"{label},{cells}")
    return ("\n".join(lines) + "\n").encode()


def ieso(request: LiveRequest, skip: Collection[datetime], bump: Mapping[datetime, float]) -> bytes:
    """A day's report of generators, or a year's of fuels; hours 1 to 24 in EST all year."""
    est = timedelta(hours=-5)
    starts = starts_of(request.interval, 3600, ())
    if request.name.startswith("PUB_Demand"):
        lines = ["\\\\Hourly Demand Report,,,", "\\\\Created at 2026-09-25,,,", "\\\\For 2026,,,"]
        lines.append("Date,Hour,Market Demand,Ontario Demand")
        lines += [
            f"{start + est:%Y-%m-%d},{(start + est).hour + 1},{18_000 + n},{16_000 + n}"
            for n, start in enumerate(starts)
            if start not in skip
        ]
        return ("\n".join(lines) + "\n").encode()
    if "ZonalPrice" in request.name:
        [start] = starts
        values = "".join(
            f"<ZonalPrice><Interval>{k}</Interval><Flag>DSO-RD</Flag><LmpCap>{40 + k}</LmpCap></ZonalPrice>"
            for k in range(1, 13)
        )
        return (
            f'<Document xmlns="http://www.ieso.ca/schema"><DocBody><DeliveryDate>{start + est:%Y-%m-%d}</DeliveryDate>'
            f"<DeliveryHour>{(start + est).hour + 1}</DeliveryHour>{'' if start in skip else values}</DocBody></Document>"
        ).encode()
    if "Intertie" in request.name:
        ties = ""
        for tie, mw in (("MICHIGAN", 800), ("MINNESOTA", -60), ("PQ.AT", -1100)):
            actuals = "".join(
                f"<Actual><Hour>{(start + est).hour + 1}</Hour><Interval>{k}</Interval><Flow>{mw + k}</Flow></Actual>"
                for start in starts
                if start not in skip
                for k in range(1, 13)
            )
            ties += f"<IntertieZone><IntertieZoneName>{tie}</IntertieZoneName><Actuals>{actuals}</Actuals></IntertieZone>"
        return (
            '<IMODocument xmlns="http://www.theIMO.com/schema"><IMODocBody>'
            f"<Date>{starts[0] + est:%Y-%m-%d}</Date>{ties}</IMODocBody></IMODocument>"
        ).encode()
    if "GenOutputCapability" in request.name:
        generators = []
        for name, fuel, mw in (
            ("BRUCEA-G1", "NUCLEAR", 780),
            ("LENNOX-G1", "GAS", 120),
            ("HALTONHILLS-LT.G1", "GAS", 200),
        ):
            outputs = "".join(
                f"<Output><Hour>{(start + est).hour + 1}</Hour>"
                + (
                    ""
                    if start in skip
                    else f"<EnergyMW>{mw + n + (bump.get(start, 0) if mw == 780 else 0):g}</EnergyMW>"
                )
                + "</Output>"
                for n, start in enumerate(starts)
            )
            generators.append(
                f"<Generator><GeneratorName>{name}</GeneratorName><FuelType>{fuel}</FuelType>"
                f"<Outputs>{outputs}</Outputs><Capabilities/></Generator>"
            )
        return (
            '<?xml version="1.0" encoding="UTF-8"?><IMODocument docID="GenOutputCapability"'
            ' xmlns="http://www.theIMO.com/schema"><IMODocHeader><DocTitle>Generator Output</DocTitle></IMODocHeader>'
            f"<IMODocBody><Date>{starts[0] + est:%Y-%m-%d}</Date><Generators>{''.join(generators)}</Generators>"
            "</IMODocBody></IMODocument>"
        ).encode()
    days: dict[str, list[str]] = {}
    for n, start in enumerate(starts):
        fuels = "".join(
            f"<FuelTotal><Fuel>{fuel}</Fuel><EnergyValue><OutputQuality>0</OutputQuality><Output>{mw + n}</Output>"
            "</EnergyValue></FuelTotal>"
            for fuel, mw in (("NUCLEAR", 780), ("GAS", 320))
        )
        hour = (
            f"<HourlyData><Hour>{(start + est).hour + 1}</Hour>{'' if start in skip else fuels}</HourlyData>"
        )
        days.setdefault(f"{start + est:%Y-%m-%d}", []).append(hour)
    body = "".join(f"<DailyData><Day>{day}</Day>{''.join(hours)}</DailyData>" for day, hours in days.items())
    return (
        '<?xml version="1.0" encoding="UTF-8"?><Document xmlns="http://www.ieso.ca/schema"><DocHeader/>'
        f"<DocBody><DeliveryYear>2026</DeliveryYear>{body}</DocBody></Document>"
    ).encode()


def aeso(request: LiveRequest, skip: Collection[datetime], bump: Mapping[datetime, float]) -> bytes:
    """The current supply and demand summary, one moment in UTC, what leaves counts positive; or the hours' pool price."""
    if request.path.endswith("poolPrice"):
        hour = Interval.containing(request.interval.start_utc, 3600).start_utc
        prices = [
            {"begin_datetime_utc": f"{at:%Y-%m-%d %H:%M}", "begin_datetime_mpt": "", "pool_price": price,
             "forecast_pool_price": "40.10", "rolling_30day_avg": "37.20"}
            for at, price in ((hour, "38.55"), (hour + timedelta(hours=1), ""))
        ]  # fmt: skip
        return json.dumps({"responseCode": "200", "return": {"Pool Price Report": prices}}).encode()
    [start] = starts_of(request.interval, 300, skip)
    mix = {"COGENERATION": 3100, "COMBINED CYCLE": 2300, "DUAL FUEL": 466, "ENERGY STORAGE": 0, "GAS FIRED STEAM": 800,
           "HYDRO": 108, "OTHER": 204, "SIMPLE CYCLE": 736 + int(bump.get(start, 0)), "SOLAR": 0, "WIND": 1822}  # fmt: skip
    return json.dumps(
        {
            "timestamp": f"{start:%Y-%m-%d %H:%M:%S}.667+0000",
            "responseCode": "200",
            "return": {
                "effective_datetime_utc": f"{start + timedelta(minutes=3):%Y-%m-%d %H:%M}",
                "effective_datetime_mpt": f"{start - timedelta(hours=6):%Y-%m-%d %H:%M}",
                "total_net_generation": sum(mix.values()),
                "net_actual_interchange": -276,
                "alberta_internal_load": 10208,
                "generation_data_list": [
                    {
                        "fuel_type": fuel,
                        "aggregated_maximum_capability": 5000,
                        "aggregated_net_generation": mw,
                    }
                    for fuel, mw in mix.items()
                ],
                "interchange_list": [
                    {"path": "British Columbia", "actual_flow": -24},
                    {"path": "Montana", "actual_flow": -130},
                    {"path": "Saskatchewan", "actual_flow": -122},
                ],
            },
        }
    ).encode()


def _hours(year: int, month: int, day: int, hour: int, n: int = 2) -> Interval:
    return Interval.starting(datetime(year, month, day, hour, tzinfo=UTC), 3600 * n)


LIVE_SAMPLES: dict[str, LiveSample] = {
    "electricity_maps": LiveSample(
        electricity_maps, "DE", _hours(2026, 9, 24, 12, 6), "carbonIntensity", {"token": "maps-secret-0123456789"}
    ),
    "watttime": LiveSample(
        watttime, "US-CISO", _hours(2026, 9, 24, 12), "point_time",
        {"user": "somebody", "password": "watt-secret-0123456789"}, token="watt-token-0123456789",
    ),
    "aeso": LiveSample(
        aeso, "CA-AB", Interval.starting(datetime(2026, 9, 24, 15, tzinfo=UTC), 300), "aggregated_net_generation",
        {"key": "aeso-secret-0123456789"}, is_snapshot=True,
    ),
    "caiso": LiveSample(
        caiso, "US-CISO", _hours(2026, 9, 24, 15), "Natural Gas", timezone="America/Los_Angeles"
    ),
    "eia930_api": LiveSample(
        eia930, "US-ERCO", _hours(2026, 9, 24, 12, 6), "period", {"key": "eia-secret-0123456789"}
    ),
    "aemo_5min": LiveSample(
        aemo, "AU-NSW", _hours(2026, 9, 24, 12), "SCADAVALUE", beside=aemo_beside, keep=aemo_kept, rename=in_zips
    ),
    "elexon": LiveSample(elexon, "GB", _hours(2026, 9, 24, 12), "fuelType", timezone="Europe/London"),
    "elexon_5min": LiveSample(elexon, "GB", _hours(2026, 9, 24, 12), "fuelType", timezone="Europe/London"),
    "entsoe_api": LiveSample(
        entsoe, "BE", _hours(2026, 9, 24, 12), "timeInterval", {"token": "entsoe-secret-0123456789"}
    ),
    "ercot_dashboards": LiveSample(ercot, "US-ERCO", _hours(2026, 9, 24, 15), "gen"),
    "ieso": LiveSample(ieso, "CA-ON", _hours(2026, 9, 24, 12, 6), "FuelType"),
    "isone": LiveSample(
        isone, "US-ISNE", _hours(2026, 9, 24, 15), "MarginalFlag",
        {"user": "somebody@example.org", "password": "isone-secret-0123456789"}, "America/New_York",
    ),
    "miso": LiveSample(miso, "US-MISO", _hours(2026, 9, 24, 15), "INTERVALEST"),
    "nyiso": LiveSample(nyiso, "US-NYIS", _hours(2026, 9, 24, 15), "Fuel Category", timezone="America/New_York"),
    "pjm": LiveSample(pjm, "US-PJM", _hours(2026, 9, 24, 12, 6), "fuel_type", {"key": "pjm-secret-0123456789"}),
    "pjm_5min": LiveSample(
        pjm, "US-PJM", _hours(2026, 9, 24, 12), "marginal_co2_rate", {"key": "pjm-secret-0123456789"}, moves_s=3600
    ),
    "spp": LiveSample(
        spp, "US-SWPP", _hours(2026, 9, 24, 15), "Wind", words={"Coal": "1", "Natural Gas": "1"}
    ),
}  # fmt: skip
"""Per live adapter: what builds its answers, and how it is asked."""
