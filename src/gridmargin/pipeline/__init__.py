"""The chain in order: fetch, parse, assemble, estimate, append; then account, and explain back to the raw cell.

Comes in: a source, a book, an archive, a request log. Goes out: entries, receipts, explanations. Touches nothing of
its own: the rooms below do.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gridmargin.pipeline.derived import recipe
from gridmargin.pipeline.factors import STAND_IN, Factory, Outcome
from gridmargin.pipeline.facts import FactsOf, facts_from, payloads_from
from gridmargin.pipeline.live import Feeds, Freshness, ask_or_say_why, roll, take_in
from gridmargin.pipeline.moment import STALE_WIDENING, is_stale, moment_for, outside
from gridmargin.pipeline.months import month_starts

if TYPE_CHECKING:
    from gridmargin.marginal import LongRunFactor
    from gridmargin.pipeline.account import Job, account_log, manifest_of
    from gridmargin.pipeline.forecasts import ScoredForecast, append_forecasts, score_forecasts
    from gridmargin.pipeline.issuing import Issued, base_of, issue
    from gridmargin.pipeline.long_run import (
        fleet_margins,
        given_fleet,
        listed_fleet,
        published_long_run,
    )
    from gridmargin.pipeline.measuring import evidence, profile_named
    from gridmargin.pipeline.pruning import Pruned, prune
    from gridmargin.pipeline.quality import installed_mw, quality_of
    from gridmargin.pipeline.recalibration import Checked, checkable, recalibrate
    from gridmargin.pipeline.references import Reference, entries_of, published
    from gridmargin.pipeline.signals import given_signals, signals_of
    from gridmargin.pipeline.stream import Stream
    from gridmargin.pipeline.trail import explain

__all__ = [
    "STALE_WIDENING",
    "STAND_IN",
    "Checked",
    "Factory",
    "FactsOf",
    "Feeds",
    "Freshness",
    "Issued",
    "Job",
    "LongRunFactor",
    "Outcome",
    "Pruned",
    "Reference",
    "ScoredForecast",
    "Stream",
    "account_log",
    "append_forecasts",
    "ask_or_say_why",
    "base_of",
    "checkable",
    "entries_of",
    "evidence",
    "explain",
    "facts_from",
    "fleet_margins",
    "given_fleet",
    "given_signals",
    "installed_mw",
    "is_stale",
    "issue",
    "listed_fleet",
    "manifest_of",
    "moment_for",
    "month_starts",
    "outside",
    "payloads_from",
    "profile_named",
    "prune",
    "published",
    "published_long_run",
    "quality_of",
    "recalibrate",
    "recipe",
    "roll",
    "score_forecasts",
    "signals_of",
    "take_in",
]

# Pricing compiles and loads a good deal; whoever only asks for a factor need not wait for it.
_LATER = {
    "Checked": "recalibration",
    "Reference": "references",
    "ScoredForecast": "forecasts",
    "append_forecasts": "forecasts",
    "Issued": "issuing",
    "base_of": "issuing",
    "issue": "issuing",
    "given_signals": "signals",
    "signals_of": "signals",
    "checkable": "recalibration",
    "installed_mw": "quality",
    "quality_of": "quality",
    "entries_of": "references",
    "published": "references",
    "recalibrate": "recalibration",
    "score_forecasts": "forecasts",
    "LongRunFactor": "long_run",
    "fleet_margins": "long_run",
    "given_fleet": "long_run",
    "listed_fleet": "long_run",
    "published_long_run": "long_run",
    "Job": "account",
    "account_log": "account",
    "evidence": "measuring",
    "profile_named": "measuring",
    "manifest_of": "account",
    "explain": "trail",
    "Pruned": "pruning",
    "prune": "pruning",
    "Stream": "stream",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f"gridmargin.pipeline.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
