"""vLLM by its page of metrics: names of V1, of V1 before 0.9, and of V0.

`vllm:prompt_tokens_total` grows by a whole prompt, cached tokens included, when its first token comes;
`vllm:iteration_tokens_total` is observed once a step.
"""

from __future__ import annotations

from gridmargin.engines.counters import CounterReader, Metric, Words

_BY_SOURCE = "vllm:prompt_tokens_by_source_total"

READER = CounterReader(
    name="vllm_metrics",
    source="recorded pages of vLLM's /metrics",
    tells="steps; prompt tokens computed and cached, decoded and rejected tokens; requests running",
    lacks="who they are, and their context; a prompt read in chunks counts when it is done",
    read_at="vllm 0.33.0, loggers.py of its v1/metrics at 005a810b and stats.py at 28ed1fb8",
    words=Words(
        prefill=[Metric(_BY_SOURCE, {"source": ("local_compute",)})],
        prompt=[Metric("vllm:prompt_tokens_total")],
        cached=[
            Metric(_BY_SOURCE, {"source": ("local_cache_hit", "external_kv_transfer")}),
            Metric("vllm:prefix_cache_hits_total"),
            Metric("vllm:gpu_prefix_cache_hits_total"),
        ],
        generated=[Metric("vllm:generation_tokens_total")],
        first=[Metric("vllm:time_to_first_token_seconds_count")],
        drafted=[Metric("vllm:spec_decode_num_draft_tokens_total")],
        accepted=[Metric("vllm:spec_decode_num_accepted_tokens_total")],
        steps=[Metric("vllm:iteration_tokens_total_count")],
        running=[Metric("vllm:num_requests_running")],
        engines=("engine",),
    ),
)
