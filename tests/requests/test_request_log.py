"""A request log is read as it is meant or refused with the row, the column and the way out."""

import gzip
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gridmargin.requests import log_cells, read_log
from gridmargin.vocab import InputError, TableError, TimeError

HEADER = "request_id,arrival_utc,prompt_tokens,generated_tokens\n"
GOOD = HEADER + "a,2020-07-15T18:15:00Z,10,5\nb,2020-07-15T18:15:02Z,20,0\n"
ALIGNED = datetime(2020, 7, 15, 18, 15, tzinfo=UTC)


def written(folder, text, name="log.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def rows_of(log):
    return np.concatenate([batch.row for batch in log.batches()])


def arrivals_of(log):
    return np.concatenate([batch.arrival_us for batch in log.batches()])


def test_a_good_log_is_read_whole(tmp_path):
    """Counts, extent, columns and cells are those of the file."""
    log = read_log(written(tmp_path, GOOD))
    assert (log.n_requests, log.first_utc, log.shift_s) == (2, ALIGNED, 0.0)
    (batch,) = log.batches()
    assert batch.row.tolist() == [2, 3]
    assert batch.prompt_tokens.tolist() == [10, 20]
    assert batch.generated_tokens.tolist() == [5, 0]
    assert batch.words["request_id"].to_pylist() == ["a", "b"]
    assert batch.end_us is None
    assert log_cells(log.path, log.sha256, 3, log.columns)["prompt_tokens"] == "20"


def test_a_missing_column_is_named_with_those_found(tmp_path):
    """What is missing, what it may be called and what is there."""
    path = written(tmp_path, "arrival_utc,prompt_tokens,words\n2020-07-15T18:15Z,1,2\n")
    with pytest.raises(
        TableError, match=r"generated_tokens.*completion_tokens.*found arrival_utc, prompt_tokens, words"
    ):
        read_log(path)


@pytest.mark.parametrize("cell", ["-1", "nan", "NaN", "1.5", "", "many", "inf", "99999999999"])
@pytest.mark.parametrize("column", ["prompt_tokens", "generated_tokens"])
def test_a_count_that_is_none_is_refused_by_row(tmp_path, cell, column):
    """Negative, NaN, fractional, absent, endless or worded token counts are named with their row and column."""
    cells = {"prompt_tokens": "10", "generated_tokens": "5", column: cell}
    bad = f"b,2020-07-15T18:15:02Z,{cells['prompt_tokens']},{cells['generated_tokens']}\n"
    path = written(tmp_path, HEADER + "a,2020-07-15T18:15:00Z,10,5\n" + bad)
    with pytest.raises(TableError, match=rf"row 3, column {column}"):
        read_log(path)


@pytest.mark.parametrize("value", [-1.0, float("nan"), 1.5, None])
def test_a_count_that_is_none_is_refused_in_parquet_too(tmp_path, value):
    """Typed columns go through the same check."""
    path = tmp_path / "log.parquet"
    arrival = pa.array([ALIGNED, ALIGNED], pa.timestamp("us", "UTC"))
    pq.write_table(
        pa.table({"arrival": arrival, "prompt_tokens": [1.0, value], "generated_tokens": [1, 1]}), path
    )
    with pytest.raises(TableError, match="row 2, column prompt_tokens"):
        read_log(path)


def test_an_id_that_stands_twice_is_refused_with_both_rows(tmp_path):
    """Receipts of two requests of one name could not be told apart."""
    path = written(tmp_path, GOOD + "a,2020-07-15T18:15:09Z,1,1\n")
    with pytest.raises(TableError, match=r"rows 2 and 4.*'a' stands twice"):
        read_log(path)


def test_an_absent_id_is_refused(tmp_path):
    """A log that names its requests names all of them."""
    path = written(tmp_path, GOOD + ",2020-07-15T18:15:09Z,1,1\n")
    with pytest.raises(TableError, match="row 4, column request_id"):
        read_log(path)


def test_an_unsorted_log_is_put_in_order_and_keeps_its_rows(tmp_path):
    """Order of arrival comes out; the row is still that of the file; equal arrivals keep the file's order."""
    text = HEADER + "".join(
        f"r{i},2020-07-15T18:15:0{second}Z,1,1\n" for i, second in enumerate([5, 1, 9, 1, 0])
    )
    log = read_log(written(tmp_path, text))
    assert rows_of(log).tolist() == [6, 3, 5, 2, 4]
    assert (np.diff(arrivals_of(log)) >= 0).all()


@pytest.mark.parametrize("name", ["log.csv", "log.jsonl", "log.parquet"])
def test_an_empty_file_is_refused(tmp_path, name):
    """Zero bytes are no log of any kind."""
    with pytest.raises(InputError, match="log"):
        read_log(written(tmp_path, "", name))


def test_a_header_alone_is_an_empty_log(tmp_path):
    """It says that there is nothing to price."""
    with pytest.raises(InputError, match="holds no requests"):
        read_log(written(tmp_path, HEADER))


def test_parquet_without_rows_is_an_empty_log(tmp_path):
    """As for a header alone."""
    path = tmp_path / "log.parquet"
    schema = pa.schema(
        [
            ("arrival", pa.timestamp("us", "UTC")),
            ("prompt_tokens", pa.int32()),
            ("generated_tokens", pa.int32()),
        ]
    )
    pq.write_table(schema.empty_table(), path)
    with pytest.raises(InputError, match="holds no requests"):
        read_log(path)


def test_no_file_and_no_known_ending_are_refused(tmp_path):
    """The message says what is taken."""
    with pytest.raises(InputError, match="no such file"):
        read_log(tmp_path / "gone.csv")
    with pytest.raises(InputError, match=r"\.xlsx.*use \.parquet, \.csv or \.jsonl"):
        read_log(written(tmp_path, GOOD, "log.xlsx"))


def parquet_log(path, n=1000):
    arrival = pa.array(np.int64(1_594_836_900_000_000) + np.arange(n), pa.timestamp("us", "UTC"))
    pq.write_table(
        pa.table(
            {"arrival": arrival, "prompt_tokens": np.arange(n) % 7, "generated_tokens": np.arange(n) % 5}
        ),
        path,
    )


def test_parquet_cut_short_is_refused(tmp_path):
    """Half a file is not half a log."""
    path = tmp_path / "log.parquet"
    parquet_log(path)
    body = path.read_bytes()
    path.write_bytes(body[: len(body) // 2])
    with pytest.raises(TableError, match=r"log\.parquet cannot be read.*cut short"):
        read_log(path)


def test_csv_cut_short_inside_a_row_is_refused(tmp_path):
    """A last line with fewer cells is a cut, not a short request."""
    with pytest.raises(TableError, match=r"log\.csv.*row 4|log\.csv cannot be read.*(Line: 4|line 4)"):
        read_log(written(tmp_path, GOOD + "c,2020-07-15T18:1"))


def test_a_json_line_cut_short_is_refused(tmp_path):
    """The file is named."""
    line = '{"arrival": "2020-07-15T18:15:00Z", "prompt_tokens": 1, "generated_tokens": 2}\n'
    with pytest.raises(TableError, match=r"log\.jsonl cannot be read"):
        read_log(written(tmp_path, line * 3 + line[:40], "log.jsonl"))


def test_gzip_cut_short_is_refused(tmp_path):
    """A compressed log that ends early is not a shorter log."""
    path = tmp_path / "log.csv.gz"
    text = HEADER + "".join(f"r{i},2020-07-15T18:15:00Z,{i % 9},1\n" for i in range(20_000))
    body = gzip.compress(text.encode())
    path.write_bytes(body[: len(body) // 2])
    with pytest.raises(TableError, match=r"log\.csv\.gz"):
        read_log(path)


@pytest.mark.parametrize("time", ["2020-07-15T18:15:00", "2020-07-15 18:15:00.1234567", "2020-07-15"])
def test_a_time_without_offset_is_refused_unless_the_log_is_aligned(tmp_path, time):
    """Only differences count once the first arrival is placed (C1)."""
    path = written(tmp_path, f"arrival,prompt_tokens,generated_tokens\n{time},1,1\n")
    with pytest.raises(TimeError, match=r"no UTC offset.*`align_to`"):
        read_log(path)
    assert read_log(path, ALIGNED).first_utc == ALIGNED


def test_alignment_moves_every_request_alike(tmp_path):
    """The first arrival falls where it was asked to, the rest keep their distance."""
    log = read_log(written(tmp_path, GOOD), ALIGNED + timedelta(hours=3))
    assert log.shift_s == 10_800
    assert np.diff(arrivals_of(log)).tolist() == [2_000_000]
    assert arrivals_of(log)[0] == (ALIGNED + timedelta(hours=3)).timestamp() * 1e6


def test_one_time_without_offset_among_many_is_refused(tmp_path):
    """A log is as good as its worst row."""
    rows = "a,2020-07-15T18:15:00Z,1,1\nb,2020-07-15T18:15:01,1,1\n"
    with pytest.raises(TimeError, match=r"row 3, column arrival_utc.*no UTC offset"):
        read_log(written(tmp_path, HEADER + rows))


def test_offsets_may_differ_from_row_to_row(tmp_path):
    """An hour that a clock change repeats is told apart by its offset."""
    rows = "a,2020-11-01T01:30:00-05:00,1,1\nb,2020-11-01T01:30:00-06:00,1,1\nc,2020-11-01T06:45:00Z,1,1\n"
    log = read_log(written(tmp_path, HEADER + rows))
    assert rows_of(log).tolist() == [2, 4, 3]
    assert np.diff(arrivals_of(log)).tolist() == [900_000_000, 2_700_000_000]


def test_what_is_no_time_is_refused_by_row(tmp_path):
    """A word or a number where a time belongs."""
    with pytest.raises(TableError, match=r"row 4, column arrival_utc.*'soon' is not a time"):
        read_log(written(tmp_path, GOOD + "c,soon,1,1\n"))
    with pytest.raises(TableError, match="is not a time"):
        read_log(written(tmp_path, "arrival,prompt_tokens,generated_tokens\n1594836900,1,1\n"))


def test_an_end_is_read_and_one_before_its_arrival_is_refused(tmp_path):
    """End equal to arrival is allowed; an absent end is not."""
    header = "arrival,end,prompt_tokens,generated_tokens\n"
    arrival = "2020-07-15T18:15:02Z"
    log = read_log(written(tmp_path, header + f"{arrival},{arrival},1,1\n"))
    (batch,) = log.batches()
    assert (batch.end_us == batch.arrival_us).all()
    with pytest.raises(TableError, match="row 2, column end: ends before it arrives"):
        read_log(written(tmp_path, header + f"{arrival},2020-07-15T18:15:01Z,1,1\n"))
    with pytest.raises(TableError, match="row 3, column end"):
        read_log(written(tmp_path, header + f"{arrival},{arrival},1,1\n{arrival},,1,1\n"))


@pytest.mark.parametrize(
    "name",
    [
        "a*b.csv",
        "a?.csv",
        "[ab].csv",
        "it's.csv",
        'q"q.csv',
        "två ord.csv",
        "log.2020.csv",
        "{a,b}.csv",
        "LOG.CSV",
    ],
)
def test_a_file_name_stands_for_itself(tmp_path, name):
    """Pattern signs, quotes and spaces in a name match no other file."""
    written(tmp_path, HEADER + "x,2020-07-15T18:15Z,1,1\n" * 1, "axb.csv")
    written(tmp_path, HEADER + "y,2020-07-15T18:15Z,1,1\n", "a1.csv")
    written(tmp_path, HEADER + "z,2020-07-15T18:15Z,1,1\n", "a.csv")
    log = read_log(written(tmp_path, GOOD, name))
    assert log.n_requests == 2
    assert log_cells(log.path, log.sha256, 2, log.columns)["request_id"] == "a"


def test_gzip_csv_and_json_lines_say_the_same(tmp_path):
    """Three ways to write one log."""
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress(GOOD.encode()))
    lines = "".join(
        f'{{"id": "{i}", "timestamp": "{t}", "input_tokens": {p}, "output_tokens": {g}}}\n'
        for i, t, p, g in (("a", "2020-07-15T18:15:00Z", 10, 5), ("b", "2020-07-15T18:15:02Z", 20, 0))
    )
    for log in (read_log(path), read_log(written(tmp_path, lines, "log.jsonl"))):
        (batch,) = log.batches()
        assert batch.arrival_us.tolist() == [1_594_836_900_000_000, 1_594_836_902_000_000]
        assert batch.prompt_tokens.tolist() == [10, 20]
        assert batch.words["request_id"].to_pylist() == ["a", "b"]


def test_columns_go_by_other_names_and_any_case(tmp_path):
    """As public traces write them."""
    log = read_log(
        written(tmp_path, "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16T18:15:46Z,374,44\n")
    )
    assert dict(log.columns) == {
        "arrival": "TIMESTAMP", "prompt_tokens": "ContextTokens", "generated_tokens": "GeneratedTokens",
    }  # fmt: skip


def test_a_quoted_line_break_does_not_shift_the_record(tmp_path):
    """The row counts records, the header being 1; its cells are found by it."""
    rows = 'a,2020-07-15T18:15:00Z,1,1,"/one\ntwo"\nb,2020-07-15T18:15:01Z,2,2,/x\n'
    log = read_log(written(tmp_path, HEADER.strip() + ",endpoint\n" + rows))
    assert rows_of(log).tolist() == [2, 3]
    assert log_cells(log.path, log.sha256, 3, log.columns)["request_id"] == "b"
    assert log_cells(log.path, log.sha256, 2, log.columns)["endpoint"] == "/one\ntwo"


def test_parquet_times_with_a_zone_are_read_as_instants(tmp_path):
    """A stamp in Chicago time is the same instant; one without a zone is refused."""
    moment = datetime(2020, 11, 1, 1, 30, tzinfo=timezone(timedelta(hours=-6)))
    for kind, aware in (
        (pa.timestamp("us", "America/Chicago"), True),
        (pa.timestamp("ns", "UTC"), True),
        (pa.timestamp("us"), False),
    ):
        path = tmp_path / "log.parquet"
        stamp = moment if aware else moment.replace(tzinfo=None)
        pq.write_table(
            pa.table({"arrival": pa.array([stamp], kind), "prompt_tokens": [1], "generated_tokens": [1]}),
            path,
        )
        if aware:
            assert read_log(path).first_utc == moment
        else:
            with pytest.raises(TimeError, match="no UTC offset"):
                read_log(path)


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_rows_follow_the_file_however_many_threads_read_it(tmp_path, ending):
    """In a log of many blocks, whose prompt tokens are their own row numbers, each row is where it says."""
    n = 600_000
    first = 2 if ending == "csv" else 1  # only text tables have a header
    path = tmp_path / f"log.{ending}"
    rng = np.random.default_rng(0)
    seconds = rng.permutation(n)
    if ending == "parquet":
        arrival = pa.array(1_594_836_900_000_000 + seconds * 1_000_000, pa.timestamp("us", "UTC"))
        table = pa.table(
            {"arrival": arrival, "prompt_tokens": np.arange(n) + first, "generated_tokens": np.zeros(n, int)}
        )
        pq.write_table(table, path, row_group_size=20_000)
    else:
        stamps = np.datetime_as_string(
            np.datetime64("2020-07-15T18:15:00") + seconds.astype("timedelta64[s]")
        )
        with path.open("w", encoding="utf-8") as file:
            if ending == "csv":
                file.write("arrival,prompt_tokens,generated_tokens\n")
                file.writelines(f"{stamp}Z,{i + first},0\n" for i, stamp in enumerate(stamps))
            else:
                file.writelines(
                    f'{{"arrival":"{stamp}Z","prompt_tokens":{i + first},"generated_tokens":0}}\n'
                    for i, stamp in enumerate(stamps)
                )
    log = read_log(path)
    seen = 0
    for batch in log.batches():
        assert (batch.row == batch.prompt_tokens).all()
        seen += len(batch)
    assert seen == n
    assert log_cells(path, log.sha256, 512_345, log.columns)["prompt_tokens"] == "512345"


def with_outcome(folder, *cells, column="outcome"):
    rows = "".join(f"{i},2020-07-15T18:15:0{i}Z,10,5,{cell}\n" for i, cell in enumerate(cells))
    return written(folder, HEADER[:-1] + f",{column}\n" + rows)


def test_outcomes_are_read_in_any_case_and_an_empty_one_is_not_known(tmp_path):
    """Four words, one of them in two spellings; absent is not `completed` (C2)."""
    log = read_log(with_outcome(tmp_path, "completed", "FAILED", " Canceled", "cancelled", "retried", ""))
    (batch,) = log.batches()
    assert batch.words["outcome"].to_pylist() == [
        "completed", "failed", "cancelled", "cancelled", "retried", None,
    ]  # fmt: skip


def test_an_unknown_outcome_is_refused_by_row_with_the_known(tmp_path):
    """The row as the file counts it, the word and those that are meant."""
    with pytest.raises(
        TableError,
        match="row 3, column outcome: 'timeout' is no outcome; write one of completed, failed, canc",
    ):
        read_log(with_outcome(tmp_path, "completed", "timeout"))


def test_a_request_that_repeats_itself_is_refused(tmp_path):
    """`retry_of` names the request before it."""
    (batch,) = read_log(with_outcome(tmp_path, "", "0", column="retry_of")).batches()
    assert batch.words["retry_of"].to_pylist() == [None, "0"]
    with pytest.raises(TableError, match="row 3, column retry_of: the request '1' repeats itself"):
        read_log(with_outcome(tmp_path, "", "1", column="retry_of"))
