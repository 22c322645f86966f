"""REST: good answers, the one error shape everywhere, the key, paging, and a server that outlives its stream."""

import asyncio
import json
import logging
import socket
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
import pytest

from gridmargin.interfaces.cli.up_command import _listen, _stream
from gridmargin.interfaces.rest import Desk, build_app
from gridmargin.settings import Settings
from gridmargin.wiring import choose_source, open_workplace

KEY = "a-key-of-sixteen-or-more"
T = "2026-07-15T18:15:00Z"


@asynccontextmanager
async def serving(folder, *, key=None, stream=False):
    """A client of a server in this process, and its desk."""
    choice = choose_source("reference", Settings())
    with open_workplace(folder, Settings()) as place:
        desk = Desk(place, choice, "US-ERCO", _stream(place, choice, "US-ERCO") if stream else None)
        transport = httpx.ASGITransport(build_app(desk, key), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client, desk


def asked(folder, work, **choices):
    async def whole():
        async with serving(folder, **choices) as (client, desk):
            return await work(client, desk)

    return asyncio.run(whole())


def body(n=3, **more):
    rows = [
        {"arrival_utc": f"2026-07-15T18:15:{k:02d}Z", "prompt_tokens": 100 + k, "generated_tokens": 20}
        for k in range(n)
    ]
    return {"zone": "US-ERCO", "device": "H100", "model": "llama-3.1-8b", "requests": rows} | more


@pytest.mark.parametrize(
    "path",
    [
        "/", "/v1/status", "/v1/zones", "/v1/zones/US-ERCO/now", "/v1/receipts", "/v1/totals", "/openapi.json",
        "/v1/zones/US-ERCO/factor", "/v1/zones/US-ERCO/factor?kind=average",
        f"/v1/zones/US-ERCO/factors?start={T}&end=2026-07-15T20:15:00Z", f"/v1/zones/US-ERCO/ledger?start={T}",
    ],
)  # fmt: skip
def test_every_route_answers(path, tmp_path):
    """200 without a key on loopback; 401 in the one shape where a key is set and not given."""
    assert asked(tmp_path, lambda c, d: c.get(path)).status_code == 200
    refused = asked(tmp_path, lambda c, d: c.get(path), key=KEY)
    assert refused.status_code == 401
    assert set(refused.json()["error"]) == {"code", "message", "way_out"}
    held = asked(tmp_path, lambda c, d: c.get(path, headers={"Authorization": f"Bearer {KEY}"}), key=KEY)
    assert held.status_code == 200


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/v1/zones/US-ERCO/now?att=2026-07-15T18:15Z", "did you mean: at"),
        ("/v1/zones/US-ERCO/factor?estimater=blend", "did you mean: estimator"),
        (f"/v1/zones/US-ERCO/disagreement?start={T}&end={T}&whith=DE", "did you mean: with"),
        (f"/v1/zones/US-ERCO/ledger?start={T}&AS_OF={T}", "did you mean: as_of"),
        ("/v1/zones/where?place=DE&zzz=1", "known: at, place, workload"),
        ("/v1/status?verbose=1", "takes none"),
        ("/v1/receipts?limit=5&curser=x", "did you mean: cursor"),
    ],
)
def test_a_misspelt_query_parameter_is_refused_by_name(path, says, tmp_path):
    """422 in the one shape, with the nearest name the route knows."""
    answer = asked(tmp_path, lambda c, d: c.get(path))
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "way_out"}
    assert "unknown query parameter" in error["message"]
    assert says in error["message"]


def test_the_page_and_the_compatible_faces_stay_tolerant(tmp_path):
    """The originals answer whatever else is in the query, and so does a page that is linked with a mark in its address."""
    for path in (
        "/?from=mail",
        "/v3/zones?utm=x",
        "/locations?utm=x",
    ):
        assert asked(tmp_path, lambda c, d, path=path: c.get(path)).status_code == 200, path


def test_every_described_route_looks_at_the_names(tmp_path):
    """No route of ours that takes a query is left out, whoever adds one."""

    async def work(client, desk):
        described = (await client.get("/openapi.json")).json()["paths"]
        refused = {}
        for path, methods in described.items():
            if "get" in methods and path != "/v1/events":
                url = path.replace("{zone}", "US-ERCO").replace("{kind}", "entry")
                url = url.replace("{record_id}", "1").replace("{receipt_id}", "r0-1")
                refused[path] = (await client.get(f"{url}?nobody_knows_this=1")).status_code
        return refused

    refused = asked(tmp_path, work)
    assert len(refused) > 15
    assert set(refused.values()) == {422}


@pytest.mark.parametrize(
    ("method", "path", "more", "status"),
    [
        ("GET", "/v1/zones/US-ERC/now", {}, 404),
        ("GET", "/v1/zones/US-ERCO/now?at=2026-07-15T18:15:00", {}, 422),
        ("GET", f"/v1/zones/US-ERCO/factors?start={T}&end=2020-01-01T00:00Z", {}, 422),
        ("GET", f"/v1/zones/US-ERCO/factors?start={T}", {}, 422),
        ("GET", "/v1/receipts?cursor=nonsense", {}, 422),
        ("GET", "/v1/receipts?limit=0", {}, 422),
        ("GET", "/v1/receipts?limit=501", {}, 422),
        ("GET", "/v1/receipts/r0-2", {}, 404),
        ("GET", "/v1/receipts/r0-2/explain", {}, 404),
        ("GET", "/v1/nothing", {}, 404),
        ("GET", "/nothing.html", {}, 404),
        ("GET", "/assets/nothing.js", {}, 404),
        ("GET", "/v1/account", {}, 405),
        ("DELETE", "/v1/zones", {}, 405),
        ("GET", "/v1/zones", {"headers": {"Host": "evil.example"}}, 421),
        ("GET", f"/v1/ledger/proof/marginal/{'9' * 30}", {}, 422),
        ("GET", f"/v1/ledger/consistency?tree_size={'9' * 30}", {}, 422),
        ("POST", "/v1/zones/US-ERCO/forecast", {"headers": {"Origin": "https://evil.example"}}, 403),
        ("POST", "/v1/zones/US-ERCO/forecast", {"headers": {"Origin": "null"}}, 403),
        ("POST", "/v1/account", {"json": body(), "headers": {"Sec-Fetch-Site": "cross-site"}}, 403),
        ("POST", "/v1/account", {"content": b"{", "headers": {"Content-Type": "application/json"}}, 422),
        ("POST", "/v1/account", {"headers": {"Content-Length": str(9 * 2**20)}, "content": b""}, 413),
        ("POST", "/v1/account", {"headers": {"Content-Length": "x"}, "content": b""}, 411),
        ("POST", "/v1/account", {"json": body(0)}, 422),
        ("POST", "/v1/account", {"json": body(zone="US-ERC")}, 404),
        ("POST", "/v1/account", {"json": body(device="Z80")}, 404),
        ("POST", "/v1/account", {"json": body(requests=[{"arrival_utc": "2026-07-15T18:15:00", "prompt_tokens": 1, "generated_tokens": 1}])}, 422),
        ("POST", "/v1/account", {"json": body(requests=[{"arrival_utc": T, "prompt_tokens": 1, "generated_tokens": 1, "request_id": "a"}] * 2)}, 422),
        ("POST", "/v1/account", {"json": body(requests=[{"arrival_utc": T, "prompt_tokens": -1, "generated_tokens": 1}])}, 422),
    ],
)  # fmt: skip
def test_every_refusal_has_the_one_shape(method, path, more, status, tmp_path):
    """Whatever is wrong, the answer is `{"error": {"code", "message", "way_out"}}` with a fitting status."""
    answer = asked(tmp_path, lambda c, d: c.request(method, path, **more))
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error"}
    assert set(answer.json()["error"]) == {"code", "message", "way_out"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}, {"Origin": "http://localhost"}, {},
        {"Origin": "https://proxied.example", "Sec-Fetch-Site": "same-origin"},
    ],
)  # fmt: skip
def test_our_own_page_and_a_client_without_one_may_write(headers, tmp_path):
    answer = asked(tmp_path, lambda c, d: c.post("/v1/account", json=body(), headers=headers))
    assert answer.status_code == 200, answer.text


def test_another_page_may_not_write_with_the_key_its_browser_remembers(tmp_path):
    headers = {"Authorization": f"Bearer {KEY}", "Origin": "https://evil.example"}
    answer = asked(tmp_path, lambda c, d: c.post("/v1/account", json=body(), headers=headers), key=KEY)
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "changed",
    [{"username": "a\ud800"}, {"username": "a\0"}, {"password": "password\ud800"}, {"org": "\udfff"}],
)
def test_an_account_of_half_characters_is_refused(changed, tmp_path):
    said = {"username": "ann", "password": "long enough", "email": "a@b.example"} | changed
    sent = {"content": json.dumps(said), "headers": {"Content-Type": "application/json"}}
    assert asked(tmp_path, lambda c, d: c.post("/register", **sent)).status_code == 400


def test_a_small_log_is_priced_once_and_pages_give_each_receipt_once(tmp_path):
    """The same list is the same run; pages of two give all seven, though more are priced on the way."""

    async def work(client, _desk):
        first = (await client.post("/v1/account", json=body(7))).json()
        again = (await client.post("/v1/account", json=body(7))).json()
        assert again["run_id"] == first["run_id"]
        assert len(first["receipts"]) == first["totals"]["requests"] == 7
        seen, cursor = [], None
        while True:
            page = (
                await client.get("/v1/receipts", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
            ).json()
            seen += [r["receipt_id"] for r in page["receipts"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
            newer = body(1)["requests"]
            newer[0]["arrival_utc"] = f"2026-07-16T18:{len(seen):02d}:00Z"
            await client.post("/v1/account", json=body(requests=newer))
        return first, seen

    first, seen = asked(tmp_path, work)
    assert len(seen) == len(set(seen))
    assert set(seen) == {r["receipt_id"] for r in first["receipts"]}


def test_a_policy_and_outcomes_are_told_over_rest(tmp_path):
    """The policy makes another run with the same parts; an outcome comes back on the receipt, an unknown one does not."""

    async def work(client, _desk):
        usual, own = [
            (await client.post("/v1/account", json=body(2) | more)).json() for more in ({}, {"charge": "own"})
        ]
        told = body(2)
        told["requests"][0] |= {"outcome": "failed", "service": "search", "retry_of": "x"}
        labelled = (await client.post("/v1/account", json=told)).json()
        told["requests"][0]["outcome"] = "lost"
        refused = [await client.post("/v1/account", json=one) for one in (told, body(2) | {"charge": "fair"})]
        return usual, own, labelled, refused

    usual, own, labelled, refused = asked(tmp_path, work)
    assert own["run_id"] != usual["run_id"]
    assert own["energy_parts_j"] == usual["energy_parts_j"]
    assert own["totals"]["energy_j"] == pytest.approx(
        sum(own["energy_parts_j"][p] for p in ("prefill", "decode", "work"))
    )
    first = labelled["receipts"][0]
    assert (first["outcome"], first["service"], first["retry_of"]) == ("failed", "search", "x")
    assert set(first["energy_j"]) == set(usual["energy_parts_j"])
    assert [answer.status_code // 100 for answer in refused] == [4, 4]
    assert "is no outcome" in refused[0].json()["error"]["message"]


def test_a_failing_tick_is_logged_once_shown_and_tried_again(tmp_path, monkeypatch, caplog):
    """The server goes on answering; the status names the trouble until a tick works again, and no request is lost."""
    monkeypatch.setattr("gridmargin.interfaces.rest.desk.TICK_S", 0.05)

    async def work(client, desk):
        real, tries = desk.stream.tick, []

        def tick(now):
            tries.append(now)
            if len(tries) <= 3:
                raise OSError(28, "No space left on device", "/data")
            return real(now + timedelta(seconds=60))

        monkeypatch.setattr(desk.stream, "tick", tick)
        async with desk.running():
            while len(tries) < 2:
                await asyncio.sleep(0.02)
            trouble = (await client.get("/v1/status")).json()["stream"]["error"]
            while len(tries) < 6:
                await asyncio.sleep(0.02)
            mended = (await client.get("/v1/status")).json()["stream"]["error"]
            totals = (await client.get("/v1/totals")).json()
        return trouble, mended, totals

    with caplog.at_level(logging.ERROR, "gridmargin.stream"):
        trouble, mended, totals = asked(tmp_path, work, stream=True)
    assert trouble["code"] == "DiskFullError"
    assert "free some space" in trouble["message"]
    assert mended is None
    assert totals["requests"] > 0
    assert len([r for r in caplog.records if r.name == "gridmargin.stream"]) == 1


def test_an_unexpected_error_says_nothing_of_the_inside(tmp_path, monkeypatch):
    """500 in the one shape, without the exception's text."""

    async def work(client, desk):
        monkeypatch.setattr(desk, "zones", lambda: 1 / 0)
        return await client.get("/v1/zones")

    answer = asked(tmp_path, work)
    assert answer.status_code == 500
    assert "division" not in answer.text
    assert answer.json()["error"]["code"] == "Internal"


def test_openapi_lists_the_one_error_shape(tmp_path):
    """Every operation names the error model for 404, 409 and 422."""
    spec = asked(tmp_path, lambda c, d: c.get("/openapi.json")).json()
    operations = [op for path in spec["paths"].values() for op in path.values()]
    assert len(operations) >= 10
    for operation in operations:
        for status in ("404", "409", "422"):
            schema = operation["responses"][status]["content"]["application/json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/ErrorModel"}


def test_one_factor_is_the_one_that_now_gives(tmp_path):
    """Marginal by the primary estimator, by another, or the average: each with its ledger entry; never two in one."""

    async def work(client, _desk):
        now = (await client.get(f"/v1/zones/US-ERCO/now?at={T}")).json()
        path = f"/v1/zones/US-ERCO/factor?at={T}"
        return now, [
            (await client.get(path + more)).json() for more in ("", "&estimator=fleet_curve", "&kind=average")
        ]

    now, (primary, other, average) = asked(tmp_path, work)
    by_name = {entry["estimator"]: entry for entry in now["marginal"]}
    for factor, entry in (
        (primary, by_name[now["primary"]]), (other, by_name["fleet_curve"]), (average, now["average"]),
    ):  # fmt: skip
        for field in ("kind", "estimator", "entry_id", "factor_gco2_per_kwh", "basis", "interval"):
            assert factor[field] == entry[field]
        assert factor["status"] == "modelled"


def test_one_factor_is_said_again_within_a_second_and_asked_anew_after(tmp_path, monkeypatch):
    asks = []

    async def work(client, desk):
        real = desk.now

        async def counted(*arguments):
            asks.append(arguments)
            return await real(*arguments)

        monkeypatch.setattr(desk, "now", counted)
        first = await client.get(f"/v1/zones/US-ERCO/factor?at={T}")
        again = await client.get(f"/v1/zones/US-ERCO/factor?at={T}")
        desk._factors = {key: (0.0, body) for key, (_, body) in desk._factors.items()}
        late = await client.get(f"/v1/zones/US-ERCO/factor?at={T}")
        return first.content, again.content, late.content

    first, again, late = asked(tmp_path, work)
    assert first == again == late
    assert len(asks) == 2


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("?estimator=nobody", 404),
        ("?kind=both", 422),
        ("?at=2026-07-15T18:15:00", 422),
        ("?estimator=network", 404),
    ],
)
def test_one_factor_that_is_not_there_is_said(tmp_path, query, status):
    answer = asked(tmp_path, lambda c, d: c.get(f"/v1/zones/US-ERCO/factor{query}"))
    assert answer.status_code == status, answer.text
    assert set(answer.json()["error"]) == {"code", "message", "way_out"}


def test_small_answers_are_sent_at_once():
    """The listening socket names its protocol, so that the event loop turns Nagle's waiting off for every client."""

    async def work():
        told = asyncio.get_running_loop().create_future()

        async def serve(_reader, writer):
            told.set_result(
                writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            )
            writer.close()

        listener = _listen("127.0.0.1", 0)
        async with await asyncio.start_server(serve, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            said = await told
            writer.close()
            return said

    assert asyncio.run(work())
