"""Spans: tokens are kept whatever overlaps, and one who is alone has the stretch alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.engines import Steps
from gridmargin.engines.spans import Spans, steps_of_spans
from gridmargin.vocab import InputError


def spans(rows: list[tuple[str, int, int, int, float, float, float]]) -> Spans:
    ids, begin, first, end, prefill, cached, decode = zip(*rows, strict=True) if rows else [()] * 7
    times = (np.array(column, np.int64) for column in (begin, first, end))
    return Spans(list(ids), *times, *(np.array(c, np.float64) for c in (prefill, cached, decode)))


def put_together(rows: list) -> Steps:
    return steps_of_spans(spans(rows), ["gpu0"], "test")


ONE = st.tuples(
    st.sampled_from("abcdef"), st.integers(0, 500), st.integers(-1, 200), st.integers(0, 300),
    st.integers(0, 900), st.integers(0, 300), st.integers(0, 90),
).map(lambda t: (t[0], t[1], -1 if t[2] < 0 else t[1] + t[2], t[1] + max(t[2], 0) + t[3], *t[4:]))  # fmt: skip


@given(st.lists(ONE, max_size=25))
def test_every_token_is_in_a_step_of_its_request(rows: list) -> None:
    """However they overlap, and however short they are."""
    steps = put_together(rows)
    for name in {row[0] for row in rows}:
        mine = steps.member == steps.request_ids.to_pylist().index(name)
        own = [row for row in rows if row[0] == name]
        for column, at in ((steps.member_prefill, 4), (steps.member_cached, 5), (steps.member_decode, 6)):
            assert column[mine].sum() == pytest.approx(sum(row[at] for row in own), abs=1e-6)
    assert (steps.end_us > steps.start_us).all()
    assert (steps.start_us[1:] >= steps.end_us[:-1]).all()


def test_a_stretch_has_as_many_steps_as_its_fastest_request_has_tokens() -> None:
    """Two that decode together share the steps; a prompt alone is one."""
    steps = put_together(
        [("a", 0, 1_000_000, 3_000_000, 400, 0, 40), ("b", 1_000_000, 1_500_000, 2_000_000, 20, 0, 10)]
    )
    assert (steps.start_us / 1e6).tolist() == [0, 1, 1.5, 2]
    assert steps.n_steps.tolist() == [1, 10, 10, 20]
    assert steps.n_active.tolist() == [1, 2, 2, 1]
    assert steps.decode_tokens.tolist() == [0, 10, 20, 20]


def test_where_nobody_says_when_the_first_token_came_both_are_spread() -> None:
    steps = put_together([("a", 0, -1, 400, 400, 100, 40), ("b", 100, 100, 200, 0, 0, 1)])
    assert steps.prefill_tokens.tolist() == [100, 100, 200]
    assert steps.decode_tokens.tolist() == [10, 11, 20]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("a", 5, -1, 4, 1, 0, 1), "request 'a' ends 1 µs before it begins"),
        (("a", 5, 3, 9, 1, 0, 1), "'a' has its first token 2 µs before it begins"),
        (("a", 5, 10, 9, 1, 0, 1), "'a' has its first token after its end"),
        (("a", 5, 6, 9, -1, 0, 1), "prefill_tokens of -1 is no count"),
    ],
)
def test_what_cannot_be_is_refused_with_its_request(row: tuple, said: str) -> None:
    with pytest.raises(InputError, match=said):
        put_together([row])
