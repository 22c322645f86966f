"""What serving engines said they did: step by step, with who was active.

Comes in: an engine's own records, its counters, or the arrival times of streamed chunks. Goes out: `Steps`. Touches
files that engines wrote and step files; who asks an engine passes in what it answered.
"""

from gridmargin.engines.reader import EngineReader, Told
from gridmargin.engines.retold import ahead_of, renamed
from gridmargin.engines.step_file import read_steps, steps_from, write_steps
from gridmargin.engines.steps import Steps, join_steps, steps_of
from gridmargin.engines.streamed import Streams, steps_of_streams
from gridmargin.vocab import Registry

ENGINES: Registry[EngineReader] = Registry(
    "engine",
    "gridmargin.engines",
    {
        "llamacpp_metrics": "gridmargin.engines.llamacpp_metrics:READER",
        "llamacpp_timings": "gridmargin.engines.llamacpp_timings:READER",
        "sglang_log": "gridmargin.engines.sglang_log:READER",
        "sglang_metrics": "gridmargin.engines.sglang_metrics:READER",
        "tgi_metrics": "gridmargin.engines.tgi_metrics:READER",
        "transformers_metrics": "gridmargin.engines.transformers_metrics:READER",
        "vllm_metrics": "gridmargin.engines.vllm_metrics:READER",
        "vllm_steps": "gridmargin.engines.vllm_steps:READER",
    },
)
"""Every reader by name."""

__all__ = [
    "ENGINES",
    "EngineReader",
    "Steps",
    "Streams",
    "Told",
    "ahead_of",
    "join_steps",
    "read_steps",
    "renamed",
    "steps_from",
    "steps_of",
    "steps_of_streams",
    "write_steps",
]
