"""A log passed through once for what its devices draw with nobody active, before anything is priced.

A request's part of it is known only when its interval has ended, and that of an interval without any when the log has.
"""

from __future__ import annotations

from gridmargin.attribution import ProvisionedIdle, Replay, provisioned_idle
from gridmargin.requests import RequestLog


def replayed_idle(log: RequestLog, replay: Replay) -> ProvisionedIdle:
    """Run a log over fresh devices to its end, and give their idle; nothing of the requests is kept."""
    for batch in log.batches():
        replay.push(batch)
    replay.finish()
    return provisioned_idle(replay.readings())
