"""Steps: columns in, one checked record out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.engines import Steps, join_steps, steps_of
from gridmargin.vocab import InputError


def three() -> Steps:
    """Rows out of order, two devices that step together, and one alone."""
    return steps_of(
        {"start_us": [20, 0, 10], "end_us": [30, 10, 20], "group": [0, 0, 1]},
        groups=[("gpu0", "gpu1"), ("gpu2",)],
        origin="test",
        member_row=[0, 1, 1, 2],
        members={"member": [0, 0, 1, 2], "member_prefill": [0, 5, 0, 7], "member_decode": [1, 0, 1, 0]},
        request_ids=["a", "b", "c"],
    )


def test_rows_lie_by_group_and_start_with_their_own_members() -> None:
    steps = three()
    assert steps.start_us.tolist() == [0, 20, 10]
    assert [steps.request_ids[int(i)].as_py() for i in steps.member] == ["a", "b", "a", "c"]
    assert steps.member_prefill.tolist() == [5, 0, 0, 7]


def test_tokens_that_are_not_given_are_the_sums_over_the_members() -> None:
    steps = three()
    assert steps.prefill_tokens.tolist() == [5, 0, 7]
    assert steps.decode_tokens.tolist() == [1, 1, 0]
    assert steps.n_active.tolist() == [2, 1, 1]
    assert np.isnan(steps.context_tokens).all()


@pytest.mark.parametrize(
    ("columns", "members", "said"),
    [
        ({"start_us": [5], "end_us": [4]}, [], "step 0 ends 1 µs before it starts"),
        ({"start_us": [0, 5], "end_us": [8, 9]}, [], "steps 0 and 1 of gpu0 overlap by 3 µs"),
        ({"start_us": [0], "end_us": [6], "decode_tokens": [-1]}, [], "step 0: decode_tokens of -1 is no count"),
        ({"start_us": [0], "end_us": [6], "work_units": [-0.5]}, [], "work_units of -0.5 is no count"),
        ({"start_us": [0, 6], "end_us": [6, 9]}, [(1, 0), (1, 0)], "step 1: request 'a' stands twice"),
        ({"start_us": [0], "end_us": [6, 7]}, [], "end_us has 2 values for 1 steps"),
        ({"start_us": [0], "end_us": [6], "tokens": [1]}, [], "no step has tokens"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_its_row(
    columns: dict[str, list[float]], members: list[tuple[int, int]], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        steps_of(
            columns,
            groups=[("gpu0",)],
            origin="test",
            member_row=[row for row, _ in members],
            members={"member": [who for _, who in members]},
            request_ids=["a"],
        )


def test_an_overlap_of_rounded_times_is_closed() -> None:
    steps = steps_of({"start_us": [0, 5], "end_us": [6, 9]}, groups=[("gpu0",)], origin="test")
    assert steps.start_us.tolist() == [0, 6]


def test_steps_of_two_engines_join_without_mixing_their_requests() -> None:
    other = steps_of(
        {"start_us": [40], "end_us": [50]},
        groups=[("gpu2",)],
        origin="other",
        member_row=[0, 0],
        members={"member": [0, 1], "member_decode": [1, 1]},
        request_ids=["c", "d"],
    )
    whole = join_steps([three(), other])
    assert whole.origin == "test and other"
    assert whole.groups == (("gpu0", "gpu1"), ("gpu2",))
    of_last = whole.take(np.array([3]))
    assert [of_last.request_ids[int(i)].as_py() for i in of_last.member] == ["c", "d"]
    assert whole.groups[of_last.group[0]] == ("gpu2",)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4), st.integers(0, 3)), max_size=30))
def test_taking_rows_keeps_each_rows_members(triples: list[tuple[int, int, int]]) -> None:
    """Every row taken has the members that it had, in any order of rows."""
    unique = list({(row, who): tokens for row, who, tokens in triples}.items())
    steps = steps_of(
        {"start_us": np.arange(10) * 10, "end_us": np.arange(10) * 10 + 10},
        groups=[("gpu0",)],
        origin="test",
        member_row=[row for (row, _), _ in unique],
        members={"member": [who for (_, who), _ in unique], "member_decode": [n for _, n in unique]},
        request_ids=["a", "b", "c", "d", "e"],
    )
    back = steps.take(np.arange(9, -1, -1))
    for row in range(10):
        had = sorted((who, n) for (at, who), n in unique if at == 9 - row)
        lies = slice(back.first_member[row], back.first_member[row + 1])
        assert sorted(zip(back.member[lies].tolist(), back.member_decode[lies].tolist(), strict=True)) == had
