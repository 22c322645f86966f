"""Fits learned once and taken up again: what a fit depends on, as a hash, and the fit in plain JSON.

The question a fit answers is the very data it is learned from: every value of the history's states and of the facts,
the changes of the grid, the estimator and its version. So a kept fit cannot be taken for other data than it saw,
whatever file or payload they come from.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any

import numpy as np
import polars as pl

from gridmargin.grid import GridStates
from gridmargin.ledger import Shelf
from gridmargin.marginal import Estimator, Facts, Fit
from gridmargin.vocab import sha256_hex


def kept_or_learned(
    shelf: Shelf | None,
    estimator: Estimator,
    history: GridStates,
    facts: Facts,
    changes: Sequence[tuple[str, datetime, str]],
    learn: Callable[[], Fit | str],
) -> Fit | str:
    """Give the fit, or the reason why there is none, that was kept for these data; learn and keep it where none was.

    Parameters
    ----------
    shelf : Shelf or None
        None keeps nothing.
    history, facts, changes
        All that `learn` uses.
    """
    if shelf is None:
        return learn()
    question = hash_of(
        "fit", type(estimator).__module__, type(estimator).__qualname__, estimator.name, estimator.version,
        history, facts, changes,
    )  # fmt: skip
    kept = shelf.get(question)
    if kept is not None:
        return kept["missing"] if "missing" in kept else fit_from(kept)
    found = learn()
    shelf.put(question, fit_as_json(found) if isinstance(found, Fit) else {"missing": found})
    return found


def fit_as_json(fit: Fit) -> dict[str, Any]:
    """Give a fit as plain JSON."""
    told = {each.name: getattr(fit, each.name) for each in fields(fit)}
    return told | {
        "train_start_utc": fit.train_start_utc.isoformat(),
        "train_end_utc": fit.train_end_utc.isoformat(),
    }


def fit_from(told: Mapping[str, Any]) -> Fit:
    """Read what `fit_as_json` gave."""
    body = dict(told)
    for moment in ("train_start_utc", "train_end_utc"):
        body[moment] = datetime.fromisoformat(body[moment])
    return Fit(**{**body, "payload_sha256s": tuple(body["payload_sha256s"])})


def hash_of(*values: Any) -> str:
    """Hash records, tables, arrays and plain values by their content; what differs in anything differs in its hash."""
    return sha256_hex(json.dumps([_told(value) for value in values], separators=(",", ":")).encode())


def _told(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, Enum):
        return [type(value).__name__, value.value]
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return ["float", value.hex()]
    if isinstance(value, datetime):
        return ["datetime", value.isoformat()]
    if isinstance(value, np.ndarray):
        return [
            "array",
            value.dtype.str,
            list(value.shape),
            sha256_hex(np.ascontiguousarray(value).tobytes()),
        ]
    if isinstance(value, pl.DataFrame):
        return ["table", [_column(column) for column in value.iter_columns()]]
    if is_dataclass(value):
        return [
            type(value).__name__,
            [[each.name, _told(getattr(value, each.name))] for each in fields(value)],
        ]
    if isinstance(value, Mapping):
        return ["mapping", [[_told(key), _told(inner)] for key, inner in value.items()]]
    if isinstance(value, (tuple, list)):
        return [_told(inner) for inner in value]
    raise TypeError(f"a {type(value).__name__} has no hash by content")


def _column(column: pl.Series) -> list[Any]:
    missing = sha256_hex(np.packbits(column.is_null().to_numpy()).tobytes())
    head = [column.name, str(column.dtype), len(column), missing]
    if column.dtype == pl.String:
        return [*head, sha256_hex(json.dumps(column.to_list()).encode())]
    if not column.dtype.is_numeric() and not column.dtype.is_temporal():
        raise TypeError(f"column {column.name} of {column.dtype} has no hash by content")
    return [*head, sha256_hex(column.to_physical().fill_null(0).to_numpy().tobytes())]
