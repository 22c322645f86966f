"""What an entry's hash is taken over, written out by hand: whoever audits next year must come to the same words."""

import hashlib

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.ledger.rows import HASHED, hashes, number_text

WORDS = {
    0.0: "0.0", 0.1: "0.1", 500.0: "500.0", 412.8571428571429: "412.8571428571429", 0.00012345: "0.00012345",
    6.767617548646365e-06: "6.767617548646365e-6", 1.7472538304250623e-05: "0.000017472538304250623",
    1e15: "1000000000000000.0", 1e16: "1e+16",
}  # fmt: skip
"""Shortest decimals, plain from 1e-5 to below 1e16."""


@pytest.mark.parametrize("number", WORDS)
def test_the_words_of_a_number_do_not_change_with_the_library(number):
    row = dict.fromkeys(HASHED, "x") | {"start_s": 1594836000, "interval_s": 900, "fit_id": None}
    row |= {f"{end}_gco2_per_kwh": number for end in ("low", "mid", "high")}
    frame = pl.DataFrame({name: [value] for name, value in row.items()}).with_columns(
        pl.lit(None, dtype=pl.Int64).alias("issued_us"), pl.lit("ercot").alias("source"),
        pl.lit(None, dtype=pl.String).alias("fit_id"),
    )  # fmt: skip
    said = ["x", "1594836000", "900", *"xxxxxx", *[WORDS[number]] * 3, *"xxxx", "", "x", "ercot"]
    assert len(said) == len(HASHED) + 1
    assert hashes(frame) == [hashlib.sha256("\x1f".join(said).encode()).hexdigest()]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_reads_back_from_its_words_and_has_the_words_that_earlier_entries_were_hashed_by(number):
    """Until now the words were Polars': nothing that stands in a ledger has another hash for it."""
    words = number_text(number)
    assert float(words) == number
    assert words == pl.Series([number]).cast(pl.String)[0]
