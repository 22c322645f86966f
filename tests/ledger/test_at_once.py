"""Several processes at one book, and processes that are killed while they write."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from gridmargin.ledger import Book
from gridmargin.vocab import InputError, Interval, Kind
from ledger.samples import FIT, T0, estimates
from ledger.test_changes import NEW
from ledger_store import bare

N_ROWS = 40
STRETCH = Interval.starting(T0, 900 * N_ROWS)

WRITER = """
import sys
from datetime import timedelta
from gridmargin.ledger import Book
from ledger.samples import FIT, T0, estimates

place, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with Book(place) as book:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(first, last):
        book.append(estimates([number / 100_000] * 40), FIT, T0)
        print(number, flush=True)
"""


def python(code, *arguments):
    """Start Python with the tests' own words."""
    where = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)])
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={"PYTHONPATH": where}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def batches(place):
    """Count the rows of each batch by the number that it was appended under."""
    connection = bare(place)
    rows = connection.execute("SELECT marginal_mid_gco2_per_kwh FROM marginal_entries").fetchall()
    connection.close()
    return Counter(round((row[0] - 450.7) / (1000.1 - 450.7) * 100_000) for row in rows)


def test_two_processes_that_append_at_once_take_turns(store):
    """Every batch is whole, each has a moment of its own, and what superseded what is one line without forks."""
    place = store.ledger()
    Book(place).close()
    writers = [python(WRITER, place, first, first + 30) for first in (0, 1000)]
    try:
        for writer in writers:
            assert writer.stdout.readline() == "ready\n", writer.stderr.read()
        for writer in writers:
            writer.stdin.write("go\n")
            writer.stdin.flush()
        for writer in writers:
            _, errors = writer.communicate(timeout=120)
            assert writer.returncode == 0, errors
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
    assert batches(place) == {n: N_ROWS for first in (0, 1000) for n in range(first, first + 30)}
    connection = bare(place)
    moments = connection.execute(
        "SELECT count(DISTINCT recorded_us), count(*) FROM marginal_entries"
    ).fetchone()
    order = connection.execute("SELECT recorded_us FROM marginal_entries ORDER BY entry_id").fetchall()
    replaced = connection.execute(
        "SELECT count(supersedes), count(DISTINCT supersedes) FROM marginal_entries"
    ).fetchone()
    connection.close()
    assert tuple(moments) == (60, 60 * N_ROWS)
    assert order == sorted(order)
    assert tuple(replaced) == (59 * N_ROWS, 59 * N_ROWS)


def test_two_processes_that_open_a_new_ledger_at_once_both_get_it(store):
    """One of them makes the tables, the others wait for it."""
    place = store.empty()
    openers = [
        python("import sys; from gridmargin.ledger import Book; Book(sys.argv[1]).close()", place)
        for _ in "abc"
    ]
    for opener in openers:
        _, errors = opener.communicate(timeout=120)
        assert opener.returncode == 0, errors
    with Book(place) as book:
        assert book.append(estimates([0.1]), FIT, T0) == 1


def test_a_writer_that_is_killed_again_and_again_loses_nothing_it_acknowledged(store):
    """Killed at any moment: each batch is there whole or not at all, and all that were acknowledged are there."""
    place = store.ledger()
    Book(place).close()
    draw = random.Random(7)
    acknowledged = []
    for round_ in range(4):
        writer = python(WRITER, place, 1000 * round_, 1000 * round_ + 1000)
        try:
            assert writer.stdout.readline() == "ready\n", writer.stderr.read()
            writer.stdin.write("go\n")
            writer.stdin.flush()
            acknowledged.append(int(writer.stdout.readline()))
            time.sleep(draw.uniform(0, 0.2))
        finally:
            writer.kill()
            rest = writer.stdout.read()
            writer.communicate()
        acknowledged += [int(line) for line in rest.splitlines() if line.strip()]
        assert writer.returncode == -signal.SIGKILL
        with Book(place) as book:  # the next one finds it in order
            assert len(book.covering(Kind.MARGINAL, "US-ERCO", STRETCH, "regression")) == N_ROWS
    found = batches(place)
    assert set(found.values()) == {N_ROWS}
    assert set(acknowledged) <= set(found)
    assert len(found) <= len(acknowledged) + 4  # of each killed writer, one batch may be in without its word


def once_recovered(work):
    """Try until the server has noticed its loss and read its log again."""
    import psycopg

    until = time.monotonic() + 60
    while time.monotonic() < until:
        with contextlib.suppress(InputError, psycopg.OperationalError):
            return work()
        time.sleep(0.1)
    return work()


@pytest.mark.postgresql
def test_a_server_that_is_killed_loses_nothing_it_acknowledged(postgresql):
    """One of its processes dies in the middle of an append, the server recovers, and the next append goes on."""
    place = postgresql.new_ledger()
    book = Book(place)
    try:
        for number in range(1, 4):
            once_recovered(partial(book.append, estimates([number / 100_000] * N_ROWS), FIT, T0))
            pid = book._connection.execute("SELECT pg_backend_pid()").fetchone()[0]
            book._current = lambda *_, pid=pid: os.kill(
                pid, signal.SIGKILL
            )  # the fit is written, the entries are not
            with pytest.raises(Exception, match=r"server closed|terminat"):
                book.append(estimates([0.9] * N_ROWS, fit=NEW), NEW, T0)
            del book._current
            assert once_recovered(book.zones) == ["US-ERCO"]
    finally:
        book.close()
    assert once_recovered(partial(batches, place)) == {1: N_ROWS, 2: N_ROWS, 3: N_ROWS}
    with once_recovered(partial(Book, place)) as again:
        assert again._connection.execute("SELECT fit_id FROM fits").fetchall() == [(FIT.fit_id,)]
        assert again.append(estimates([0.5] * N_ROWS), FIT, T0 + timedelta(days=1)) == N_ROWS
