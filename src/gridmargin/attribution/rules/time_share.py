"""In proportion to time active."""

from __future__ import annotations

from collections.abc import Sequence

from gridmargin.attribution.rule import Split
from gridmargin.attribution.window import in_proportion, parts_in
from gridmargin.meters import Reading
from gridmargin.reference import Profile
from gridmargin.requests import Request


def time_share(requests: Sequence[Request], reading: Reading, profile: Profile | None = None) -> Split:
    """Share a reading by the seconds each request was active; a profile is not needed.

    See `docs/methods/time-share.md`. Where nobody was active for any time all of it is unattributed.
    """
    del profile
    parts = parts_in(requests, reading.interval)
    shares_j = dict.fromkeys(sorted(request.request_id for request in requests), 0.0)
    given = in_proportion(reading.energy_j, [(part.request_id, part.seconds) for part in parts])
    return Split(shares_j | (given or {}), reading.energy_j if given is None else 0.0)
