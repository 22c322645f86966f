"""Words that every room shares: intervals, fuels, status, ranges, kinds of factor, errors.

Comes in: nothing. Goes out: names. Standard library only; no I/O, no clock.
"""

from gridmargin.vocab.basis import Basis, Boundary, Gases, Horizon, Kind, View
from gridmargin.vocab.errors import (
    ConservationError,
    DiskFullError,
    GridmarginError,
    InputError,
    MixedKindsError,
    NoFactorError,
    NoMeterError,
    NotFoundError,
    PublisherError,
    RetiredError,
    TableError,
    TimeError,
    UnknownNameError,
    is_disk_full,
)
from gridmargin.vocab.exposition import MetricLine, metric_lines
from gridmargin.vocab.fuel import (
    FOSSIL,
    GENERATION_COLUMNS,
    PUBLISHED_MARGIN_COLUMNS,
    Fuel,
    generation_column,
    published_margin_column,
)
from gridmargin.vocab.interval import EARLIEST_YEAR, LATEST_YEAR, Interval, format_utc, parse_utc, require_utc
from gridmargin.vocab.lineage import Cell, canonical_json, sha256_hex
from gridmargin.vocab.quality import Range, Status, worst
from gridmargin.vocab.quantity import G_PER_LB, G_PER_SHORT_TON, J_PER_KWH
from gridmargin.vocab.registry import Registry

__all__ = [
    "EARLIEST_YEAR",
    "FOSSIL",
    "GENERATION_COLUMNS",
    "G_PER_LB",
    "G_PER_SHORT_TON",
    "J_PER_KWH",
    "LATEST_YEAR",
    "PUBLISHED_MARGIN_COLUMNS",
    "Basis",
    "Boundary",
    "Cell",
    "ConservationError",
    "DiskFullError",
    "Fuel",
    "Gases",
    "GridmarginError",
    "Horizon",
    "InputError",
    "Interval",
    "Kind",
    "MetricLine",
    "MixedKindsError",
    "NoFactorError",
    "NoMeterError",
    "NotFoundError",
    "PublisherError",
    "Range",
    "Registry",
    "RetiredError",
    "Status",
    "TableError",
    "TimeError",
    "UnknownNameError",
    "View",
    "canonical_json",
    "format_utc",
    "generation_column",
    "is_disk_full",
    "metric_lines",
    "parse_utc",
    "published_margin_column",
    "require_utc",
    "sha256_hex",
    "worst",
]
