"""In proportion to tokens."""

from __future__ import annotations

from collections.abc import Sequence

from gridmargin.attribution.rule import Split
from gridmargin.attribution.window import in_proportion, parts_in
from gridmargin.meters import Reading
from gridmargin.reference import Profile
from gridmargin.requests import Request


def token_share(requests: Sequence[Request], reading: Reading, profile: Profile | None = None) -> Split:
    """Share a reading by prompt and generated tokens alike; a profile is not needed.

    See `docs/methods/token-share.md`. Without a token in the window all of it is unattributed.
    """
    del profile
    parts = parts_in(requests, reading.interval)
    shares_j = dict.fromkeys(sorted(request.request_id for request in requests), 0.0)
    given = in_proportion(
        reading.energy_j, [(p.request_id, p.prompt_tokens + p.generated_tokens) for p in parts]
    )
    return Split(shares_j | (given or {}), reading.energy_j if given is None else 0.0)
