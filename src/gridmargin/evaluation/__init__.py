"""How right the estimates are, one score per reference; nothing on the production path imports this.

Comes in: a folder of data as its publishers wrote it. Goes out: one report per task, in the shape of
`gridmargin.evaluation.scores.report`.
"""

from typing import Any, Protocol

from gridmargin.evaluation.ask import Ask
from gridmargin.vocab import Registry


class Task(Protocol):
    """One backtest: a question in, one report out, in the shape of `scores.report`."""

    def __call__(self, ask: Ask) -> dict[str, Any]:
        """Run it.

        Raises
        ------
        InputError
            If the question asks for what the task or the data do not have.
        """
        ...


TASKS: Registry[Task] = Registry(
    "backtest",
    "gridmargin.backtests",
    {
        "avert": "gridmargin.evaluation.avert:run",
        "batch-energy": "gridmargin.evaluation.batch_energy:run",
        "borders": "gridmargin.evaluation.borders:run",
        "caiso-moer": "gridmargin.evaluation.caiso_moer:run",
        "de": "gridmargin.evaluation.de:run",
        "commitment": "gridmargin.evaluation.commitment:run",
        "eia930": "gridmargin.evaluation.eia930:run",
        "engine-steps": "gridmargin.evaluation.engine_steps:run",
        "ercot": "gridmargin.evaluation.ercot:run",
        "gpu-sensor": "gridmargin.evaluation.gpu_sensor:run",
        "isone-flag": "gridmargin.evaluation.isone_flag:run",
        "modifiers": "gridmargin.evaluation.modifiers:run",
        "nem": "gridmargin.evaluation.nem:run",
        "published-rate": "gridmargin.evaluation.published_rate:run",
        "quality": "gridmargin.evaluation.quality:run",
        "rts": "gridmargin.evaluation.rts:run",
        "wall": "gridmargin.evaluation.wall:run",
    },
)

__all__ = ["TASKS", "Ask", "Task"]
