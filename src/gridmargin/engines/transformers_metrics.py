"""`transformers serve` with continuous batching, by a collector's page of what it sends by OpenTelemetry.

A collector writes the unit behind the name or not, as it is told: both spellings are read.
"""

from __future__ import annotations

from gridmargin.engines.counters import CounterReader, Metric, Words

READER = CounterReader(
    name="transformers_metrics",
    source="recorded pages of a collector that transformers serve --continuous-batching sends to",
    tells="steps, prompt tokens computed, decoded tokens; requests active",
    lacks="who they are, their context, cached tokens; anything at all without opentelemetry beside transformers, or in 5.24",
    read_at="utils/metrics.py of transformers 4.57.1; 5.24.0 has none",
    words=Words(
        prefill=[Metric("prefill_tokens_processed_tokens_total"), Metric("prefill_tokens_processed_total")],
        decode=[Metric("decode_tokens_processed_tokens_total"), Metric("decode_tokens_processed_total")],
        steps=[
            Metric("batch_fill_percentage_percent_count"),
            Metric("batch_fill_percentage_percentage_count"),
            Metric("batch_fill_percentage_count"),
        ],
        running=[Metric("active_requests_count_requests"), Metric("active_requests_count")],
    ),
)
