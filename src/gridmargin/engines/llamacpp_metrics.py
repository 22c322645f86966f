"""llama.cpp's server by its page of metrics, with `--metrics`.

`llamacpp:tokens_predicted_total` grows when a slot is released, `llamacpp:n_decode_total` with each call of the model.
"""

from __future__ import annotations

from gridmargin.engines.counters import CounterReader, Metric, Words

READER = CounterReader(
    name="llamacpp_metrics",
    source="recorded pages of llama-server's /metrics (--metrics)",
    tells="steps, prompt tokens computed, generated tokens of ended requests; requests in a slot",
    lacks=(
        "who they are, their context, cached tokens; tokens of a request count when it ends, and its first, which comes out of"
        " the prefill, counts as decoded"
    ),
    read_at="tools/server/README.md at 3d90f992 and server_metrics of tools/server of early 2026",
    words=Words(
        prefill=[Metric("llamacpp:prompt_tokens_total")],
        generated=[Metric("llamacpp:tokens_predicted_total")],
        steps=[Metric("llamacpp:n_decode_total")],
        running=[Metric("llamacpp:requests_processing")],
    ),
)
