"""Build objects from settings; the only reader of settings, secrets and the clock.

Comes in: a command's options or a server's, and the environment.

Goes out: a choice of source, settled for a zone where asked, and a data folder opened with everything over it.
"""

from gridmargin.wiring.instruments import look_for_meters, open_meter, sampler_of
from gridmargin.wiring.outside import (
    home_folder,
    now_utc,
    read_settings,
    recent_file,
    seen_file,
    witnessed_file,
)
from gridmargin.wiring.settling import (
    PATIENT,
    QUICK,
    Asks,
    SourceChoice,
    choose_source,
    live_adapters,
    recorded_sources,
    said_of,
    source_for,
    zones_of,
)
from gridmargin.wiring.workplace import (
    Workplace,
    has_ledger,
    open_places,
    open_workplace,
    replayed,
    require_ledger,
)

__all__ = [
    "PATIENT",
    "QUICK",
    "Asks",
    "SourceChoice",
    "Workplace",
    "choose_source",
    "has_ledger",
    "home_folder",
    "live_adapters",
    "look_for_meters",
    "now_utc",
    "open_meter",
    "open_places",
    "open_workplace",
    "read_settings",
    "recent_file",
    "recorded_sources",
    "replayed",
    "require_ledger",
    "said_of",
    "sampler_of",
    "seen_file",
    "source_for",
    "witnessed_file",
    "zones_of",
]
