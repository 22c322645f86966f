"""A ledger's place is shown without its secrets, and a server that does not let us in is told in one message."""

import socket
import sys
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gridmargin.ledger import Book
from gridmargin.ledger.store import is_url, shown
from gridmargin.vocab import InputError, Kind
from ledger.samples import FIT, T0, estimates
from ledger_store import bare

passwords = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=8, max_size=20)


@given(passwords)
def test_a_password_is_never_shown(password):
    """Neither where it was encoded as it should be, nor as a query, nor where it was pasted in as it is."""
    plain = "postgresql://ann@db.example:5433/ledger"
    encoded = quote(password, safe="")
    assert shown(f"postgresql://ann:{encoded}@db.example:5433/ledger") == plain
    assert shown(f"{plain}?password={encoded}&sslmode=require") == f"{plain}?sslmode=require"
    assume(not password.isdecimal() and password not in "postgresql://ann@db.example:5433/ledger")
    assert password not in shown(f"postgresql://ann:{password}@db.example:5433/ledger")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql:///ledger?host=/run/pg", "postgresql:///ledger?host=/run/pg"),
        ("postgres://ann@[::1]:5432/ledger", "postgresql://ann@[::1]:5432/ledger"),
        ("postgresql://ann:12/34@db/ledger", "postgresql://…"),
        ("postgresql://ann:12#34@db/ledger", "postgresql://…"),
        ("postgresql://ann:12?34@db/ledger", "postgresql://…"),
        ("postgresql://ann:12@34@db/ledger", "postgresql://…"),
    ],
)
def test_a_url_is_shown_as_it_is_meant_or_not_at_all(url, name):
    """Where a piece of a password could have ended up elsewhere, nothing of the URL is shown."""
    assert is_url(url)
    assert shown(url) == name


def test_a_place_is_a_path_or_a_url(tmp_path):
    """A text that is no URL is a path, and a URL of something else is refused."""
    assert not is_url(str(tmp_path / "ledger.sqlite"))
    Book(str(tmp_path / "ledger.sqlite")).close()
    assert (tmp_path / "ledger.sqlite").exists()
    with pytest.raises(InputError, match="mysql://"):
        Book("mysql://ann:secret@db/ledger")


def closed_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.postgresql
def test_a_server_that_is_not_there_is_told():
    """Not reached, and what to do; the password stays out."""
    with pytest.raises(InputError, match=r"refused.*; start the server, or correct host and port") as told:
        Book(f"postgresql://ann:topsecret@127.0.0.1:{closed_port()}/ledger")
    assert "topsecret" not in str(told.value)


@pytest.mark.postgresql
def test_a_url_that_cannot_be_read_is_told():
    """The form is named, nothing of the URL is."""
    with pytest.raises(InputError, match="percent-encoded") as told:
        Book("postgresql://ann:top%zzsecret@db/ledger")
    assert "secret@" not in str(told.value)
    with pytest.raises(InputError) as told:
        Book("postgresql://ann:top/secret@db/ledger")
    assert "secret@" not in str(told.value)
    assert "top" not in str(told.value)


@pytest.mark.postgresql
def test_who_is_not_let_in_is_told(postgresql):
    """A wrong password, none at all, and a database that was never made each have their own way out."""
    postgresql.run("CREATE ROLE locked LOGIN PASSWORD 'right'")
    try:
        for given_in in (":verywrong", ""):
            with pytest.raises(InputError, match=r"password.*; correct the user or the password") as told:
                Book(f"postgresql://locked{given_in}@/postgres?host={postgresql.folder}")
            assert "verywrong" not in str(told.value)
        with pytest.raises(InputError, match="does not exist; make it first"):
            Book(postgresql.url("never_made"))
        database = postgresql.new_database().replace("owner@", "locked:right@")
        with pytest.raises(InputError, match=r"permission denied.*; let its user own the database"):
            Book(database)
    finally:
        postgresql.run("DROP ROLE locked")


@pytest.mark.postgresql
def test_a_reader_without_the_right_to_write_can_ask(postgresql):
    """Opening a ledger that is up to date changes nothing in it."""
    place = postgresql.new_ledger()
    database = place.split("/")[3].partition("?")[0]
    with Book(place) as book:
        book.append(estimates([0.1]), FIT, T0)
    postgresql.run("CREATE ROLE reader LOGIN")
    postgresql.run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader", database)
    try:
        with Book(place.replace("owner@", "reader@")) as book:
            assert book.zones() == ["US-ERCO"]
            with pytest.raises(Exception, match="permission denied"):
                book.append(estimates([0.2]), FIT, T0)
    finally:
        postgresql.run("DROP OWNED BY reader", database)
        postgresql.run("DROP ROLE reader")


@pytest.mark.parametrize("table", ["guests", "alembic_version"])
def test_a_database_of_somebody_else_is_left_alone(store, table):
    """One that holds other tables, or another tool's schema number, is refused and gets no table of ours."""
    place = store.empty()
    connection = bare(place)
    connection.execute(f"CREATE TABLE {table} (version_num TEXT)")
    connection.execute(f"INSERT INTO {table} VALUES ('9a3f00')")
    with pytest.raises(InputError, match=r"not a gridmargin ledger \(.*\); "):
        Book(place)
    assert connection.tables() == {table}
    connection.close()


@pytest.mark.postgresql
def test_a_ledger_keeps_to_its_schema(postgresql):
    """Two ledgers in one database, each in a schema of its own, know nothing of each other."""
    place = postgresql.new_database()
    connection = bare(place)
    for schema in ("one", '"Two"'):
        connection.execute(f"CREATE SCHEMA {schema}")
    connection.close()
    one, two = (f"{place}&options=-csearch_path%3D{quote(schema)}" for schema in ("one", '"Two"'))
    with Book(one) as first, Book(two) as second:
        first.append(estimates([0.1]), FIT, T0)
        with first._connection.transaction():  # and neither waits for the other's writers
            assert second.append(estimates([0.2]), FIT, T0) == 1
        assert second.entry(Kind.MARGINAL, 1).estimate.factor_gco2_per_kwh.mid == estimates([0.2]).mid[0]
    with pytest.raises(InputError, match="search path names no schema"):
        Book(f"{place}&options=-csearch_path%3Dnowhere")


def test_a_missing_driver_is_told(monkeypatch):
    """PostgreSQL's driver is an extra; without it the message says which."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "gridmargin.ledger.store.postgres", raising=False)
    with pytest.raises(InputError, match=r"pip install 'gridmargin\[postgres\]'"):
        Book("postgresql://ann@db/ledger")
