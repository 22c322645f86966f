"""Steps on disk: what is read, and what is refused with its step."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from gridmargin.engines import read_steps
from gridmargin.vocab import GridmarginError, TableError

ROWS = [
    {"start_us": 0, "end_us": 900, "devices": ["g0", "g1"], "requests": [{"request_id": "a", "prefill_tokens": 7}]},
    {
        "start_us": 1000, "end_us": 1900, "devices": ["g0", "g1"], "n_active": 3,
        "requests": [{"request_id": "a", "decode_tokens": 1}, {"request_id": "b", "decode_tokens": 2}],
    },
    {"start_us": 0, "end_us": 500, "devices": ["g2"], "requests": [], "prefill_tokens": 4},
]  # fmt: skip


def written(folder: Path, rows: list[dict], name: str = "steps.jsonl") -> Path:
    path = folder / name
    if path.suffix == ".parquet":
        pl.DataFrame(rows, infer_schema_length=None).write_parquet(path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("name", ["steps.jsonl", "steps.parquet"])
def test_a_file_of_steps_is_read_with_who_took_part(tmp_path: Path, name: str) -> None:
    rows = [
        dict(ROWS[0], n_active=1, prefill_tokens=7),
        dict(ROWS[1], prefill_tokens=0),
        dict(ROWS[2], n_active=0),
    ]
    steps = read_steps(written(tmp_path, rows, name))
    assert steps.groups == (("g0", "g1"), ("g2",))
    assert steps.n_active.tolist() == [1, 3, 0]
    assert steps.n_members.tolist() == [1, 2, 0]
    assert steps.prefill_tokens.tolist() == [7, 0, 4]
    assert steps.member_decode.tolist() == [0, 1, 2]
    assert steps.request_ids.to_pylist() == ["a", "b"]


def test_times_may_be_written_as_times(tmp_path: Path) -> None:
    row = {"start_utc": "2026-01-01T00:00:00.0005Z", "end_utc": "2026-01-01T01:00:00.001+01:00", "devices": "g0",
           "requests": [{"request_id": "a"}]}  # fmt: skip
    steps = read_steps(written(tmp_path, [row]))
    assert (steps.end_us - steps.start_us).tolist() == [500]
    assert steps.groups == (("g0",),)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"end_us": -1}, "steps.jsonl step 1 ends 1001 µs before it starts"),
        ({"start_us": 800}, "steps 0 and 1 of g0\\+g1 overlap by 100 µs"),
        ({"devices": []}, "step 1: no device"),
        ({"requests": [{"request_id": None, "decode_tokens": 1}]}, "step 1: a request without a request_id"),
        ({"requests": [{"request_id": "a"}, {"request_id": "a"}]}, "step 1: request 'a' stands twice"),
        ({"requests": [{"request_id": "a", "tokens": 1}]}, "its records have .*tokens; give request_id"),
        ({"requests": [{"request_id": "a", "decode_tokens": -4}]}, "step 1: decode_tokens of -4 is no count"),
        ({"start_us": None, "start_utc": "2026-01-01 00:00"}, "step 1, column start: no time"),
        ({"n_active": "three"}, "step 1, column n_active: 'three' is no number"),
    ],
)
def test_what_cannot_be_is_refused_with_its_step(tmp_path: Path, change: dict, said: str) -> None:
    rows = [dict(ROWS[0], n_active=1), ROWS[1] | change]
    with pytest.raises(GridmarginError, match=said):
        read_steps(written(tmp_path, rows))


def test_a_time_without_an_offset_is_refused(tmp_path: Path) -> None:
    row = {
        "start_utc": "2026-01-01T00:00:00",
        "end_utc": "2026-01-01T00:00:01Z",
        "devices": "g0",
        "requests": [],
    }
    with pytest.raises(
        GridmarginError, match="step 0, column start_utc: '2026-01-01T00:00:00' has no UTC offset"
    ):
        read_steps(written(tmp_path, [row]))


def test_a_file_that_is_cut_short_or_missing_is_said(tmp_path: Path) -> None:
    whole = written(tmp_path, [ROWS[0]], "steps.parquet")
    whole.write_bytes(whole.read_bytes()[:-20])
    with pytest.raises(TableError, match=r"steps.parquet cannot be read: .*; it may be cut short"):
        read_steps(whole)
    with pytest.raises(GridmarginError, match="no such file"):
        read_steps(tmp_path / "none.parquet")
    with pytest.raises(GridmarginError, match=r"what .csv holds is not known"):
        read_steps(written(tmp_path, [ROWS[0]], "steps.csv"))


def test_what_a_row_does_not_say_is_taken_as_where_no_row_says_it(tmp_path: Path) -> None:
    """One row counts its steps and those who are not known; the other is one step of its members."""
    rows = [ROWS[0], dict(ROWS[1], n_steps=4, decode_tokens=9)]
    steps = read_steps(written(tmp_path, rows))
    assert steps.n_steps.tolist() == [1, 4]
    assert steps.n_active.tolist() == [1, 3]
    assert steps.decode_tokens.tolist() == [0, 9]
