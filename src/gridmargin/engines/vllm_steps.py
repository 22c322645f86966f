"""vLLM by what its scheduler wrote step by step, with ids: files of the plug-in in `interfaces/vllm_plugin.py`."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import polars as pl

from gridmargin.engines.reader import Groups, Told, lines_of
from gridmargin.engines.step_file import steps_from
from gridmargin.engines.steps import Steps, join_steps
from gridmargin.vocab import InputError, TableError


class VllmStepsReader:
    """See `EngineReader`."""

    name = "vllm_steps"
    source = "files that gridmargin's vLLM scheduler writes (--scheduler-cls gridmargin.interfaces.vllm_plugin.StepScheduler)"
    tells = "each step, who took part with how many tokens computed, cached and decoded, rejected drafts among them; context"
    lacks = "the parts of a request that is recomputed after preemption count as prompt; steps of an encoder alone"
    read_at = "vllm 0.33.0, and v1/core/sched/scheduler.py at 00024d31, output.py at 00e8f1fd"

    def read(self, paths: Sequence[Path], groups: Groups) -> Told:
        """Read files; see `EngineReader`. A last line that is cut short, as by a kill, is left out and said.

        Raises
        ------
        InputError
            If devices are given: the files name theirs.
        """
        if groups:
            raise InputError("files of vLLM's steps name their devices; leave the devices out")
        parts: list[Steps] = []
        notes: list[str] = []
        for path in paths:
            lines, cut = lines_of(path)
            notes += cut
            if not any(line.strip() for line in lines):
                raise InputError(f"{path.name} has no whole line; let the engine write a step first")
            try:
                frame = pl.read_ndjson(BytesIO("\n".join(lines).encode()), infer_schema_length=None)
            except pl.exceptions.PolarsError as error:
                raise TableError(
                    f"{path.name} cannot be read: {str(error).splitlines()[0]}; give a JSON line a step"
                ) from None
            parts.append(steps_from(frame, path.name))
        return Told(join_steps(parts), tuple(notes))


READER = VllmStepsReader()
