"""Request: what was asked, when, and how many tokens it took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

OUTCOMES = {
    "completed": "served to its end",
    "failed": "ended by an error",
    "cancelled": "ended by whoever asked",
    "retried": "given up and sent again; the later one may name it in `retry_of`",
}
"""How a request may have ended. Whatever it says, a request is charged what it drew."""

WORDS = ("request_id", "tenant", "endpoint", "service", "outcome", "retry_of")
"""Text columns of a log that travel along to the receipt; an outcome is one of `OUTCOMES` or null."""


@dataclass(frozen=True, slots=True)
class Request:
    """One inference request.

    Attributes
    ----------
    request_id : str
    arrival_utc : datetime
    prompt_tokens, generated_tokens : int
    end_utc : datetime or None
        When its last token left, where the log says so.
    """

    request_id: str
    arrival_utc: datetime
    prompt_tokens: int
    generated_tokens: int
    end_utc: datetime | None = None


@dataclass(frozen=True, slots=True)
class RequestBatch:
    """Requests in order of arrival, as arrays of equal length n.

    Attributes
    ----------
    row : array of int64, shape (n,)
        Where each stands in its log; unique within a run.
    arrival_us : array of int64, shape (n,)
        Not decreasing. [µs since 1970 UTC]
    prompt_tokens, generated_tokens : arrays of int32, shape (n,)
    end_us : array of int64, shape (n,), or None
        End as the log says. [µs since 1970 UTC]
    words : mapping of str to pyarrow.Array
        Text columns that only travel along, those of `WORDS` that the log has.
    """

    row: NDArray[np.int64]
    arrival_us: NDArray[np.int64]
    prompt_tokens: NDArray[np.int32]
    generated_tokens: NDArray[np.int32]
    end_us: NDArray[np.int64] | None = None
    words: Mapping[str, pa.Array] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.row)
