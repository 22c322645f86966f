"""What was charged to whom: priced, kept, and rolled up.

Comes in: energy slices and ledger factors. Goes out: `Receipt`s, Parquet by day and zone, sums with honest ranges.
Touches its own files and the query engine.
"""

from gridmargin.receipts.price import (
    FILL_REACH_S,
    FILL_WIDENING,
    FactorLookup,
    Overheads,
    Priced,
    look_up,
    neighbour_factors,
    price_slices,
    range_of,
)
from gridmargin.receipts.receipt import CAUSES, RECEIPT_SCHEMA, Receipt, Slice
from gridmargin.receipts.rollup import KEYS, quantiles, rollup
from gridmargin.receipts.store import (
    ReceiptWriter,
    find_receipt,
    latest_receipts,
    read_run,
    receipt_table,
    records,
    write_json,
)

__all__ = [
    "CAUSES",
    "FILL_REACH_S",
    "FILL_WIDENING",
    "KEYS",
    "RECEIPT_SCHEMA",
    "FactorLookup",
    "Overheads",
    "Priced",
    "Receipt",
    "ReceiptWriter",
    "Slice",
    "find_receipt",
    "latest_receipts",
    "look_up",
    "neighbour_factors",
    "price_slices",
    "quantiles",
    "range_of",
    "read_run",
    "receipt_table",
    "records",
    "rollup",
    "write_json",
]
