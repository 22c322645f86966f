"""What must hold of every reader of an engine's words: whatever happens to the record, nothing is invented."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from engines.pages import T0, TOLD, ZERO, added, recorded
from gridmargin.engines import ENGINES, Steps, Told, ahead_of, read_steps, write_steps
from gridmargin.vocab import GridmarginError

T0_US = int(T0.timestamp()) * 1_000_000

# Five scrapes 5 s apart: busy, busy, idle, busy.
BUSY = added(
    [
        (0, {"prompt": 900, "cached": 128, "generated": 300, "first": 5, "steps": 210, "running": 2}),
        (5, {"prompt": 400, "cached": 64, "generated": 61, "first": 2, "drafted": 9, "accepted": 4, "steps": 41,
             "running": 3}),
        (10, {"prompt": 20, "generated": 90, "first": 1, "drafted": 6, "accepted": 6, "steps": 50, "running": 0}),
        (15, {"running": 0}),
        (20, {"prompt": 77, "cached": 16, "generated": 10, "first": 1, "steps": 9, "running": 1}),
    ]
)  # fmt: skip


@dataclass(frozen=True)
class Served:
    """One request as an engine that names them would record it, in seconds after T0."""

    name: str
    begin_s: float
    read_s: float
    end_s: float
    prefill: int
    cached: int
    generated: int


# Two that overlap, an idle second, and one alone.
SERVED = [
    Served("a", 0.0, 0.5, 3.0, 400, 64, 40),
    Served("b", 1.0, 1.25, 2.0, 20, 0, 11),
    Served("c", 4.0, 4.5, 6.0, 77, 16, 10),
]


def counted(name: str, folder: Path, scrapes: list) -> Path:
    path = folder / "pages.txt"
    path.write_text(recorded(TOLD[name][0], scrapes))
    return path


def log_of(served: list[Served]) -> str:
    """Lines as SGLang writes them, between those of its batches."""
    lines = [
        "[2026-07-15 20:14:00 TP0] Prefill batch, #new-seq: 1, #new-token: 400, #cached-token: 64, token usage: 0.00, "
        "#running-req: 0, #queue-req: 0, input throughput (token/s): 7.29, cuda graph: False"
    ]
    for one in served:
        entry_s = T0_US / 1e6 + one.begin_s - 0.002
        lines.append(
            f"[2026-07-15 20:14:03 TP0] ReqTimeStats(rid={one.name}, input_len={one.prefill + one.cached}, "
            f"cached_input_len={one.cached}, output_len={one.generated}, attempts=0, type=unified): "
            f"queue_duration=2.00ms, "
            f"forward_duration={(one.end_s - one.begin_s) * 1e3:.2f}ms, entry_time={entry_s:.3f}"
        )
    return "\n".join(lines) + "\n"


def answers_of(served: list[Served]) -> str:
    """Answers as llama-server gives them, with when they came."""
    return "".join(
        json.dumps(
            {
                "received_utc": (T0 + timedelta(seconds=one.end_s)).isoformat(),
                "id": one.name,
                "created": T0_US // 1_000_000,
                "choices": [{"finish_reason": "stop", "index": 0, "message": {"role": "assistant", "content": "…"}}],
                "usage": {"completion_tokens": one.generated, "prompt_tokens": one.prefill + one.cached},
                "system_fingerprint": "b8665-b8635075f",
                "timings": {
                    "cache_n": one.cached, "prompt_n": one.prefill, "prompt_ms": (one.read_s - one.begin_s) * 1e3,
                    "prompt_per_token_ms": 1.06, "predicted_n": one.generated,
                    "predicted_ms": (one.end_s - one.read_s) * 1e3, "predicted_per_second": 38.7,
                },
            }
        )
        + "\n"
        for one in served
    )  # fmt: skip


def steps_of_all(served: list[Served]) -> str:
    """Steps of 250 ms as the vLLM scheduler writes them, each request decoding evenly."""
    rows: dict[int, list[dict]] = {}
    for one in served:
        first, read, last = (round(s * 4) for s in (one.begin_s, one.read_s, one.end_s))
        for at in range(first, last):
            member = {"request_id": one.name}
            if at < read:
                member["prefill_tokens"] = one.prefill / (read - first)
                if at == first:
                    member["cached_tokens"] = one.cached
            else:
                member["decode_tokens"] = (one.generated - 1) / (last - read)
            rows.setdefault(at, []).append(member)
    return "".join(
        json.dumps(
            {"start_us": T0_US + at * 250_000, "end_us": T0_US + (at + 1) * 250_000, "devices": ["gpu0"],
             "requests": members}
        )
        + "\n"
        for at, members in sorted(rows.items())
    )  # fmt: skip


NAMED: dict[str, tuple[str, Callable[[list[Served]], str]]] = {
    "sglang_log": ("sglang.log", log_of),
    "llamacpp_timings": ("answers.jsonl", answers_of),
    "vllm_steps": ("steps.jsonl", steps_of_all),
}


def written(name: str, folder: Path, served: list[Served]) -> Path:
    file, words = NAMED[name]
    path = folder / file
    path.write_text(words(served))
    return path


def told(name: str, *paths: Path) -> Told:
    return ENGINES.get(name).read(paths, ())


def sums(steps: Steps) -> list[float]:
    return [float(getattr(steps, c).sum()) for c in ("prefill_tokens", "cached_tokens", "decode_tokens")]


def test_there_are_readers_to_examine() -> None:
    """The suite below examines something, and knows how each engine writes."""
    assert len(ENGINES) >= 8
    assert set(ENGINES) == set(TOLD) | set(NAMED), "write down how the engine's record looks, in this suite"


@pytest.mark.parametrize("name", list(ENGINES))
def test_a_reader_says_what_it_tells_and_what_not(name: str) -> None:
    """Under its own name, with the version whose source was read."""
    reader = ENGINES.get(name)
    assert reader.name == name
    assert min(len(text) for text in (reader.source, reader.tells, reader.lacks, reader.read_at)) > 20


@pytest.mark.parametrize("name", list(TOLD))
def test_counters_become_stretches_that_add_up(name: str, tmp_path: Path) -> None:
    """Each stretch is what the totals gained in it; the idle one has no row."""
    found = told(name, counted(name, tmp_path, BUSY))
    steps = found.steps
    gained = [{k: after[k] - before[k] for k in ZERO} for (_, before), (_, after) in itertools.pairwise(BUSY)]
    expected = [TOLD[name][1](one) for one in (gained[0], gained[1], gained[3])]
    columns = (steps.prefill_tokens, steps.cached_tokens, steps.decode_tokens, steps.n_steps)
    assert np.column_stack(columns).tolist() == [list(map(float, row)) for row in expected]
    assert ((steps.start_us - T0_US) / 1e6).tolist() == [0, 5, 15]
    assert ((steps.end_us - T0_US) / 1e6).tolist() == [5, 10, 20]
    assert steps.n_active.tolist() == [3, 3, 1]
    assert found.notes == ()
    assert steps.groups == (("gpu0",),)


@pytest.mark.parametrize("name", list(TOLD))
def test_a_restart_has_no_row_and_is_said(name: str, tmp_path: Path) -> None:
    """Totals that fall begin anew: what ran around that is told by nobody."""
    again = [(s + 25, totals) for s, totals in BUSY[1:]]
    young = [
        (25, {k: v // 10 for k, v in BUSY[0][1].items()}),
        *[(s, {k: v // 10 for k, v in t.items()}) for s, t in again],
    ]
    found = told(name, counted(name, tmp_path, BUSY + young))
    alone = told(name, counted(name, tmp_path, young))
    before = told(name, counted(name, tmp_path, BUSY))
    assert sums(found.steps) == [a + b for a, b in zip(sums(before.steps), sums(alone.steps), strict=True)]
    assert not ((found.steps.start_us < T0_US + 25_000_000) & (found.steps.end_us > T0_US + 20_000_000)).any()
    assert found.notes == ("1 restarts: what ran in the 5 s around them is not told",)


@pytest.mark.parametrize("name", list(TOLD))
def test_a_missing_scrape_loses_no_token(name: str, tmp_path: Path) -> None:
    """The sums span the gap: whether the page is empty or not there at all."""
    whole = told(name, counted(name, tmp_path, BUSY))
    failed = told(name, counted(name, tmp_path, [BUSY[0], (5, None), *BUSY[2:]]))
    assert sums(failed.steps) == sums(whole.steps)
    assert failed.steps.end_us[0] == T0_US + 10_000_000
    assert failed.notes == ("1 of 5 pages do not have the counters; passed over",)
    later = [(s + 100, totals) for s, totals in BUSY[4:]]
    absent = told(name, counted(name, tmp_path, BUSY[:4] + later))
    assert sums(absent.steps) == sums(whole.steps)
    assert "1 stretches of up to 105 s where 5 s are usual" in absent.notes[0]


@pytest.mark.parametrize("name", list(TOLD))
def test_a_clock_set_back_invents_nothing(name: str, tmp_path: Path) -> None:
    """Pages stamped before an earlier one are passed over, and their tokens are in the next stretch."""
    back = [*BUSY[:3], (7, BUSY[3][1]), *BUSY[4:]]
    found = told(name, counted(name, tmp_path, back))
    assert sums(found.steps) == sums(told(name, counted(name, tmp_path, BUSY)).steps)
    assert "1 pages are stamped up to 3 s before an earlier one" in found.notes[0]


@pytest.mark.parametrize("name", list(TOLD))
def test_a_request_that_never_ends_and_draws_nothing_is_no_step(name: str, tmp_path: Path) -> None:
    """A gauge that stays up while no total moves makes no row, however long."""
    stuck = [(5.0 * n, BUSY[0][1]) for n in range(400)]
    found = told(name, counted(name, tmp_path, stuck))
    assert len(found.steps) == 0


@pytest.mark.parametrize("name", list(NAMED))
def test_named_requests_keep_their_tokens(name: str, tmp_path: Path) -> None:
    """Every token is its request's, in the time that it was served; nobody is active in the idle second."""
    steps = told(name, written(name, tmp_path, SERVED)).steps
    assert sums(steps) == pytest.approx([497, 80, 58])
    for number, one in enumerate(SERVED):
        assert steps.request_ids[number].as_py() == one.name
        mine = steps.member == number
        assert steps.member_prefill[mine].sum() == pytest.approx(one.prefill)
        assert steps.member_decode[mine].sum() == pytest.approx(one.generated - 1)
        rows = steps.row_of_member[mine]
        assert steps.start_us[rows].min() - T0_US == pytest.approx(one.begin_s * 1e6, abs=2)
        assert steps.end_us[rows].max() - T0_US == pytest.approx(one.end_s * 1e6, abs=2)
    assert not ((steps.start_us < T0_US + 4_000_000 - 2) & (steps.end_us > T0_US + 3_000_000 + 2)).any()
    assert (steps.end_us[:-1] <= steps.start_us[1:] + 2).all()


@pytest.mark.parametrize("name", list(NAMED))
def test_an_id_used_again_is_one_request(name: str, tmp_path: Path) -> None:
    """Its tokens add up, apart or at once; no step has it twice."""
    apart = [SERVED[0], Served("a", 4.0, 4.5, 6.0, 77, 16, 10)]
    steps = told(name, written(name, tmp_path, apart)).steps
    assert len(steps.request_ids) == 1
    assert sums(steps) == pytest.approx([477, 80, 48])
    if name != "vllm_steps":
        twice = told(name, written(name, tmp_path, [SERVED[0], Served("a", 1.0, 1.25, 2.0, 20, 0, 11)]))
        assert sums(twice.steps) == pytest.approx([420, 64, 49])
        assert twice.steps.n_members.max() == 1
        assert any("the id of another" in note for note in twice.notes)


@pytest.mark.parametrize("name", list(NAMED))
def test_a_line_that_is_missing_loses_that_request_alone(name: str, tmp_path: Path) -> None:
    """The others have the tokens that they had."""
    steps = told(name, written(name, tmp_path, [SERVED[0], SERVED[2]])).steps
    assert sums(steps) == pytest.approx([477, 80, 48])


@pytest.mark.parametrize("name", list(NAMED))
def test_a_last_line_that_is_cut_short_is_left_out_and_said(name: str, tmp_path: Path) -> None:
    """As a kill leaves it; one that only lacks its newline is whole where that can be told."""
    path = written(name, tmp_path, SERVED)
    whole = path.read_text()
    path.write_text(whole[:-9])
    found = told(name, path)
    assert any("its last line is cut short" in note for note in found.notes)
    assert found.steps.decode_tokens.sum() < 58
    if path.suffix == ".jsonl":
        path.write_text(whole.rstrip())
        assert told(name, path).notes == ()
        assert sums(told(name, path).steps) == pytest.approx([497, 80, 58])


@pytest.mark.parametrize("name", list(NAMED))
def test_one_that_never_ends_costs_a_membership_a_row(name: str, tmp_path: Path) -> None:
    """Rows grow with those that come and go or with the steps, memberships with who is active."""
    many = [Served(f"r{n}", n, n + 0.25, n + 0.5, 10, 0, 5) for n in range(200)]
    endless = Served("endless", 0.0, 0.25, 200.0, 10, 0, 100_000)
    steps = told(name, written(name, tmp_path, [endless, *many])).steps
    assert len(steps) <= 801
    assert len(steps.member) <= 2 * len(steps)
    assert steps.decode_tokens.sum() == pytest.approx(99_999 + 200 * 4)


@pytest.mark.parametrize("name", list(ENGINES))
def test_an_engine_with_its_clock_ahead_is_put_right(name: str, tmp_path: Path) -> None:
    """Three seconds ahead and three taken off are the same steps."""
    if name in TOLD:
        right = told(name, counted(name, tmp_path, BUSY)).steps
        ahead = told(name, counted(name, tmp_path, [(s + 3, totals) for s, totals in BUSY])).steps
    else:
        right = told(name, written(name, tmp_path, SERVED)).steps
        ahead = told(
            name,
            written(
                name,
                tmp_path,
                [
                    Served(o.name, o.begin_s + 3, o.read_s + 3, o.end_s + 3, o.prefill, o.cached, o.generated)
                    for o in SERVED
                ],
            ),
        ).steps
    back = ahead_of(ahead, 3.0)
    assert (back.start_us - right.start_us).tolist() == [0] * len(right)
    assert (back.end_us - right.end_us).tolist() == [0] * len(right)


@pytest.mark.parametrize("ending", [".parquet", ".jsonl"])
@pytest.mark.parametrize("name", list(ENGINES))
def test_what_is_written_is_read_again(name: str, ending: str, tmp_path: Path) -> None:
    """A step file gives back each column."""
    source = counted(name, tmp_path, BUSY) if name in TOLD else written(name, tmp_path, SERVED)
    steps = told(name, source).steps
    out = tmp_path / f"out{ending}"
    write_steps(steps, out)
    again = read_steps(out)
    for column in ("start_us", "end_us", "n_steps", "n_active", "prefill_tokens", "cached_tokens", "decode_tokens",
                   "first_member", "member_prefill", "member_cached", "member_decode", "context_tokens"):  # fmt: skip
        np.testing.assert_array_equal(getattr(again, column), getattr(steps, column), column)
    assert [again.request_ids[int(i)].as_py() for i in again.member] == [
        steps.request_ids[int(i)].as_py() for i in steps.member
    ]


@pytest.mark.parametrize("name", list(ENGINES))
def test_what_is_not_the_engines_is_refused_with_its_name(name: str, tmp_path: Path) -> None:
    """A missing file, another's words, bytes that are no text, and nothing at all."""
    with pytest.raises(GridmarginError, match=r"none\.txt: no such file"):
        told(name, tmp_path / "none.txt")
    for content in (b"nothing of the kind\n", b"", b"\xff\xfe\x00", b'{"a": 1}\n'):
        other = tmp_path / "other.txt"
        other.write_bytes(content)
        with pytest.raises(GridmarginError, match=r"other\.txt"):
            told(name, other)
