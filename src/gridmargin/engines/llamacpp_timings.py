"""llama.cpp's server by the `timings` of its answers: `prompt_n` computed in `prompt_ms`, `predicted_n` in `predicted_ms`.

An answer ends where it was received; decoding lies before that, and the prompt before decoding.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gridmargin.engines.reader import Groups, Told, group_of
from gridmargin.engines.responses import answers_of
from gridmargin.engines.spans import Spans, reused, steps_of_spans

FIGURES = {
    "prompt_n": True, "prompt_ms": True, "predicted_n": True, "predicted_ms": True,
    "cache_n": False, "draft_n": False, "draft_n_accepted": False,
}  # fmt: skip


class LlamacppTimingsReader:
    """See `EngineReader`."""

    name = "llamacpp_timings"
    source = "recorded answers of llama-server (a JSON line each, with received_utc), or the last chunks of streamed ones"
    tells = "each answered request by id, when its prompt was read and when it decoded; computed, cached, rejected tokens"
    lacks = (
        "single steps: stretches between comings and goings; requests that were not answered; the way from the engine to the"
        " recorder counts as time of the engine"
    )
    read_at = "answers of build b8665 and the README at 3d90f992"

    def read(self, paths: Sequence[Path], groups: Groups) -> Told:
        """Read answers; see `EngineReader`."""
        files = " and ".join(path.name for path in paths)
        frame, notes = answers_of(paths, "timings", FIGURES)
        [group] = group_of(groups, [""], files)
        end_us = frame["received_us"].to_numpy()
        first_us = end_us - np.rint(frame["predicted_ms"].to_numpy() * 1e3).astype(np.int64)
        rejected = (
            frame["draft_n"].fill_null(0).to_numpy() - frame["draft_n_accepted"].fill_null(0).to_numpy()
        )
        spans = Spans(
            request_ids=frame["request_id"].to_list(),
            begin_us=first_us - np.rint(frame["prompt_ms"].to_numpy() * 1e3).astype(np.int64),
            first_us=first_us,
            end_us=end_us,
            prefill_tokens=frame["prompt_n"].to_numpy(),
            cached_tokens=frame["cache_n"].fill_null(0).to_numpy(),
            decode_tokens=np.maximum(frame["predicted_n"].to_numpy() - 1.0, 0.0) + np.maximum(rejected, 0.0),
        )
        return Told(steps_of_spans(spans, group, files), (*notes, *reused(spans.request_ids)))


READER = LlamacppTimingsReader()
