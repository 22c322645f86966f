"""ISO New England, live: the web service's `genfuelmix` of a day, with the operator's marginal flag, and what is beside.

The service wants the user and password of a free ISO Express account. The table of the web page (`transform/csv`)
wants none, but by public reports of 2026 it answers programs with 403, and is not used.
https://webservices.iso-ne.com/docs/v1.1/
"""

from __future__ import annotations

from gridmargin.sources.isone import IsoNe
from gridmargin.sources.isone_tables import FLOWS, HUB, INTERVAL_S, LOAD, PRICES, ZONE
from gridmargin.sources.live.live_source import Access, LiveRequest, OneZone, local_days
from gridmargin.sources.transport import Body
from gridmargin.vocab import Interval

TIMEZONE = "America/New_York"
TABLES = {
    PRICES: (f"/location/{HUB}", "prices"),
    FLOWS: ("", "flows"),
    LOAD: ("", "load"),
    "genfuelmix": ("", ""),
}
"""Per table: the place that is asked for, and what it supplements."""


class IsoNeLive(OneZone):
    """Asks for `genfuelmix/day/YYYYMMDD.json`, and for load, flows and the hub's price of that day."""

    name = "isone"
    publisher = "ISO New England"
    base_url = "https://webservices.iso-ne.com/api/v1.1"
    access: Access | None = Access(
        ("user", "password"), "https://www.iso-ne.com/isoexpress (free account)", basic=True
    )
    zone = ZONE
    every_s = INTERVAL_S
    states_margin = True
    cadence_s = 300
    delay_s = 600

    parse = staticmethod(IsoNe.parse)
    cell_text = staticmethod(IsoNe.cell_text)

    def requests(self, zone: str, interval: Interval) -> list[LiveRequest]:
        """List each table of each day by itself."""
        del zone
        return [
            LiveRequest(
                f"{table}-{day:%Y%m%d}.json",
                f"{table}/day/{day:%Y%m%d}{place}.json",
                Body.JSON,
                stretch,
                supplement=supplement,
            )
            for table, (place, supplement) in TABLES.items()
            for day, stretch in local_days(interval, TIMEZONE)
        ]
