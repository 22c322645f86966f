"""What each AI inference did to the power grid.

The seven records that make up an answer, from the publisher's number to the receipt, and the errors. Each name is
imported when first used, so that `import gridmargin` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gridmargin.attribution import Split
    from gridmargin.grid import GridState
    from gridmargin.ledger import Book, Entry
    from gridmargin.marginal import AverageEstimate, MarginalEstimate
    from gridmargin.meters import Reading
    from gridmargin.receipts import Receipt, rollup
    from gridmargin.sources import Observation
    from gridmargin.vocab import (
        GridmarginError,
        InputError,
        Interval,
        MixedKindsError,
        NoFactorError,
        Range,
        Status,
    )

__all__ = [
    "AverageEstimate",
    "Book",
    "Entry",
    "GridState",
    "GridmarginError",
    "InputError",
    "Interval",
    "MarginalEstimate",
    "MixedKindsError",
    "NoFactorError",
    "Observation",
    "Range",
    "Reading",
    "Receipt",
    "Split",
    "Status",
    "rollup",
]

_HOMES = {
    "attribution": ("Split",),
    "grid": ("GridState",),
    "ledger": ("Book", "Entry"),
    "marginal": ("AverageEstimate", "MarginalEstimate"),
    "meters": ("Reading",),
    "receipts": ("Receipt", "rollup"),
    "sources": ("Observation",),
    "vocab": (
        "GridmarginError",
        "InputError",
        "Interval",
        "MixedKindsError",
        "NoFactorError",
        "Range",
        "Status",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(import_module(f"gridmargin.{_HOME_OF[name]}"), name)
    raise AttributeError(f"module 'gridmargin' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
