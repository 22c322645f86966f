"""From a round of fetching to the ledger: what was revised is estimated again, and supersedes (C9)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from gridmargin.pipeline.factors import Factory
from gridmargin.vocab import Interval


def take_in(factory: Factory, zone: str, revised: Sequence[datetime]) -> int:
    """Estimate revised intervals again; entries that come out different supersede those from before.

    Only intervals that the ledger already speaks of are estimated: the others are when somebody asks for them.

    Returns
    -------
    int
        How many entries are new.
    """
    step_s = factory.source.interval_s(zone)
    n_new = 0
    for start in revised:
        interval = Interval.starting(start, step_s)
        if factory.speaks_of(zone, interval):
            n_new += factory.ensure(zone, interval, renew=True).n_new
    return n_new
