"""WattTime's face: shapes, exact units, the percentile, accounts that keep no secret, and refusals that say the way out."""

import base64
import sqlite3
import stat
from datetime import timedelta
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridmargin.interfaces.faces.accounts import Accounts
from gridmargin.interfaces.faces.watttime import lb_per_mwh, percentile
from gridmargin.ledger import Book
from gridmargin.vocab import InputError, Interval, Kind, parse_utc
from interfaces.face_server import ACCOUNT, NOW, PASSWORD, USER, asked, clock_at, logged_in, record, watttime

DAY = "start=2021-06-01T00:00Z&end=2021-06-02T00:00Z"
KEY = "a-key-of-sixteen-or-more"


@given(st.floats(0, 5000, allow_subnormal=False))
def test_pounds_per_megawatt_hour_are_exact(factor):
    """1 g/kWh is 1000/453.59237 lb/MWh, to the last digit that a float holds."""
    exact = Fraction(factor) * 1000 / Fraction("453.59237")
    assert abs(Fraction(lb_per_mwh(factor)) - exact) <= exact * Fraction(1, 2**51)


def test_known_values_in_pounds():
    """0 stays 0, and 453.59237 g/kWh are 1000 lb/MWh."""
    assert lb_per_mwh(0.0) == 0.0
    assert lb_per_mwh(453.59237) == pytest.approx(1000.0, rel=1e-15)


@given(st.lists(st.floats(0, 2000), min_size=1, max_size=80), st.data())
def test_the_index_is_a_percentile(values, data):
    """0 to 100, never falling with the value, 0 below everything and 100 above everything; an independent count agrees."""
    low, high = sorted((data.draw(st.floats(0, 2000)), data.draw(st.floats(0, 2000))))
    assert 0 <= percentile(low, values) <= percentile(high, values) <= 100
    assert percentile(-1.0, values) == 0
    assert percentile(2001.0, values) == 100
    ranks = np.searchsorted(np.sort(values), low, "left") + np.searchsorted(np.sort(values), low, "right")
    assert percentile(low, values) == pytest.approx(100 * ranks / 2 / len(values), abs=0.5)


def test_the_signals_are_the_ledger_s_own(tmp_path, monkeypatch):
    """`co2_moer` is the marginal factor of the ledger in pounds, `co2_aoer` the average."""
    choice = record(monkeypatch, tmp_path)

    async def work(client):
        headers = await logged_in(client)
        paths = [f"/v3/historical?region=NEM_VIC&{DAY}&signal_type={s}" for s in ("co2_moer", "co2_aoer")]
        return [(await client.get(path, headers=headers)).json() for path in paths]

    answers = asked(tmp_path, work, choice)
    day = Interval(parse_utc("2021-06-01T00:00Z"), parse_utc("2021-06-02T01:00Z"))
    with Book(tmp_path / "ledger.sqlite") as book:
        kept = [
            book.covering(Kind.MARGINAL, "AU-VIC", day, "regression"),
            book.covering(Kind.AVERAGE, "AU-VIC", day, "average"),
        ]
    for answer, factors in zip(answers, kept, strict=True):
        pounds = [row["value"] for row in answer["data"]]
        assert pounds == pytest.approx((factors.mid * 1000 / 453.59237).tolist(), rel=1e-14)
        assert len(pounds) == 25


def test_the_signal_index_looks_a_day_ahead(tmp_path, monkeypatch):
    """It is the place of the present value among the next 24 hours, in units `percentile`."""
    clock_at(monkeypatch, NOW)

    async def work(client):
        headers = await logged_in(client)
        ahead = (await client.get("/v3/forecast?region=ERCOT", headers=headers)).json()["data"]
        index = (await client.get("/v3/signal-index?region=ERCOT", headers=headers)).json()
        return [point["value"] for point in ahead], index

    ahead, index = asked(tmp_path, work)
    below, same = sum(v < ahead[0] for v in ahead), sum(v == ahead[0] for v in ahead)
    assert len(ahead) == 24
    assert index["data"] == [
        {"point_time": "2021-06-15T09:00:00+00:00", "value": round(100 * (below + same / 2) / 24)}
    ]
    assert index["meta"]["units"] == "percentile"


def test_after_the_record_its_dates_stand_in_and_the_answer_says_so(tmp_path, monkeypatch):
    """A year later the same dates answer: imputed, every one of them, and a warning names whose they are."""
    choice = record(monkeypatch, tmp_path, NOW + timedelta(days=365))
    later = DAY.replace("2021", "2022")
    answer = watttime(
        tmp_path, f"/v3/historical?region=NEM_VIC&{later}&include_imputed_marker=true", choice
    ).json()
    assert all(row["imputed_data_used"] for row in answer["data"])
    assert answer["data"][0]["point_time"] == "2022-06-01T00:00:00+00:00"
    [warning] = answer["meta"]["warnings"]
    assert warning["type"] == "STAND_IN"
    assert "2021-06-01T00:00Z" in warning["message"]


def test_a_part_of_a_grid_is_answered_by_the_whole_and_named(tmp_path):
    """Our zone is coarser than theirs."""
    answer = watttime(tmp_path, "/v3/forecast?region=ERCOT_WESTTX&horizon_hours=1").json()
    assert answer["meta"]["region"] == "ERCOT_WESTTX"
    assert answer["meta"]["warnings"][0]["type"] == "COARSER_REGION"


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/v3/historical?region=NOWHERE&" + DAY, 404, "unknown region"),
        ("/v3/historical?region=DE&start=2021-06-01T00:00&end=2021-06-02T00:00Z", 400, "UTC offset"),
        ("/v3/historical?region=DE&start=2021-06-02T00:00Z&end=2021-06-01T00:00Z", 400, "swap them"),
        ("/v3/historical?region=DE&start=2021-06-01T00:00Z&end=2021-07-04T00:00Z", 400, "32 days"),
        ("/v3/historical?region=DE&start=yesterday&end=today", 400, "ISO 8601"),
        ("/v3/historical?region=DE&start=2150-06-01T00:00Z&end=2150-06-02T00:00Z", 400, "has not come yet"),
        ("/v3/historical?region=DE", 400, "query.start"),
        (f"/v3/historical?region=DE&{DAY}&signal_type=health_damage", 400, "co2_moer or co2_aoer"),
        (f"/v3/historical?region=DE&{DAY}&model=2020-01-01", 400, "leave it out"),
        ("/v3/forecast?region=DE&horizon_hours=73", 400, "horizon_hours"),
        ("/v3/forecast/historical?region=DE&start=2021-06-01T00:00Z&end=2021-06-03T00:00Z", 400, "1 days"),
        ("/v3/region-from-loc?latitude=0&longitude=0", 404, "name the zone"),
        ("/v3/region-from-loc?latitude=91&longitude=0", 400, "no place"),
        ("/v3/region-from-loc?latitude=north&longitude=0", 400, "latitude"),
        ("/v3/signal-index?region=DE&signal_type=co2_aoer", 400, "co2_moer"),
    ],
)
def test_bad_input_is_refused_in_their_shape(tmp_path, path, status, says):
    """An `error` and a `message` that names the thing and the way out."""
    answer = watttime(tmp_path, path)
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error", "message"}
    assert says in answer.json()["message"]


def test_who_has_no_token_is_refused(tmp_path, monkeypatch):
    """None, a wrong one, and one older than half an hour; the password alone does not do either."""

    async def work(client):
        held = await logged_in(client)
        fine = await client.get("/v3/my-access", headers=held)
        basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        wrong = [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {basic}"}]
        refused = [await client.get("/v3/my-access", headers=headers) for headers in wrong]
        logins = [await client.get("/login", auth=(USER, PASSWORD + "x")), await client.get("/login")]
        return held, fine, [*refused, *logins]

    clock_at(monkeypatch, NOW)
    held, fine, refused = asked(tmp_path, work)
    assert fine.status_code == 200
    assert [answer.status_code for answer in refused] == [401] * 5
    assert all(answer.json()["error"] == "Unauthorized" for answer in refused)
    for minutes, status in ((29, 200), (31, 401)):
        clock_at(monkeypatch, NOW + timedelta(minutes=minutes))
        assert asked(tmp_path, lambda c: c.get("/v3/my-access", headers=held)).status_code == status


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"password": "Tr0ub4d"}, "8 characters"),
        ({"username": " "}, "username"),
        ({"username": "a:b"}, "colon"),
        ({"email": "nowhere"}, "email"),
        ({"org": "x" * 300}, "shorten"),
    ],
)
def test_an_account_that_cannot_be_is_refused(tmp_path, change, says):
    """Before anything is kept, and without repeating the password."""
    answer = asked(tmp_path, lambda client: client.post("/register", json=ACCOUNT | change))
    assert answer.status_code == 400
    assert says in answer.json()["message"]
    assert (ACCOUNT | change)["password"] not in answer.text


def test_a_name_is_registered_once(tmp_path):
    """The second time it is taken, and the first password stays."""

    async def work(client):
        await client.post("/register", json=ACCOUNT)
        again = await client.post("/register", json=ACCOUNT | {"password": "another password"})
        return again, await client.get("/login", auth=(USER, PASSWORD))

    again, login = asked(tmp_path, work)
    assert (again.status_code, login.status_code) == (400, 200)
    assert "taken" in again.json()["message"]


def test_nothing_secret_is_kept_in_clear(tmp_path):
    """Neither the password nor a token stands in the file, and only its owner may read it."""
    accounts = Accounts(tmp_path / "faces.sqlite", lambda: NOW)
    accounts.register(USER, PASSWORD, "ann@example.org", None)
    token = accounts.token(USER)
    assert accounts.holds(token)
    assert not accounts.holds(token[:-1])
    body = accounts.path.read_bytes()
    assert PASSWORD.encode() not in body
    assert token.encode() not in body
    assert stat.S_IMODE(accounts.path.stat().st_mode) == 0o600
    with sqlite3.connect(accounts.path) as database:
        salts = {row[0] for row in database.execute("SELECT salt FROM accounts")}
    database.close()
    assert all(len(salt) == 16 for salt in salts)


@pytest.fixture(scope="module")
def accounts(tmp_path_factory):
    """One account; a hash takes long on purpose, so there is one for every example."""
    made = Accounts(tmp_path_factory.mktemp("accounts") / "faces.sqlite", lambda: NOW)
    made.register(USER, PASSWORD, "ann@example.org", None)
    return made


@settings(max_examples=12)
@given(st.sampled_from([USER, "bob", ""]) | st.text(max_size=9), st.text(max_size=20))
def test_only_the_registered_pair_is_known(accounts, username, password):
    """No other name or password gets in, whatever characters it has."""
    assert not accounts.knows(username, password)
    assert accounts.knows(USER, PASSWORD)


def test_too_many_accounts_are_refused(tmp_path, monkeypatch):
    """The file does not grow without end."""
    monkeypatch.setattr("gridmargin.interfaces.faces.accounts.MOST_ACCOUNTS", 1)
    accounts = Accounts(tmp_path / "faces.sqlite", lambda: NOW)
    accounts.register(USER, PASSWORD, "ann@example.org", None)
    with pytest.raises(InputError, match="1 accounts are kept"):
        accounts.register("bob", PASSWORD, "bob@example.org", None)


def test_where_the_server_has_a_key_it_is_the_password(tmp_path):
    """Nobody registers; any name with the key logs in; its token opens WattTime's paths and no other."""

    async def work(client):
        answers = {
            "register": await client.post("/register", json=ACCOUNT),
            "register with key": await client.post(
                "/register", json=ACCOUNT, headers={"Authorization": f"Bearer {KEY}"}
            ),
            "wrong": await client.get("/login", auth=(USER, "wrong")),
            "login": await client.get("/login", auth=(USER, KEY)),
        }
        held = {"Authorization": f"Bearer {answers['login'].json()['token']}"}
        for path in ("/v3/my-access", "/v1/status", "/emissions/bylocation?location=DE"):
            answers[path] = await client.get(path, headers=held)
        return {name: answer.status_code for name, answer in answers.items()}

    assert asked(tmp_path, work, key=KEY) == {
        "register": 401, "register with key": 403, "wrong": 401, "login": 200, "/v3/my-access": 200,
        "/v1/status": 401, "/emissions/bylocation?location=DE": 401,
    }  # fmt: skip
