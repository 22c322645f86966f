"""Counters: what older and newer versions of an engine write, and totals that do not move together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.pages import SGLANG, T0, VLLM, added, page, recorded
from gridmargin.engines import ENGINES, Told
from gridmargin.engines.counters import _never_below
from gridmargin.vocab import GridmarginError


def told(folder: Path, text: str, name: str = "vllm_metrics", groups: tuple = ()) -> Told:
    path = folder / "pages.txt"
    path.write_text(text)
    return ENGINES.get(name).read([path], groups)


TWO = added(
    [
        (0, {"prompt": 900, "cached": 128, "generated": 300, "first": 5, "steps": 210, "running": 2}),
        (5, {"prompt": 400, "cached": 64, "generated": 61, "first": 2, "steps": 41, "running": 3}),
    ]
)


def test_the_names_of_vllm_before_0_9_are_read(tmp_path: Path) -> None:
    """The cache's counters were named for the GPU."""
    old = recorded(VLLM.replace("vllm:prefix_cache", "vllm:gpu_prefix_cache"), TWO)
    steps = told(tmp_path, old).steps
    assert (steps.prefill_tokens.tolist(), steps.cached_tokens.tolist()) == ([336], [64])


def test_vllm_v0_tells_no_cached_tokens_and_has_no_label_of_an_engine(tmp_path: Path) -> None:
    """Its prompts count in full."""
    lines = recorded(VLLM, TWO).replace('engine="0",', "").splitlines()
    old = "\n".join(line for line in lines if "prefix_cache" not in line and "spec_decode" not in line) + "\n"
    steps = told(tmp_path, old).steps
    assert (steps.prefill_tokens.tolist(), steps.cached_tokens.tolist()) == ([400], [0])
    assert (steps.decode_tokens.tolist(), steps.n_steps.tolist()) == ([59], [41])


BY_SOURCE = """\
vllm:prompt_tokens_by_source_total{{engine="0",model_name="m",source="local_compute"}} {}.0
vllm:prompt_tokens_by_source_total{{engine="0",model_name="m",source="local_cache_hit"}} {}.0
vllm:prompt_tokens_by_source_total{{engine="0",model_name="m",source="external_kv_transfer"}} {}.0
"""


def test_where_vllm_tells_prompt_tokens_by_source_that_is_read(tmp_path: Path) -> None:
    """Those fetched from elsewhere were not computed here either."""
    pages = [
        recorded(VLLM, [scrape]) + BY_SOURCE.format(*sources)
        for scrape, sources in zip(TWO, [(700, 150, 50), (1000, 230, 70)], strict=True)
    ]
    steps = told(tmp_path, "".join(pages)).steps
    assert (steps.prefill_tokens.tolist(), steps.cached_tokens.tolist()) == ([300], [100])


def test_older_sglang_counts_a_request_when_it_ends(tmp_path: Path) -> None:
    """Without live tokens the totals of ended requests are read, and steps are worked out."""
    template = """\
sglang:num_running_reqs{{model_name="m"}} {running}.0
sglang:prompt_tokens_total{{model_name="m"}} {prompt}.0
sglang:cached_tokens_total{{model_name="m"}} {cached}.0
sglang:generation_tokens_total{{model_name="m"}} {generated}.0
sglang:time_to_first_token_seconds_count{{model_name="m"}} {first}.0
"""
    found = told(tmp_path, recorded(template, TWO), "sglang_metrics")
    steps = found.steps
    assert (steps.prefill_tokens.tolist(), steps.cached_tokens.tolist()) == ([336], [64])
    assert steps.decode_tokens.tolist() == [59]
    assert steps.n_steps.tolist() == [59 / 3]
    assert found.notes == ("steps are not counted: decoded tokens over the requests seen stand for them",)


def test_a_page_of_several_engines_gives_each_its_own_rows(tmp_path: Path) -> None:
    """They are told apart by label, in the order of their numbers; devices are named for each."""
    pages = "".join(
        recorded(VLLM, [scrape])
        + page(VLLM, {k: 2 * v for k, v in scrape[1].items()}).replace('engine="0"', 'engine="10"')
        + page(VLLM, scrape[1]).replace('engine="0"', 'engine="2"')
        for scrape in TWO
    )
    steps = told(tmp_path, pages, groups=(["a", "b"], ["c"], ["d"])).steps
    assert steps.groups == (("a", "b"), ("c",), ("d",))
    assert steps.decode_tokens.tolist() == [59, 59, 118]
    with pytest.raises(
        GridmarginError, match=r"tells of 3 engines \(0, 2, 10\) and the devices of 0 are given"
    ):
        told(tmp_path, pages)


def test_what_sglangs_front_counts_for_all_engines_is_no_engine_of_its_own(tmp_path: Path) -> None:
    """Tokens of each data-parallel rank are told by it; those of ended requests, without a rank, are the same again."""
    pages = ""
    for scrape in TWO:
        one = recorded(SGLANG, [scrape])
        stamp, *lines = one.splitlines()
        ranked = [
            line.replace('tp_rank="0"', f'dp_rank="{r}",tp_rank="0"')
            for r in (0, 1)
            for line in lines
            if "tp_rank" in line
        ]
        front = [f'sglang:time_to_first_token_seconds_count{{model_name="m"}} {scrape[1]["first"]}.0']
        pages += (
            "\n".join([stamp, *ranked, *[line for line in lines if "tp_rank" not in line], *front]) + "\n"
        )
    steps = told(tmp_path, pages, "sglang_metrics", groups=(["a"], ["b"])).steps
    assert steps.decode_tokens.tolist() == [59, 59]


def test_hits_counted_before_their_prompt_are_taken_from_it_later(tmp_path: Path) -> None:
    """A prompt that is read over two scrapes: its cached tokens count at once, its own when it is done."""
    scrapes = added(
        [
            (0, {"steps": 1, "running": 1}),
            (5, {"cached": 64, "steps": 10, "running": 1}),
            (10, {"prompt": 400, "generated": 1, "first": 1, "steps": 10, "running": 1}),
        ]
    )
    steps = told(tmp_path, recorded(VLLM, scrapes)).steps
    assert steps.prefill_tokens.tolist() == [0, 336]
    assert steps.cached_tokens.tolist() == [64, 0]
    assert steps.decode_tokens.tolist() == [0, 0]


@given(st.lists(st.lists(st.floats(-50, 80), max_size=12), min_size=1, max_size=4))
def test_what_is_short_is_taken_from_later_in_the_same_run(runs: list[list[float]]) -> None:
    """No step below 0, and a run whose sum is its highest yet loses nothing."""
    change = np.array([x for run in runs for x in run])
    run = np.repeat(np.arange(len(runs)), [len(r) for r in runs])
    out = _never_below(change, run)
    assert (out >= 0).all()
    for number, part in enumerate(runs):
        highest = max([0.0, *np.cumsum(part)])
        assert out[run == number].sum() == pytest.approx(highest, abs=1e-9)


def test_a_page_that_was_cut_short_is_no_restart(tmp_path: Path) -> None:
    """It lacks counters that were there before: passed over, and nothing gained twice."""
    whole = recorded(
        VLLM, added([(0, TWO[0][1]), (5, {"generated": 1, "steps": 1}), (10, {"generated": 9, "steps": 9})])
    )
    first, cut, last = whole.split("# time_utc")[1:]
    short = cut[: cut.index("vllm:generation_tokens_total{")]
    found = told(tmp_path, "# time_utc".join(["", first, short, last]))
    assert found.steps.decode_tokens.tolist() == [10]
    assert found.notes == ("1 of 3 pages do not have the counters; passed over",)


def test_a_restart_that_overtook_its_old_totals_is_told_by_the_start_of_the_process(tmp_path: Path) -> None:
    """Where the page says when its process began."""
    started = "process_start_time_seconds {}\n"
    pages = (
        recorded(VLLM, TWO[:1]) + started.format(1000.0) + recorded(VLLM, TWO[1:]) + started.format(2000.0)
    )
    found = told(tmp_path, pages)
    assert len(found.steps) == 0
    assert "1 restarts" in found.notes[0]


def test_a_series_that_appears_with_its_first_event_stood_at_nothing(tmp_path: Path) -> None:
    """SGLang has no line for decoded tokens before there are some, nor after a restart."""
    scrapes = added(
        [
            (0, {"prompt": 10, "steps": 0}),
            (5, {"generated": 5, "steps": 5}),
            (10, {"generated": 7, "steps": 7}),
        ]
    )
    first, *rest = recorded(SGLANG, scrapes).split("# time_utc")[1:]
    silent = "\n".join(line for line in first.splitlines() if 'mode="decode"' not in line) + "\n"
    steps = told(tmp_path, "# time_utc".join(["", silent, *rest]), "sglang_metrics").steps
    assert steps.decode_tokens.tolist() == [5, 7]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# time_utc yesterday\n", "pages.txt, page 0, time_utc 'yesterday' is not an ISO 8601 time"),
        ("# time_utc 2026-07-15T18:14:00\n", "page 0, time_utc"),
        (
            '# time_utc 2026-07-15T18:14:00Z\nvllm:prompt_tokens_total{engine="0} 5\n',
            "page 0 is not in Prometheus'",
        ),
        ("vllm:prompt_tokens_total 5\n", "no page begins with a line such as '# time_utc"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_page(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(GridmarginError, match=said):
        told(tmp_path, text)


def test_pages_may_come_in_several_files(tmp_path: Path) -> None:
    """As a rotated recording has them."""
    paths = []
    for number, scrape in enumerate(TWO):
        paths.append(tmp_path / f"{number}.txt")
        paths[-1].write_text(recorded(VLLM, [scrape]))
    steps = ENGINES.get("vllm_metrics").read(paths, [["gpu7"]]).steps
    assert steps.decode_tokens.tolist() == [59]
    assert steps.origin == "0.txt and 1.txt"
    assert steps.groups == (("gpu7",),)


@pytest.mark.parametrize("scrapes", [TWO[:1], [(0, None)] * 2 + TWO[:1]])
def test_a_single_page_has_no_stretch(tmp_path: Path, scrapes: list) -> None:
    """What it counted was before."""
    assert len(told(tmp_path, recorded(VLLM, scrapes)).steps) == 0


def test_without_the_parser_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "prometheus_client.parser", None)
    with pytest.raises(GridmarginError, match=r"pip install 'gridmargin\[prometheus\]'"):
        told(tmp_path, recorded(VLLM, TWO))


def test_a_stamp_is_kept_to_the_microsecond(tmp_path: Path) -> None:
    text = recorded(VLLM, [(0.000001, TWO[0][1]), (0.25, TWO[1][1])])
    steps = told(tmp_path, text).steps
    assert steps.start_us[0] == int(T0.timestamp()) * 1_000_000 + 1
