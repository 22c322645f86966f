"""Share energy among requests.

Comes in: request logs, device profiles, meter readings. Goes out: each request's joules by part and interval, and what
nobody asked for. Touches request logs on disk, nothing else.
"""

from gridmargin.attribution.completed import Completed
from gridmargin.attribution.replay import Replay
from gridmargin.attribution.request import Request, RequestBatch
from gridmargin.attribution.request_log import RequestLog, log_cells, read_log
from gridmargin.attribution.rule import Rule, Split
from gridmargin.vocab import Registry

RULES: Registry[Rule] = Registry(
    "rule",
    "gridmargin.rules",
    {
        "shapley": "gridmargin.attribution.rules.shapley:shapley",
        "token_share": "gridmargin.attribution.rules.token_share:token_share",
        "time_share": "gridmargin.attribution.rules.time_share:time_share",
    },
)
"""Every attribution rule by name."""

__all__ = [
    "RULES",
    "Completed",
    "Replay",
    "Request",
    "RequestBatch",
    "RequestLog",
    "Rule",
    "Split",
    "log_cells",
    "read_log",
]
