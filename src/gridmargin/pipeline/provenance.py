"""What stands behind a state: the payloads that it was read from, its conditions, and what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

import polars as pl

from gridmargin.grid import GridStates, faults_of
from gridmargin.marginal import Estimates, Fit
from gridmargin.sources import Observations
from gridmargin.vocab import FOSSIL, Fuel, generation_column


def lineage_of(states: GridStates, observations: Observations) -> pl.DataFrame:
    """Give what is behind each state.

    Returns
    -------
    polars.DataFrame
        Per state: `start_s`, `payloads` (JSON list of hashes), `conditions` (JSON object, with what is wrong with the
        state under `faults` where anything is).
    """
    behind = (
        observations.frame.lazy()
        .group_by("start_utc")
        .agg(pl.col("payload_sha256").unique().sort())
        .select("start_utc", _as_json("payload_sha256"))
        .collect()
    )
    total = [generation_column(f) for f in states.fuels]
    fossil = [generation_column(f) for f in states.fuels if f in FOSSIL]
    weather = [generation_column(f) for f in states.fuels if f in {Fuel.WIND, Fuel.SOLAR}]
    frame = states.frame.select(
        (pl.col("start_utc").to_physical() // 1_000_000).alias("start_s"),
        "start_utc",
        pl.format(
            '{{"generation_mw":{},"fossil_mw":{},"wind_solar_mw":{},"completeness_frac":{}}}',
            *(_sum_text(columns) for columns in (total, fossil, weather)),
            pl.col("completeness_frac").round(4).cast(pl.String),
        ).alias("conditions"),
    )
    told = frame.join(_faults(states), on="start_utc", how="left", maintain_order="left").with_columns(
        pl.when(pl.col("faults").is_null())
        .then(pl.col("conditions"))
        .otherwise(pl.col("conditions").str.head(-1) + pl.lit(',"faults":') + pl.col("faults") + pl.lit("}"))
    )
    return told.join(behind, on="start_utc", how="left", maintain_order="left").drop("start_utc", "faults")


def payloads_and_conditions(estimates: Estimates, lineage: pl.DataFrame) -> tuple[list[str], list[str]]:
    """Give what the book keeps beside each estimate, from what `lineage_of` tells."""
    behind = pl.DataFrame({"start_s": estimates.start_epoch_s}).join(
        lineage, on="start_s", how="left", maintain_order="left"
    )
    return behind["payloads"].to_list(), behind["conditions"].to_list()


def payloads_in(lineage: pl.DataFrame, fit: Fit) -> list[str]:
    """Give the hashes of the payloads behind the states that a fit saw, sorted."""
    start, end = (int(moment.timestamp()) for moment in (fit.train_start_utc, fit.train_end_utc))
    seen = lineage.filter(pl.col("start_s").is_between(start, end, closed="left"))["payloads"].unique()
    return sorted({digest for text in seen for digest in json.loads(text)} - set(fit.payload_sha256s))


def looking_back(lineage: pl.DataFrame, span: timedelta) -> pl.DataFrame:
    """Give each interval the payloads of a while before it too."""
    span_s = int(span.total_seconds())
    kinds = lineage.with_columns(pl.col("payloads").str.json_decode(pl.List(pl.String)).alias("each")).sort(
        "start_s"
    )
    behind = kinds.rolling("start_s", period=f"{span_s + 1}i").agg(pl.col("each").explode().unique().sort())
    texts = behind.select("start_s", _as_json("each"))
    return texts.join(
        lineage.select("start_s", "conditions"), on="start_s", how="left", maintain_order="left"
    )


def together(lineages: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Give each interval the payloads of several zones' states, and the conditions of the first."""
    if len(lineages) == 1:
        return lineages[0]
    lists = pl.col("payloads").str.json_decode(pl.List(pl.String))
    every = pl.concat([part.select("start_s", lists) for part in lineages]).explode("payloads")
    joined = every.group_by("start_s").agg(pl.col("payloads").unique().sort())
    texts = joined.select("start_s", _as_json("payloads"))
    return lineages[0].drop("payloads").join(texts, on="start_s", how="left", maintain_order="left")


def _faults(states: GridStates) -> pl.DataFrame:
    """Give what is wrong with each state that has something wrong, as a JSON list of sentences."""
    found: dict[datetime, list[str]] = {}
    for fault in faults_of(states):
        found.setdefault(fault.start_utc, []).append(f"{fault.kind.value}: {fault.message}")
    return pl.DataFrame(
        {
            "start_utc": list(found),
            "faults": [json.dumps(told, ensure_ascii=False) for told in found.values()],
        },
        schema={"start_utc": pl.Datetime("us", "UTC"), "faults": pl.String},
    )


def _as_json(column: str) -> pl.Expr:
    """Write a list of hashes as JSON; they hold nothing to be escaped."""
    return pl.format('["{}"]', pl.col(column).list.join('","')).alias("payloads")


def _sum_text(columns: list[str]) -> pl.Expr:
    if not columns:
        return pl.lit("null")
    return pl.sum_horizontal(columns, ignore_nulls=False).round(1).cast(pl.String).fill_null("null")
