"""New York ISO, live: the day's tables of fuel mix, load, flows and prices, and a month's zips for what is past.

Anybody is answered. The day is the prevailing local one, and its tables grow every five minutes.
https://www.nyiso.com/real-time-dashboard links the folders below `mis.nyiso.com/public/csv`; the certificate there is
good for https.
"""

from __future__ import annotations

from gridmargin.sources.live.live_source import Access, LiveRequest, OneZone, local_days
from gridmargin.sources.nyiso import NyIso
from gridmargin.sources.nyiso_tables import FLOWS, INTERVAL_S, LOAD, PRICES, TIMEZONE, ZONE
from gridmargin.sources.transport import Body
from gridmargin.vocab import Interval

TABLES = {
    PRICES: ("realtime", "prices"),
    FLOWS: (FLOWS, "flows"),
    LOAD: (LOAD, "load"),
    "rtfuelmix": ("rtfuelmix", ""),
}
"""Each table's folder, and what it supplements."""

DAYS_ONE_BY_ONE = 3
"""Longer stretches take whole months, in one zip each, for the days before the last ones."""


class NyIsoLive(OneZone):
    """Asks for `YYYYMMDDrtfuelmix.csv` and the tables beside it, and `YYYYMM01rtfuelmix_csv.zip` for months."""

    name = "nyiso"
    publisher = "New York ISO"
    base_url = "https://mis.nyiso.com"
    access: Access | None = None
    zone = ZONE
    every_s = INTERVAL_S
    states_margin = False
    cadence_s = 300
    delay_s = 300

    parse = staticmethod(NyIso.parse)
    cell_text = staticmethod(NyIso.cell_text)

    def requests(self, zone: str, interval: Interval) -> list[LiveRequest]:
        """List the zips of the months before the last days, and the tables of those days."""
        del zone
        days = list(local_days(interval, TIMEZONE))
        months: dict[str, Interval] = {}
        for day, stretch in days[:-DAYS_ONE_BY_ONE]:
            first = f"{day:%Y%m}01"
            before = months.get(first)
            months[first] = Interval(before.start_utc if before else stretch.start_utc, stretch.end_utc)
        stretches = [
            *((first, "_csv.zip", Body.ZIP, stretch) for first, stretch in months.items()),
            *((f"{day:%Y%m%d}", ".csv", Body.CSV, stretch) for day, stretch in days[-DAYS_ONE_BY_ONE:]),
        ]
        return [
            LiveRequest(
                f"{label}{table}{ending}",
                f"public/csv/{folder}/{label}{table}{ending}",
                body,
                stretch,
                supplement=supplement,
            )
            for table, (folder, supplement) in TABLES.items()
            for label, ending, body, stretch in stretches
        ]
