"""SGLang by its page of metrics, with `--enable-metrics`: `sglang:realtime_tokens_total`, or what older versions have.

Ranks of one engine tell the same; only rank 0 counts.
"""

from __future__ import annotations

from gridmargin.engines.counters import CounterReader, Metric, Words

_LIVE = "sglang:realtime_tokens_total"

READER = CounterReader(
    name="sglang_metrics",
    source="recorded pages of SGLang's /metrics (--enable-metrics)",
    tells="prompt tokens computed and cached, decoded tokens, steps; requests running",
    lacks=(
        "who they are, their context, rejected tokens; older versions count decoded tokens once in --decode-log-interval steps"
        " or when a request ends, and no steps that only read prompts"
    ),
    read_at="sglang 0.5.23, and metrics_collector.py of its observability at 44cedc2b",
    words=Words(
        prefill=[Metric(_LIVE, {"mode": ("prefill_compute",)})],
        prompt=[Metric("sglang:prompt_tokens_total")],
        cached=[Metric(_LIVE, {"mode": ("prefill_cache",)}), Metric("sglang:cached_tokens_total")],
        decode=[Metric(_LIVE, {"mode": ("decode",)})],
        generated=[Metric("sglang:generation_tokens_total")],
        first=[Metric("sglang:time_to_first_token_seconds_count")],
        steps=[Metric("sglang:cuda_graph_passes_total")],
        running=[Metric("sglang:num_running_reqs")],
        engines=("dp_rank",),
        ranks=("tp_rank", "pp_rank", "moe_ep_rank"),
    ),
)
