"""What was asked: request logs as services write them, checked and streamed.

Comes in: a log in Parquet, CSV or JSON lines. Goes out: `RequestBatch`es in order of arrival. Touches request logs on
disk.
"""

from gridmargin.requests.log import RequestLog, file_sha256, is_unchanged, log_cells, read_log
from gridmargin.requests.request import OUTCOMES, WORDS, Request, RequestBatch

__all__ = [
    "OUTCOMES",
    "WORDS",
    "Request",
    "RequestBatch",
    "RequestLog",
    "file_sha256",
    "is_unchanged",
    "log_cells",
    "read_log",
]
