"""What serving engines said they did: step by step, with who was active.

Comes in: an engine's own records, its counters, or the arrival times of streamed chunks. Goes out: `Steps`. Touches
step files on disk; who asks an engine passes in what it answered.
"""

from gridmargin.engines.step_file import read_steps, steps_from
from gridmargin.engines.steps import Steps, join_steps, steps_of
from gridmargin.engines.streamed import Streams, steps_of_streams

__all__ = ["Steps", "Streams", "join_steps", "read_steps", "steps_from", "steps_of", "steps_of_streams"]
