"""Pages of metrics as each engine writes them, filled with totals that a test chooses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

T0 = datetime(2026, 7, 15, 18, 14, tzinfo=UTC)

ZERO = dict.fromkeys(("prompt", "cached", "generated", "first", "drafted", "accepted", "steps", "running"), 0)

# vLLM 0.10, vllm/v1/metrics/loggers.py: prometheus_client writes counters with _total and their birth with _created.
VLLM = """\
# HELP python_info Python platform information.
# TYPE python_info gauge
python_info{{implementation="CPython",major="3",minor="12",patchlevel="11",version="3.12.11"}} 1.0
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{{engine="0",model_name="meta-llama/Llama-3.1-8B"}} {running}.0
# HELP vllm:num_requests_waiting Number of requests waiting to be processed.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{{engine="0",model_name="meta-llama/Llama-3.1-8B"}} 7.0
# HELP vllm:prefix_cache_queries_total Prefix cache queries, in terms of number of queried tokens.
# TYPE vllm:prefix_cache_queries_total counter
vllm:prefix_cache_queries_total{{engine="0",model_name="meta-llama/Llama-3.1-8B"}} {prompt}.0
# HELP vllm:prefix_cache_hits_total Prefix cache hits, in terms of number of cached tokens.
# TYPE vllm:prefix_cache_hits_total counter
vllm:prefix_cache_hits_total{{engine="0",model_name="meta-llama/Llama-3.1-8B"}} {cached}.0
# HELP vllm:prompt_tokens_total Number of prefill tokens processed.
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{{engine="0",model_name="meta-llama/Llama-3.1-8B"}} {prompt}.0
# HELP vllm:prompt_tokens_created Number of prefill tokens processed.
# TYPE vllm:prompt_tokens_created gauge
vllm:prompt_tokens_created{{engine="0",model_name="meta-llama/Llama-3.1-8B"}} 1.7841384e+09
# HELP vllm:generation_tokens_total Number of generation tokens processed.
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{{engine="0",model_name="meta-llama/Llama-3.1-8B"}} {generated}.0
# HELP vllm:spec_decode_num_draft_tokens_total Number of draft tokens.
# TYPE vllm:spec_decode_num_draft_tokens_total counter
vllm:spec_decode_num_draft_tokens_total{{engine="0",model_name="meta-llama/Llama-3.1-8B"}} {drafted}.0
# HELP vllm:spec_decode_num_accepted_tokens_total Number of accepted tokens.
# TYPE vllm:spec_decode_num_accepted_tokens_total counter
vllm:spec_decode_num_accepted_tokens_total{{engine="0",model_name="meta-llama/Llama-3.1-8B"}} {accepted}.0
# HELP vllm:iteration_tokens_total Histogram of number of tokens per engine_step.
# TYPE vllm:iteration_tokens_total histogram
vllm:iteration_tokens_total_bucket{{engine="0",le="1.0",model_name="meta-llama/Llama-3.1-8B"}} 0.0
vllm:iteration_tokens_total_bucket{{engine="0",le="+Inf",model_name="meta-llama/Llama-3.1-8B"}} {steps}.0
vllm:iteration_tokens_total_count{{engine="0",model_name="meta-llama/Llama-3.1-8B"}} {steps}.0
vllm:iteration_tokens_total_sum{{engine="0",model_name="meta-llama/Llama-3.1-8B"}} 99999.0
# HELP vllm:time_to_first_token_seconds Histogram of time to first token in seconds.
# TYPE vllm:time_to_first_token_seconds histogram
vllm:time_to_first_token_seconds_bucket{{engine="0",le="+Inf",model_name="meta-llama/Llama-3.1-8B"}} {first}.0
vllm:time_to_first_token_seconds_count{{engine="0",model_name="meta-llama/Llama-3.1-8B"}} {first}.0
vllm:time_to_first_token_seconds_sum{{engine="0",model_name="meta-llama/Llama-3.1-8B"}} 1.25
"""

# SGLang 0.5.23, with --enable-metrics: rank 1 says what rank 0 says.
SGLANG = """\
# HELP sglang:num_running_reqs The number of running requests.
# TYPE sglang:num_running_reqs gauge
sglang:num_running_reqs{{engine_type="unified",model_name="m",moe_ep_rank="0",pp_rank="0",tp_rank="0"}} {running}.0
sglang:num_running_reqs{{engine_type="unified",model_name="m",moe_ep_rank="0",pp_rank="0",tp_rank="1"}} {running}.0
# HELP sglang:realtime_tokens_total Total number of tokens processed (updated on each log interval). mode: prefill_compute, prefill_cache, decode.
# TYPE sglang:realtime_tokens_total counter
sglang:realtime_tokens_total{{engine_type="unified",mode="prefill_compute",model_name="m",moe_ep_rank="0",pp_rank="0",tp_rank="0"}} {computed}.0
sglang:realtime_tokens_total{{engine_type="unified",mode="prefill_cache",model_name="m",moe_ep_rank="0",pp_rank="0",tp_rank="0"}} {cached}.0
sglang:realtime_tokens_total{{engine_type="unified",mode="decode",model_name="m",moe_ep_rank="0",pp_rank="0",tp_rank="0"}} {decoded}.0
sglang:realtime_tokens_total{{engine_type="unified",mode="decode",model_name="m",moe_ep_rank="0",pp_rank="0",tp_rank="1"}} {decoded}.0
# HELP sglang:cuda_graph_passes_total Total number of forward passes categorized by CUDA graph.
# TYPE sglang:cuda_graph_passes_total counter
sglang:cuda_graph_passes_total{{engine_type="unified",mode="decode_cuda_graph",model_name="m",moe_ep_rank="0",pp_rank="0",tp_rank="0"}} {steps}.0
# HELP sglang:prompt_tokens_total Number of prefill tokens processed.
# TYPE sglang:prompt_tokens_total counter
sglang:prompt_tokens_total{{model_name="m"}} 1.0
# HELP sglang:generation_tokens_total Number of generation tokens processed.
# TYPE sglang:generation_tokens_total counter
sglang:generation_tokens_total{{model_name="m"}} 1.0
"""

# TGI 3, docs/source/reference/metrics.md at 53fdbe61; the exporter writes neither HELP nor _created, and whole numbers.
TGI = """\
# TYPE tgi_request_count counter
tgi_request_count {first}

# TYPE tgi_batch_inference_count counter
tgi_batch_inference_count{{method="prefill"}} {first}
tgi_batch_inference_count{{method="decode"}} {decode_steps}

# TYPE tgi_batch_current_size gauge
tgi_batch_current_size {running}

# TYPE tgi_request_input_length histogram
tgi_request_input_length_bucket{{le="64"}} 0
tgi_request_input_length_bucket{{le="+Inf"}} {first}
tgi_request_input_length_sum {prompt}
tgi_request_input_length_count {first}

# TYPE tgi_request_generated_tokens histogram
tgi_request_generated_tokens_bucket{{le="+Inf"}} {first}
tgi_request_generated_tokens_sum {generated}
tgi_request_generated_tokens_count {first}
"""

# llama-server, README at 3d90f992, with --metrics: no labels, no units.
LLAMACPP = """\
# HELP llamacpp:prompt_tokens_total Number of prompt tokens processed.
# TYPE llamacpp:prompt_tokens_total counter
llamacpp:prompt_tokens_total {computed}
# HELP llamacpp:prompt_seconds_total Prompt process time
# TYPE llamacpp:prompt_seconds_total counter
llamacpp:prompt_seconds_total 13.636
# HELP llamacpp:tokens_predicted_total Number of generation tokens processed.
# TYPE llamacpp:tokens_predicted_total counter
llamacpp:tokens_predicted_total {generated}
# HELP llamacpp:n_decode_total Total number of llama_decode() calls
# TYPE llamacpp:n_decode_total counter
llamacpp:n_decode_total {steps}
# HELP llamacpp:n_busy_slots_per_decode Average number of busy slots per llama_decode() call
# TYPE llamacpp:n_busy_slots_per_decode counter
llamacpp:n_busy_slots_per_decode 1.25
# HELP llamacpp:requests_processing Number of requests processing.
# TYPE llamacpp:requests_processing gauge
llamacpp:requests_processing {running}
"""

# transformers 4.57.1, utils/metrics.py, as an OpenTelemetry collector shows it.
TRANSFORMERS = """\
# HELP active_requests_count_requests Number of active requests currently being processed
# TYPE active_requests_count_requests gauge
active_requests_count_requests{{job="transformers"}} {running}
# HELP prefill_tokens_processed_tokens_total Number of prefill tokens processed
# TYPE prefill_tokens_processed_tokens_total counter
prefill_tokens_processed_tokens_total{{job="transformers"}} {computed}
# HELP decode_tokens_processed_tokens_total Number of decode tokens processed
# TYPE decode_tokens_processed_tokens_total counter
decode_tokens_processed_tokens_total{{job="transformers"}} {decoded}
# HELP batch_fill_percentage_percent Percentage of max_batch_tokens utilized in each batch
# TYPE batch_fill_percentage_percent histogram
batch_fill_percentage_percent_bucket{{job="transformers",le="+Inf"}} {steps}
batch_fill_percentage_percent_sum{{job="transformers"}} 512.5
batch_fill_percentage_percent_count{{job="transformers"}} {steps}
"""


def page(template: str, totals: Mapping[str, int]) -> str:
    """Fill a template; what an engine sums up in its own way is worked out here."""
    whole = ZERO | dict(totals)
    return template.format(
        **whole,
        computed=whole["prompt"] - whole["cached"],
        decoded=whole["generated"] - whole["first"],
        decode_steps=whole["steps"] - whole["first"],
    )


def recorded(template: str, scrapes: Sequence[tuple[float, Mapping[str, int] | None]]) -> str:
    """Write scrapes under their stamps; None is a scrape that failed."""
    return "".join(
        f"# time_utc {(T0 + timedelta(seconds=s)).isoformat()}\n{'' if totals is None else page(template, totals)}"
        for s, totals in scrapes
    )


def added(increments: Sequence[tuple[float, Mapping[str, int]]]) -> list[tuple[float, dict[str, int]]]:
    """Give the totals after each increment; `running` is as it is then."""
    so_far, out = dict(ZERO), []
    for s, gained in increments:
        so_far = {k: gained.get(k, 0) + (0 if k == "running" else so_far[k]) for k in so_far}
        out.append((s, so_far))
    return out


Expected = Callable[[Mapping[str, int]], tuple[float, float, float, float]]

# What each makes of the same totals: prefill, cached, decoded tokens, steps.
TOLD: dict[str, tuple[str, Expected]] = {
    "vllm_metrics": (
        VLLM,
        lambda t: (
            t["prompt"] - t["cached"],
            t["cached"],
            t["generated"] - t["first"] + t["drafted"] - t["accepted"],
            t["steps"],
        ),
    ),
    "sglang_metrics": (
        SGLANG,
        lambda t: (t["prompt"] - t["cached"], t["cached"], t["generated"] - t["first"], t["steps"]),
    ),
    "tgi_metrics": (TGI, lambda t: (t["prompt"], 0, t["generated"] - t["first"], t["steps"])),
    "llamacpp_metrics": (LLAMACPP, lambda t: (t["prompt"] - t["cached"], 0, t["generated"], t["steps"])),
    "transformers_metrics": (
        TRANSFORMERS,
        lambda t: (t["prompt"] - t["cached"], 0, t["generated"] - t["first"], t["steps"]),
    ),
}
