"""New York ISO, live: the day's `rtfuelmix` table, and the month's zip of them for what is past.

Anybody is answered. The day is the prevailing local one, and its table grows by a row a fuel every five minutes.
https://www.nyiso.com/real-time-dashboard links the folder `mis.nyiso.com/public/csv/rtfuelmix`; the certificate there is
good for https.
"""

from __future__ import annotations

from gridmargin.sources.live.live_source import Access, LiveRequest, OneZone, local_days
from gridmargin.sources.nyiso import INTERVAL_S, ZONE, NyIso
from gridmargin.sources.transport import Body
from gridmargin.vocab import Interval

TIMEZONE = "America/New_York"
FOLDER = "public/csv/rtfuelmix"
DAYS_ONE_BY_ONE = 3
"""Longer stretches take whole months, in one zip each, for the days before the last ones."""


class NyIsoLive(OneZone):
    """Asks for `YYYYMMDDrtfuelmix.csv`, and `YYYYMM01rtfuelmix_csv.zip` for months."""

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
        zips = [
            LiveRequest(name, f"{FOLDER}/{name}", Body.ZIP, stretch)
            for name, stretch in ((f"{first}rtfuelmix_csv.zip", months[first]) for first in months)
        ]
        tables = [
            LiveRequest(name, f"{FOLDER}/{name}", Body.CSV, stretch)
            for name, stretch in (
                (f"{day:%Y%m%d}rtfuelmix.csv", stretch) for day, stretch in days[-DAYS_ONE_BY_ONE:]
            )
        ]
        return [*zips, *tables]
