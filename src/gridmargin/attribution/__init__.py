"""Share energy among requests.

Comes in: request logs, device profiles, meter readings. Goes out: each request's joules by part and interval, and what
nobody asked for. Touches request logs on disk, nothing else.
"""

from gridmargin.attribution.replay import Completed, MeterWindow, Replay
from gridmargin.attribution.request import Request, RequestBatch
from gridmargin.attribution.request_log import RequestLog, log_cells, read_log

__all__ = [
    "Completed",
    "MeterWindow",
    "Replay",
    "Request",
    "RequestBatch",
    "RequestLog",
    "log_cells",
    "read_log",
]
