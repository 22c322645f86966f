"""SGLang by its page of metrics, with `--enable-metrics`: `sglang:realtime_tokens_total`, or what older versions have.

Ranks of one engine tell the same; only rank 0 counts.
"""

from __future__ import annotations

from gridmargin.engines.counters import CounterReader, Metric, Words

_LIVE = "sglang:realtime_tokens_total"

READER = CounterReader(
    name="sglang_metrics",
    source="recorded pages of SGLang's /metrics (--enable-metrics)",
    tells="prompt tokens computed and cached, decoded tokens, decode steps; requests running",
    lacks=(
        "who they are, their context, steps that only read prompts, rejected tokens; decoded tokens move once in"
        " --decode-log-interval steps, and without realtime_tokens_total when a request ends"
    ),
    read_at="python/sglang/srt/observability/metrics_collector.py at 44cedc2b",
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
