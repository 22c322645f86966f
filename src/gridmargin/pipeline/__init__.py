"""The chain in order: fetch, parse, assemble, estimate, append; then account, and explain back to the raw cell.

Comes in: a source, a book, an archive, a request log. Goes out: entries, receipts, explanations. Touches nothing of
its own: the rooms below do.
"""

from gridmargin.pipeline.factors import Factory, Outcome, month_starts
from gridmargin.pipeline.facts import FactsOf, facts_from

__all__ = ["Factory", "FactsOf", "Outcome", "facts_from", "month_starts"]
