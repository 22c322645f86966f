"""The same steps under the ids of a log, or written to a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridmargin.engines import Steps, renamed, steps_of, write_steps
from gridmargin.vocab import InputError

PATTERN = r"(?:chat)?cmpl-(.+)-[0-9a-f]{8}"


def two() -> Steps:
    """Two samples of one request and another, as vLLM names them inside."""
    return steps_of(
        {"start_us": [0, 10], "end_us": [10, 20], "n_active": [3, 2]},
        groups=[("gpu0",)],
        origin="test",
        member_row=[0, 0, 0, 1, 1],
        members={
            "member": [0, 1, 2, 1, 2],
            "member_prefill": [7, 7, 9, 0, 0],
            "member_decode": [0, 0, 0, 1, 1],
        },
        request_ids=["chatcmpl-a-00000001", "chatcmpl-a-0000000f", "cmpl-b-x-deadbeef"],
    )


def test_the_part_that_a_log_knows_is_taken_and_its_samples_are_one() -> None:
    """Tokens in one step are summed; how many were active is not changed."""
    steps = renamed(two(), PATTERN)
    assert steps.request_ids.to_pylist() == ["a", "b-x"]
    assert steps.n_members.tolist() == [2, 2]
    assert steps.n_active.tolist() == [3, 2]
    assert steps.member_prefill.tolist() == [14, 9, 0, 0]
    assert steps.member_decode.tolist() == [0, 0, 1, 1]
    assert steps.prefill_tokens.tolist() == [23, 0]


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("chatcmpl-(.*)-[0-9a-f]{8}", "request id 'cmpl-b-x-deadbeef' does not match"),
        ("(", "cannot be read"),
        (".*", "has no group; put the id in parentheses"),
    ],
)
def test_a_pattern_that_does_not_do_is_refused(pattern: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        renamed(two(), pattern)


def test_steps_are_written_whole_where_a_folder_is(tmp_path: Path) -> None:
    """Nothing is left of what was not written."""
    with pytest.raises(InputError, match=r"steps.csv: steps are written as .parquet or .jsonl"):
        write_steps(two(), tmp_path / "steps.csv")
    with pytest.raises(InputError, match="lies in none that is there"):
        write_steps(two(), tmp_path / "none" / "steps.parquet")
    (tmp_path / "folder.parquet").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        write_steps(two(), tmp_path / "folder.parquet")
    write_steps(two(), tmp_path / "steps.parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.parquet", "steps.parquet"]
