"""Text Generation Inference by its page of metrics.

`tgi_request_input_length` is observed when a request is accepted, `tgi_request_generated_tokens` when it has ended.
"""

from __future__ import annotations

from gridmargin.engines.counters import CounterReader, Metric, Words

READER = CounterReader(
    name="tgi_metrics",
    source="recorded pages of TGI's /metrics",
    tells="steps, prompt tokens, decoded tokens of ended requests; the size of the batch",
    lacks=(
        "who they are, their context, cached tokens (prompts count in full), rejected tokens; tokens of a request count when"
        " it ends, those of one that fails never"
    ),
    read_at="docs/source/reference/metrics.md at 53fdbe61",
    words=Words(
        prefill=[Metric("tgi_request_input_length_sum")],
        generated=[Metric("tgi_request_generated_tokens_sum")],
        first=[Metric("tgi_request_generated_tokens_count")],
        steps=[Metric("tgi_batch_inference_count")],
        running=[Metric("tgi_batch_current_size")],
    ),
)
