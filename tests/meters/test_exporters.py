"""Pages of metrics and answers of servers: dcgm-exporter, Kepler, Prometheus, Redfish."""

import contextlib
import logging
import math
import socket
import ssl
import threading

import prometheus_client.parser as parser
import pytest
import trustme
from hypothesis import example, given
from hypothesis import strategies as st

from gridmargin.meters import METERS, Quantity, Reach, Surroundings, dcgm, kepler, prometheus, redfish
from gridmargin.meters.fetching import Fetcher
from gridmargin.vocab import InputError, NoMeterError, Status
from meters.fakes import Clock, Dcgm, OldRedfish, Redfish, close_all, library, opened, play, serve

PASSWORD = "wachtwoord-7"

WORDS = st.sampled_from(
    ["Members", "@odata.id", "Links", "ContainedBy", "Id", "EnvironmentMetrics", "Power", "PowerControl", "PowerWatts",
     "PowerSubsystem", "PowerSupplies", "Metrics", "InputPowerWatts", "EnergykWh", "Reading", "PowerConsumedWatts",
     "status", "data", "resultType", "result", "metric", "value", "error"]
)  # fmt: skip


@pytest.fixture(autouse=True)
def _servers_end():
    yield
    close_all()


def test_a_board_that_is_split_is_counted_once(tmp_path):
    """Its instances and pods each show the board's own counter."""
    world = Dcgm(tmp_path)
    world.energy_j = 5_551_899.580
    _, page = world.body("", "")
    samples, names = dcgm.decode(page, parser)
    assert names == {"GPU-5b4e07f6-3a86-4340-039d-25f2a83cdc43": "NVIDIA L40S"}
    assert {s.channel.quantity: s.value for s in samples} == {
        Quantity.ENERGY: 5_551_899.58,
        Quantity.MEAN_POWER: 100.0,
        Quantity.CLOCK: 345.0,
    }


@pytest.mark.parametrize("blank", ["9223372036854775792", "9223372036854775794", "140737488355328", "NaN"])
def test_dcgms_blanks_are_no_figures(tmp_path, blank):
    """Not found, not supported, not permitted: huge numbers that mean none."""
    world = Dcgm(tmp_path)
    world.energy_j, world.energy_text = 1.0, blank
    samples, _ = dcgm.decode(world.body("", "")[1], parser)
    assert Quantity.ENERGY not in {s.channel.quantity for s in samples}


def test_a_page_without_dcgms_names_says_so(tmp_path):
    """Another exporter at that address."""
    world = Dcgm(tmp_path)
    with opened(world, "dcgm") as meter:
        world.body = lambda *_: (200, "# TYPE up gauge\nup 1\n")
        with pytest.raises(NoMeterError, match="the page has none of DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"):
            meter.ask()


def test_a_page_cut_in_a_line_is_refused(tmp_path):
    """Not read as far as it goes."""
    with pytest.raises(NoMeterError, match="the page of metrics cannot be read"):
        dcgm.decode('DCGM_FI_DEV_POWER_USAGE{gpu="0",UUID="GPU-5b4e', parser)


def test_a_page_may_state_its_own_times():
    """In milliseconds, by the text format."""
    [sample], _ = dcgm.decode('DCGM_FI_DEV_POWER_USAGE{UUID="g"} 61.5 1784138400123\n', parser)
    assert sample.time_us == 1_784_138_400_123_000


OLD_KEPLER = """
# TYPE kepler_container_joules_total counter
kepler_container_joules_total{container_id="7d1",container_name="web",container_namespace="shop",mode="dynamic",pod_name="web-0"} 31.25
kepler_container_joules_total{container_id="7d1",container_name="web",container_namespace="shop",mode="idle",pod_name="web-0"} 400
kepler_container_package_joules_total{container_name="web",container_namespace="shop",mode="dynamic",pod_name="web-0"} 29
kepler_node_package_joules_total{instance="n1",mode="dynamic",package="0",source="rapl-sysfs"} 1000
kepler_node_package_joules_total{instance="n1",mode="idle",package="0",source="rapl-sysfs"} 9000
kepler_node_dram_joules_total{instance="n1",mode="dynamic",package="0",source="rapl-sysfs"} 200
kepler_node_platform_joules_total{instance="n1",mode="dynamic",source="acpi"} 5000
"""

NEW_KEPLER = """
# TYPE kepler_pod_cpu_joules_total counter
kepler_pod_cpu_joules_total{node_name="n1",pod_id="1f2e",pod_name="web-0",pod_namespace="shop",state="running",zone="package"} 67.9
kepler_pod_cpu_joules_total{node_name="n1",pod_id="1f2e",pod_name="web-0",pod_namespace="shop",state="terminated",zone="package"} 12
kepler_pod_cpu_joules_total{node_name="n1",pod_id="1f2e",pod_name="web-0",pod_namespace="shop",state="running",zone="core"} 50
kepler_pod_cpu_joules_total{node_name="n1",pod_id="1f2e",pod_name="web-0",pod_namespace="shop",state="running",zone="dram"} 8.5
kepler_pod_cpu_watts{node_name="n1",pod_id="1f2e",pod_name="web-0",pod_namespace="shop",state="running",zone="package"} 3
kepler_node_cpu_joules_total{node_name="n1",path="/sys/class/powercap/intel-rapl:0",zone="package"} 123.45
kepler_node_cpu_joules_total{node_name="n1",path="/sys/class/powercap/intel-rapl:1",zone="psys"} 999
kepler_node_cpu_idle_joules_total{node_name="n1",path="/sys/class/powercap/intel-rapl:0",zone="package"} 100
"""


def told_by(page, level):
    return {s.channel.device: (s.value, s.channel.status) for s in kepler.decode(page, level, parser)}


def test_both_generations_of_keplers_names_are_read():
    """Pods are modelled, since Kepler shares by CPU time; nodes are as RAPL reported; no zone inside another."""
    assert told_by(OLD_KEPLER, "pod") == {
        "shop/web-0/web/dynamic": (31.25, Status.MODELLED),
        "shop/web-0/web/idle": (400.0, Status.MODELLED),
    }
    assert told_by(OLD_KEPLER, "node") == {
        "n1/package/0/dynamic": (1000.0, Status.REPORTED),
        "n1/package/0/idle": (9000.0, Status.REPORTED),
        "n1/dram/0/dynamic": (200.0, Status.REPORTED),
    }
    assert told_by(NEW_KEPLER, "pod") == {
        "shop/web-0#1f2e/package": (67.9, Status.MODELLED),
        "shop/web-0#1f2e/dram": (8.5, Status.MODELLED),
    }
    assert told_by(NEW_KEPLER, "node") == {
        "n1/package//sys/class/powercap/intel-rapl:0": (123.45, Status.REPORTED)
    }


def test_a_level_that_is_not_known_is_refused():
    """With those that are."""
    with pytest.raises(InputError, match="GRIDMARGIN_KEPLER_LEVEL=vm is not known; give pod or node"):
        METERS.get("kepler")(lambda: "", "vm", parser, Clock())


@pytest.mark.parametrize(
    ("unit", "quantity", "value"),
    [
        ("J", Quantity.ENERGY, 2.5),
        ("kWh", Quantity.ENERGY, 9e6),
        ("Wh", Quantity.ENERGY, 9000.0),
        ("kW", Quantity.POWER, 2500.0),
    ],
)
def test_a_query_counts_in_the_unit_that_was_said(unit, quantity, value):
    """And a device is named by all its labels."""
    row = {"metric": {"__name__": "x", "rack": "7", "pdu": "a"}, "value": [1784138400.25, "2.5"]}
    [sample] = prometheus.decode(
        {"status": "success", "data": {"resultType": "vector", "result": [row]}}, unit
    )
    assert (sample.channel.device, sample.channel.quantity, sample.value) == ("pdu=a,rack=7", quantity, value)
    assert sample.time_us == 1_784_138_400_250_000


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (
            {"status": "error", "errorType": "bad_data", "error": "parse error"},
            "the query fails: parse error",
        ),
        ({"status": "success", "data": {"resultType": "matrix", "result": []}}, "no instant vector"),
    ],
)
def test_an_answer_that_is_no_vector_is_said(answer, says):
    """With what to correct."""
    with pytest.raises(NoMeterError, match=f"{says}.*GRIDMARGIN_PROMETHEUS_QUERY"):
        prometheus.decode(answer, "J")


def test_a_value_that_is_no_number_is_no_sample():
    """Prometheus writes NaN and +Inf as text."""
    rows = [{"metric": {"a": str(i)}, "value": [1.0, text]} for i, text in enumerate(["NaN", "+Inf", "1"])]
    found = prometheus.decode({"status": "success", "data": {"resultType": "vector", "result": rows}}, "W")
    assert [s.channel.device for s in found] == ["a=2"]


@pytest.mark.parametrize("words", [{}, {"query": "up"}, {"query": "up", "unit": "BTU"}])
def test_a_query_without_its_unit_is_refused(tmp_path, words):
    """What is counted cannot be guessed."""
    around = Surroundings(Clock(), lambda _: Reach("http://127.0.0.1:9", words), tmp_path, library())
    with pytest.raises(NoMeterError, match=r"GRIDMARGIN_PROMETHEUS_(QUERY|UNIT)"):
        METERS.get("prometheus").open(around)


def test_the_finest_counter_of_a_chassis_is_taken():
    """Joules before kilowatt-hours, the lifetime before what a reset set back."""
    figures = {
        "PowerWatts": {"Reading": 374},
        "EnergykWh": {"Reading": 3638, "LifetimeReading": 6491},
    }
    assert [(s.channel.quantity, s.value) for s in redfish.decode("1U", figures)] == [
        (Quantity.ENERGY, 6491 * 3.6e6),
        (Quantity.POWER, 374.0),
    ]
    figures["EnergyJoules"] = {"Reading": 12345.5}
    assert redfish.decode("1U", figures)[0].value == 12345.5
    assert redfish.decode("1U", {"PowerWatts": {"Reading": None}, "EnergykWh": {}, "PowerControl": []}) == []


def test_a_chassis_inside_another_is_left_out_unless_named(tmp_path):
    """What the tray of accelerators draws, the server has drawn already."""
    world = Redfish(tmp_path)
    world.energy_j = 5.0
    with opened(world, "redfish") as meter:
        assert {s.channel.device for s in meter.ask()} == {"1U"}
    world = Redfish(tmp_path)
    world.words = {"chassis": "HGX_0"}
    with opened(world, "redfish") as meter:
        assert {s.channel.device for s in meter.ask()} == {"HGX_0"}


def test_an_older_bmc_is_read_by_its_power_resource(tmp_path):
    """PowerControl, where there are no EnvironmentMetrics."""
    world = OldRedfish(tmp_path)
    with opened(world, "redfish") as meter:
        for second in (0, 10):
            world.clock.us += second * 1_000_000
            meter.sample()
        [reading] = meter.readings()
    assert reading.energy_j == pytest.approx(1000.0)


def test_user_and_password_go_to_the_bmc_and_nowhere_else(tmp_path, caplog):
    """Over TLS that is checked; a certificate that is not known is refused, and one that is named is believed."""
    caplog.set_level(logging.DEBUG)
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    pem = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(pem))
    world = Redfish(tmp_path)
    world.url = serve(world, context)
    world.words = {"user": "ann", "password": PASSWORD}
    around = world.around()
    with pytest.raises(
        NoMeterError, match="not to be trusted; name its certificate's file in GRIDMARGIN_REDFISH_CA"
    ) as told:
        METERS.get("redfish").open(around)
    world.words["ca"] = str(pem)
    meter = METERS.get("redfish").open(around)
    assert meter.ask()
    assert world.asked["Authorization"].startswith("Basic ")
    world.silent = True
    meter.sample()
    shown = [str(told.value), repr(meter), str(meter.faults()), repr(around), caplog.text]
    assert not any(PASSWORD in text or "Basic " in text for text in shown)
    meter.close()


@pytest.mark.parametrize(
    ("url", "password", "says"),
    [
        (
            "https://ann:secret@bmc.example",
            None,
            "holds a user or a password.*_USER and GRIDMARGIN_REDFISH_PASSWORD",
        ),
        ("http://bmc.example", "secret", "would send a secret unencrypted; give its https"),
        ("bmc.example", None, "is no address"),
        ("https://bmc.example:port", None, "is no address"),
        ("file:///etc/passwd", None, "is no address"),
    ],
)
def test_an_address_that_shows_or_leaks_a_secret_is_refused(url, password, says):
    """And its message does not repeat it."""
    with pytest.raises(NoMeterError, match=says) as told:
        Fetcher("redfish", url, password=password)
    assert "secret@" not in str(told.value)


def test_a_server_that_refuses_or_sends_nonsense_is_named(tmp_path):
    """The status, the address, and which variable to look at."""
    world = Redfish(tmp_path)
    around = world.around()
    world.answer = lambda *_: (401, "")
    with pytest.raises(NoMeterError, match=r"/redfish/v1/Chassis answers 401; give GRIDMARGIN_REDFISH_USER"):
        METERS.get("redfish").open(around)
    world.answer = lambda *_: (200, "<html>")
    with pytest.raises(NoMeterError, match="something else than a JSON object"):
        METERS.get("redfish").open(around)
    world.answer = lambda *_: (302, "")
    with pytest.raises(NoMeterError, match="answers 302"):
        METERS.get("redfish").open(around)
    around = Surroundings(Clock(), lambda _: Reach("http://127.0.0.1:9"), tmp_path, library())
    with pytest.raises(NoMeterError, match=r"http://127.0.0.1:9/redfish/v1/Chassis cannot be reached"):
        METERS.get("redfish").open(around)


def test_a_body_without_end_is_cut_off(tmp_path, monkeypatch):
    """At a limit, not at the end of memory."""
    monkeypatch.setattr("gridmargin.meters.fetching.MOST_BYTES", 1000)
    world = Dcgm(tmp_path)
    with opened(world, "dcgm") as meter:
        world.body = lambda *_: (200, "# a\n" * 10_000)
        with pytest.raises(NoMeterError, match="sends more than 1,000 bytes"):
            meter.ask()


def test_kilowatt_hours_move_slowly_and_are_read_when_they_move(tmp_path):
    """A BMC that counts in steps of 0.1 kWh, asked every 10 s: no reading of 0 J between its steps."""
    world = Redfish(tmp_path)
    world.member, world.scale, world.unit_j = "EnergykWh", 3.6e6, 3.6e5
    with opened(world, "redfish") as meter:
        play(world, meter, [(i, 100 + i // 60) for i in range(190)])
        found = list(meter.readings())
    assert [r.energy_j for r in found] == pytest.approx([3.6e5] * 2)
    assert [r.resolution_s for r in found] == [600.0, 600.0]
    assert {r.status for r in found} == {Status.REPORTED}


def test_a_chassis_that_tells_nothing_is_read_by_its_supplies():
    """Each as a device; what a supply does not tell is no figure."""
    base = "/redfish/v1/Chassis/1"
    supplies = f"{base}/PowerSubsystem/PowerSupplies"
    pages = {
        "/redfish/v1/Chassis": {"Members": [{"@odata.id": base}]},
        base: {"Id": "1", "PowerSubsystem": {"@odata.id": f"{base}/PowerSubsystem"}},
        f"{base}/PowerSubsystem": {
            "Allocation": {"AllocatedWatts": 80},
            "PowerSupplies": {"@odata.id": supplies},
        },
        supplies: {"Members": [{"@odata.id": f"{supplies}/{i}"} for i in (0, 1, 2)]},
        **{
            f"{supplies}/{i}": {"Id": f"Bay{i}", "Metrics": {"@odata.id": f"{supplies}/{i}/Metrics"}}
            for i in (0, 1)
        },
        f"{supplies}/2": {"Id": "Bay2"},
        f"{supplies}/0/Metrics": {"InputPowerWatts": {"Reading": 937.4}, "EnergykWh": {"Reading": 2.5}},
        f"{supplies}/1/Metrics": {"InputPowerWatts": {"Reading": None}},
    }
    found = redfish.resources_of(pages.__getitem__)
    assert found == {"1/Bay0": f"{supplies}/0/Metrics"}
    assert [(s.channel.quantity, s.value) for s in redfish.decode("1/Bay0", pages[found["1/Bay0"]])] == [
        (Quantity.ENERGY, 9e6),
        (Quantity.POWER, 937.4),
    ]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


@given(answer=st.dictionaries(WORDS, ANYTHING, max_size=4))
@example(answer={"PowerWatts": {"Reading": 10**400}, "Members": [{"metric": {}, "value": [10**400, "1"]}]})
def test_an_answer_of_any_shape_is_read_or_refused(answer):
    """Whatever JSON comes, there are samples with figures or one clear error; no defect."""
    for sample in redfish.decode("c", answer):
        assert isinstance(sample.value, float)
    assert isinstance(redfish.resources_of(lambda _path: answer), dict)
    with contextlib.suppress(NoMeterError):
        assert all(math.isfinite(s.value) for s in prometheus.decode(answer, "kWh"))
    answer = {"status": "success", "data": {"resultType": "vector", "result": answer.get("Members")}}
    with contextlib.suppress(NoMeterError):
        assert all(math.isfinite(s.value) for s in prometheus.decode(answer, "kWh"))


@given(
    page=st.text(
        alphabet=st.sampled_from('DCGM_FI_DEV_POWER_USAGE{}="\\,\n 0123456789.eE+-NaNinfUUID#'), max_size=80
    )
)
def test_a_page_of_any_shape_is_read_or_refused(page):
    """The same for pages of metrics."""
    with contextlib.suppress(NoMeterError):
        samples, _ = dcgm.decode("DCGM_FI_DEV_POWER_USAGE" + page, parser)
        assert all(math.isfinite(s.value) for s in samples)


@pytest.mark.parametrize("head_first", [True, False], ids=["body drips", "head drips"])
def test_a_host_that_drips_is_given_up_in_time(monkeypatch, head_first):
    """Byte by byte, each within the wait for the next: the whole has a limit."""
    monkeypatch.setattr("gridmargin.meters.fetching.TOTAL_S", 0.5)
    ended = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))

    def drip():
        connection, _ = listening.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(1000)
            if head_first:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            else:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not ended.wait(0.05):
                connection.sendall(b"a")

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    fetcher = Fetcher("dcgm", f"http://127.0.0.1:{listening.getsockname()[1]}")
    with pytest.raises(NoMeterError, match="was not done within"):
        fetcher.text()
    ended.set()
    thread.join(5)
    listening.close()
    fetcher.close()
