"""Small payloads in each publisher's own format, written by hand; one builder per registered source."""

import gzip
import io
import zipfile
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import polars as pl

from gridmargin.sources import SOURCES, Payload
from gridmargin.sources.packed import pack
from gridmargin.vocab import Interval

ERCOT_FUELS = ("Biomass", "Coal", "Gas", "Gas-CC", "Hydro", "Nuclear", "Other", "Solar", "Wind")
CLOCKS = [f"{m // 60 % 24}:{m % 60:02d}" for m in range(15, 1441, 15)]
SECOND_PASS = ["01:15 (DST)", "01:30 (DST)", "01:45 (DST)", "02:00 (DST)"]
SKIPPED = ["2:15", "2:30", "2:45", "3:00"]


def ercot_day(
    day: date, fuels=ERCOT_FUELS, *, dst_columns: bool = False, fill=None, settlement="FINAL"
) -> list[list[str]]:
    """Rows of one day; the value of each interval is its place in the day plus a thousand."""
    clocks = CLOCKS + (SECOND_PASS if dst_columns else [])
    rows = []
    for fuel in fuels:
        cells = fill(fuel, clocks) if fill else {c: 1000.0 + n for n, c in enumerate(CLOCKS)}
        total = sum(cells.values())
        texts = [f"{cells[c]:,.1f}" if c in cells else "" for c in clocks]
        rows.append([f"{day:%m/%d/%Y}", fuel, settlement, f"{total:,.1f}", *texts])
    return rows


def ercot_table(
    rows: list[list[str]], *, dst_columns: bool = False, name="IntGenByFuel202007.tsv.gz"
) -> Payload:
    header = ["Date", "Fuel", "Settlement Type", "Total", *CLOCKS, *(SECOND_PASS if dst_columns else [])]
    text = "\r\n".join("\t".join(row) for row in [header, *rows]).encode()
    return Payload("ercot", name, gzip.compress(text) if name.endswith(".gz") else text)


def eia_table(
    authority="ERCO", start=datetime(2022, 1, 1, tzinfo=UTC), n=24, columns="WND,SUN,WAT,OIL,NG,COL,NUC,OTH"
) -> Payload:
    n_fuels = len(columns.split(","))
    lines = [f"timestamp,{columns},avg_CI"]
    for hour in range(n):
        label = start + timedelta(hours=hour)
        lines.append(
            ",".join(
                [f"{label:%Y-%m-%d %H:%M:%S}+00:00", *(str(100 * f + hour) for f in range(n_fuels)), "431.5"]
            )
        )
    return Payload("eia930", f"{authority}.csv", ("\n".join(lines) + "\n").encode())


def moer_table(start=datetime(2020, 5, 1, tzinfo=UTC), n=12) -> Payload:
    frame = pl.DataFrame(
        {
            "time_utc": [start + timedelta(minutes=5 * k) for k in range(n)],
            "PGE": [0.0 if k == 2 else 0.1 + k / 100 for k in range(n)],
            "SCE": [0.2 + k / 100 for k in range(n)],
        },
        schema={"time_utc": pl.Datetime("us", "UTC"), "PGE": pl.Float64, "SCE": pl.Float64},
    )
    out = io.BytesIO()
    frame.write_parquet(out)
    return Payload("caiso_moer", "moer_5min.parquet", out.getvalue())


ISONE_HEADER = "BeginDate,GenMw,FuelCategoryRollup,FuelCategory,MarginalFlag"


def isone_table(snapshots=None, name="genfuelmix.csv.gz") -> Payload:
    """Rows of (time, {category: (MW, flag)}); by default one snapshot every five minutes of an hour."""
    if snapshots is None:
        snapshots = [
            (
                f"2024-03-09T05:{minute:02d}:34.000-05:00",
                {"Natural Gas": (6000 + minute, "Y"), "Hydro": (1000, "N"), "Wood": (200, "N")},
            )
            for minute in range(1, 60, 5)
        ]
    lines = [ISONE_HEADER]
    for time, mix in snapshots:
        lines += [f"{time},{mw},{category},{category},{flag}" for category, (mw, flag) in mix.items()]
    text = ("\n".join(lines) + "\n").encode()
    return Payload("isone", name, gzip.compress(text) if name.endswith(".gz") else text)


def nyiso_day(stamps: list[str], timezone="EST") -> str:
    lines = ["Time Stamp,Time Zone,Fuel Category,Gen MW"]
    for number, stamp in enumerate(stamps):
        lines += [
            f"{stamp},{timezone},Dual Fuel,{4000.0 + number}",
            f"{stamp},{timezone},Wind,{600.0 + number}",
        ]
    return "\n".join(lines) + "\n"


def nyiso_zip(days: dict[str, str] | None = None, name="20250201rtfuelmix_csv.zip") -> Payload:
    """Tables by name; by default two days of half an hour each, around midnight."""
    days = days or {
        "20250201rtfuelmix.csv": nyiso_day(
            [f"02/01/2025 23:{minute}:00" for minute in range(35, 60, 5)] + ["02/02/2025 00:00:00"]
        ),
        "20250202rtfuelmix.csv": nyiso_day([f"02/02/2025 00:{minute:02d}:00" for minute in range(5, 35, 5)]),
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for member, text in days.items():
            packed.writestr(zipfile.ZipInfo(member), text)
    return Payload("nyiso", name, out.getvalue())


def fuel_on_margin_table(rows: list[str] | None = None, header="time_utc,zone,fuel,share") -> Payload:
    rows = rows or [
        f"2024-07-01T{hour:02d}:00:00Z,US-MISO,{fuel},{share}"
        for hour in range(6)
        for fuel, share in (("coal", 0.25), ("gas", 0.5), ("wind", 0.25))
    ]
    text = "\n".join([header, *rows]) + "\n"
    return Payload("fuel_on_margin", "fuel_on_margin.csv.gz", gzip.compress(text.encode()))


def market_table(name: str, columns: str, rows: list[str]) -> bytes:
    """AEMO's own envelope: comment, header, rows, and a last line that counts the lines."""
    lines = [f"C,SETP.WORLD,DVD_{name},AEMO,PUBLIC,2017/07/08,00:00:00,1,,1", f"I,TRADING,{name},4,{columns}"]
    lines += [f"D,TRADING,{name},4,{row}" for row in rows]
    lines.append(f'C,"END OF REPORT",{len(lines) + 1}')
    return ("\n".join(lines) + "\n").encode()


def aemo_table(n=6, net_interchange=0.0, demand=8000.0) -> Payload:
    regions = ("NSW1", "QLD1", "SA1", "TAS1", "VIC1")
    rows = [
        f'"2017/06/01 {(k + 1) // 2:02d}:{30 * ((k + 1) % 2):02d}:00",1,{region},{k + 1},'
        f"{demand / (1 + at) + k:.2f},,{net_interchange}"
        for k in range(n)
        for at, region in enumerate(regions)
    ]
    columns = "SETTLEMENTDATE,RUNNO,REGIONID,PERIODID,TOTALDEMAND,AVAILABLELOAD,NETINTERCHANGE"
    return Payload(
        "aemo", "PUBLIC_DVD_TRADINGREGIONSUM_201706010000.CSV", market_table("REGIONSUM", columns, rows)
    )


SETTER_INVENTORY = (
    "C,SETP.WORLD,CO2EII_AVAILABLE_GENERATORS,AEMO,PUBLIC,2026/10/01,10:00:00,1,,1\n"
    "I,CO2EII,PUBLISHING,1,STATIONNAME,DUID,GENSETID,REGIONID,CO2E_EMISSIONS_FACTOR,CO2E_ENERGY_SOURCE,CO2E_DATA_SOURCE\n"
    'D,CO2EII,PUBLISHING,1,"Bayswater",BW01,BW01,NSW1,0.88,"Black coal","NGA 2024"\n'
    'D,CO2EII,PUBLISHING,1,"Bayswater",BW02,BW02,NSW1,0.88,"Black coal","NGA 2024"\n'
    'D,CO2EII,PUBLISHING,1,"Tallawarra",TALWA1,TALWA1,NSW1,0.4,"Natural Gas (Pipeline)","NGA 2024"\n'
    'D,CO2EII,PUBLISHING,1,"Murray",MURRAY,MURRAY,NSW1,0,"Water","NGA 2024"\n'
    'C,"END OF REPORT",7\n'
)
SETTER_REGIONS = ("NSW1", "QLD1", "SA1", "TAS1", "VIC1")


def setting(region: str, unit: str, increase: float | str, market="ENOF", of="Energy") -> tuple[str, ...]:
    """One row of AEMO's price setters but for its time."""
    return region, unit, str(increase), market, of


def setter_file(end: datetime, rows: list[tuple[str, ...]]) -> bytes:
    """One dispatch as NEMWEB writes it: attributes of one element a row, market time, named by its end."""
    market_end = end.astimezone(timezone(timedelta(hours=10))).isoformat()
    lines = [
        f'<PriceSetting PeriodID="{market_end}" RegionID="{region}" Market="{of}" Price="87.69011" Unit="{unit}"'
        f' DispatchedMarket="{market}" BandNo="6" Increase="{increase}" RRNBandPrice="23.7" BandCost="23.7" />'
        for region, unit, increase, market, of in rows
    ]
    head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    return f"{head}\n<SolutionAnalysis>\n{chr(10).join(lines)}\n</SolutionAnalysis>\n".encode()


def setter_payload(
    files: dict[str, bytes], name="NemPriceSetter_20220101_xml.zip", inventory=SETTER_INVENTORY
):
    """A market day's zip with the inventory beside it."""
    return Payload(
        "aemo_setters",
        name,
        pack([(name, pack(files.items())), ("CO2EII_AVAILABLE_GENERATORS.CSV", inventory.encode())]),
    )


def setter_table() -> Payload:
    """Twelve dispatches from 04:00 market time, every region answered by coal and water."""
    rows = [
        row
        for region in SETTER_REGIONS
        for row in (
            setting(region, "BW01", 0.75),
            setting(region, "MURRAY", 0.25),
            setting(region, "BW02", 1, "R5RE"),
        )
    ]
    first = datetime(2021, 12, 31, 18, 5, tzinfo=UTC)
    return setter_payload(
        {
            f"NEMPriceSetter_20220101{k + 1:03d}00.xml": setter_file(first + timedelta(minutes=5 * k), rows)
            for k in range(12)
        }
    )


CELL_NAMES = "ABCDEFGH"


def spreadsheet(*sheets: list[list[str | int | float | None]]) -> bytes:
    """Give an `.xlsx` with these sheets: a text is a text, a number a number, None no cell."""
    spaces = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    files = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="rels" ContentType="application/'
        'vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/vnd.openxmlformats-'
        'officedocument.spreadsheetml.sheet.main+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{office}/officeDocument"'
        ' Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook {spaces} xmlns:r="{office}"><sheets>'
        + "".join(f'<sheet name="S{n}" sheetId="{n}" r:id="r{n}"/>' for n in range(1, len(sheets) + 1))
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
        + "".join(
            f'<Relationship Id="r{n}" Type="{office}/worksheet" Target="worksheets/sheet{n}.xml"/>'
            for n in range(1, len(sheets) + 1)
        )
        + "</Relationships>",
    }
    for n, rows in enumerate(sheets, start=1):
        lines = []
        for number, row in enumerate(rows, start=1):
            cells = "".join(
                f'<c r="{name}{number}" t="inlineStr"><is><t>{cell}</t></is></c>'
                if isinstance(cell, str)
                else f'<c r="{name}{number}"><v>{cell}</v></c>'
                for name, cell in zip(CELL_NAMES, row, strict=False)
                if cell is not None
            )
            lines.append(f'<row r="{number}">{cells}</row>')
        files[f"xl/worksheets/sheet{n}.xml"] = (
            f"<worksheet {spaces}><sheetData>{''.join(lines)}</sheetData></worksheet>"
        )
    return pack((name, text.encode()) for name, text in files.items())


MISO_HEADER = ["Peak Flag", "Region Name", "Fuel Type", "Unit Count", "Hour Ending", "Time Interval EST"]


def miso_row(start: datetime, region: str, fuel: str, count: int | None):
    """One row of MISO's fuels on the margin, whose time names the start, by its clock."""
    return ["Off-Peak", region, fuel, count, start.hour + 1, f"{start:%m/%d/%Y %I:%M:%S %p}"]


def miso_margin_table(rows=None, name="2023_rt_fuel_on_margin.zip", source="miso_margin") -> Payload:
    """A year's zip; by default two hours from the year's first midnight in EST, two units of gas and one of coal."""
    first = datetime(2023, 1, 1)  # noqa: DTZ001 - the publisher's clock, EST all year
    rows = rows or [
        miso_row(first + timedelta(minutes=5 * k), *what)
        for k in range(24)
        for what in (("Central", "Coal", 1), ("Central", "Gas", 1), ("South", "Gas", 1))
    ]
    above = [["Real-Time Fuel on the Margin"], ["Publish Date: 01/10/2024"], []]
    sheet = spreadsheet([*above, MISO_HEADER, *rows, ["Units are counted."]])
    return Payload(source, name, pack([(name.replace(".zip", ".xlsx"), sheet)]))


def entsoe_table(start=datetime(2017, 12, 31, 23, tzinfo=UTC), n=8, columns=None, name="2018_DE_gen.parquet"):
    columns = columns or {
        "Fossil Gas": [1500.0 + k for k in range(n)],
        "Fossil Hard coal": [3000.0 - k for k in range(n)],
        "Wind Offshore": [400.0] * n,
        "Wind Onshore": [5000.0 + 10 * k for k in range(n)],
        "Fossil Coal-derived gas": [None] * n,
    }
    frame = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.Float64)).with_columns(
        pl.Series("__index_level_0__", [start + timedelta(minutes=15 * k) for k in range(n)])
        .dt.cast_time_unit("ms")
        .dt.convert_time_zone("Europe/Berlin")
    )
    out = io.BytesIO()
    frame.write_parquet(out)
    return Payload("entsoe", name, out.getvalue())


def reference_table() -> Payload:
    interval = Interval(datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 7, 2, tzinfo=UTC))
    return next(iter(SOURCES.get("reference")(Path()).fetch("DE", interval)))


SAMPLES = {
    "aemo": (
        aemo_table,
        Interval(datetime(2017, 5, 31, 14, tzinfo=UTC), datetime(2017, 5, 31, 17, tzinfo=UTC)),
    ),
    "aemo_setters": (
        setter_table,
        Interval(datetime(2021, 12, 31, 18, tzinfo=UTC), datetime(2021, 12, 31, 19, tzinfo=UTC)),
    ),
    "entsoe": (
        entsoe_table,
        Interval(datetime(2017, 12, 31, 23, tzinfo=UTC), datetime(2018, 1, 1, 1, tzinfo=UTC)),
    ),
    "caiso_moer": (
        moer_table,
        Interval(datetime(2020, 5, 1, tzinfo=UTC), datetime(2020, 5, 1, 1, tzinfo=UTC)),
    ),
    "eia930": (
        eia_table,
        Interval(datetime(2021, 12, 31, 23, tzinfo=UTC), datetime(2022, 1, 1, 23, tzinfo=UTC)),
    ),
    "ercot": (
        lambda: ercot_table(ercot_day(date(2020, 7, 15))),
        Interval(datetime(2020, 7, 15, 5, tzinfo=UTC), datetime(2020, 7, 16, 5, tzinfo=UTC)),
    ),
    "fuel_on_margin": (
        fuel_on_margin_table,
        Interval(datetime(2024, 7, 1, tzinfo=UTC), datetime(2024, 7, 1, 6, tzinfo=UTC)),
    ),
    "isone": (
        isone_table,
        Interval(datetime(2024, 3, 9, 10, tzinfo=UTC), datetime(2024, 3, 9, 11, tzinfo=UTC)),
    ),
    "miso_margin": (
        miso_margin_table,
        Interval(datetime(2023, 1, 1, 5, tzinfo=UTC), datetime(2023, 1, 1, 7, tzinfo=UTC)),
    ),
    "nyiso": (
        nyiso_zip,
        Interval(datetime(2025, 2, 2, 4, 30, tzinfo=UTC), datetime(2025, 2, 2, 5, 30, tzinfo=UTC)),
    ),
    "reference": (
        reference_table,
        Interval(datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 7, 2, tzinfo=UTC)),
    ),
}
"""Per source: what builds a payload, and the stretch that it covers in full."""
