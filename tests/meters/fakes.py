"""Stand-ins at the boundary of each instrument: the library's own types, the kernel's folders, servers on loopback.

A `World` has one device whose counter and power are set by the test; `silent` makes it stop answering.
"""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import prometheus_client.parser
import pynvml
import pysnmp.error
import pysnmp.hlapi.v3arch.asyncio as pysnmp_client

from gridmargin.meters import METERS, Reach, Surroundings
from gridmargin.meters.snmp import APC_DEVICE
from meters.pdu_agent import pdu

T0_US = 1_784_138_400_000_000
"""2026-07-15T18:00Z."""


class Clock:
    """The time of day, moved by the test."""

    def __init__(self):
        self.us = T0_US

    def __call__(self):
        return self.us


LIBRARIES = {
    "pynvml": pynvml,
    "prometheus_client.parser": prometheus_client.parser,
    "pysnmp.error": pysnmp.error,
    "pysnmp.hlapi.v3arch.asyncio": pysnmp_client,
}


def library(**instead):
    """An importer that knows what tests bring along and what stands in, and nothing else."""

    def found(name):
        known = {**LIBRARIES, **instead}
        if name not in known:
            raise ModuleNotFoundError(f"No module named {name!r}")
        return known[name]

    return found


class World:
    """One device. A counter or power of None is one that the device does not have."""

    unit_j = 1.0
    """What the counter's steps are multiples of. [J]"""

    def __init__(self, folder):
        self.folder = folder
        self.clock = Clock()
        self.energy_j = 0.0
        self.power_w = 100.0
        self.silent = False
        self.words = {}
        self.url = None
        self.libraries = {}

    def around(self):
        """What the meter is opened with."""
        self.put()
        reach = Reach(self.url, self.words)
        return Surroundings(self.clock, lambda _name: reach, self.folder, library(**self.libraries))

    def put(self):
        """Let the instrument show what was set."""


class Nvml(World):
    unit_j = 0.001
    n_boards = 1
    mean_power_w = None
    error = pynvml.NVML_ERROR_GPU_IS_LOST

    def around(self):
        self.libraries["pynvml"] = FakeNvml(self)
        return super().around()


class FakeNvml:
    """`pynvml` without a driver: its own constants, errors and structures, answers of ours."""

    def __init__(self, world):
        self.world = world
        self.n_open = 0
        self.nvmlInit, self.nvmlShutdown = self.init, self.shutdown
        self.nvmlDeviceGetCount, self.nvmlDeviceGetHandleByIndex = self.count, self.handle
        self.nvmlDeviceGetUUID, self.nvmlDeviceGetName = self.uuid, self.model
        self.nvmlDeviceGetFieldValues = self.fields
        self.nvmlDeviceGetTotalEnergyConsumption = self.not_had
        self.nvmlDeviceGetPowerUsage = self.mean_power
        self.nvmlDeviceGetClockInfo, self.nvmlDeviceGetUtilizationRates = self.clock, self.use

    def __getattr__(self, name):
        return getattr(pynvml, name)

    def init(self):
        self.n_open += 1

    def shutdown(self):
        self.n_open -= 1

    def count(self):
        return self.world.n_boards

    def handle(self, index):
        return pynvml.c_nvmlDevice_t()

    def uuid(self, handle):
        return "GPU-5b4e07f6-3a86-4340-039d-25f2a83cdc43"

    def model(self, handle):
        return "NVIDIA H100 80GB HBM3"

    def fields(self, handle, fields):
        if self.world.silent:
            raise pynvml.NVMLError(self.world.error)
        values = (pynvml.c_nvmlFieldValue_t * len(fields))()
        for value, field in zip(values, fields, strict=True):
            value.fieldId = field
            if field == pynvml.NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION and self.world.energy_j is not None:
                value.valueType = pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG
                value.value.ullVal = round(self.world.energy_j * 1000)
            elif field == pynvml.NVML_FI_DEV_POWER_INSTANT and self.world.power_w is not None:
                value.valueType = pynvml.NVML_VALUE_TYPE_UNSIGNED_INT
                value.value.uiVal = round(self.world.power_w * 1000)
            else:
                value.nvmlReturn = pynvml.NVML_ERROR_NOT_SUPPORTED
        return values

    def not_had(self, handle):
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    def mean_power(self, handle):
        if self.world.mean_power_w is None:
            self.not_had(handle)
        return round(self.world.mean_power_w * 1000)

    def clock(self, handle, kind):
        assert kind == pynvml.NVML_CLOCK_SM
        return 1980

    def use(self, handle):
        return pynvml.c_nvmlUtilization_t(gpu=87, memory=40)


class Amd(World):
    unit_j = 15.259e-6
    """Step of the counter of an MI300X."""

    def around(self):
        world = self

        AmdSmiException = type("AmdSmiException", (Exception,), {})  # noqa: N806 - the library's name

        def energy(handle):
            if world.silent or world.energy_j is None:
                raise AmdSmiException("AMDSMI_STATUS_NOT_SUPPORTED")
            steps = round(world.energy_j / world.unit_j)
            return {"energy_accumulator": steps, "counter_resolution": 15.259, "timestamp": 7}

        def power(handle):
            if world.silent:
                raise AmdSmiException("AMDSMI_STATUS_NO_DATA")
            now = "N/A" if world.power_w is None else round(world.power_w)
            return {"socket_power": now, "current_socket_power": now, "average_socket_power": "N/A"}

        self.libraries["amdsmi"] = SimpleNamespace(
            AmdSmiException=AmdSmiException, amdsmi_init=lambda: None,
            amdsmi_get_processor_handles=lambda: [object()], amdsmi_get_gpu_device_bdf=lambda _handle: "0000:c1:00.0",
            amdsmi_get_energy_count=energy, amdsmi_get_power_info=power,
        )  # fmt: skip
        return super().around()


class AmdFiles(World):
    """The amdgpu driver's files: power alone."""

    def put(self):
        card = self.folder / "sys/class/drm/card1"
        sensors = card / "device/hwmon/hwmon3"
        sensors.mkdir(parents=True, exist_ok=True)
        (self.folder / "sys/class/drm/card1-DP-1").mkdir(exist_ok=True)
        (card / "device/uevent").write_text("DRIVER=amdgpu\nPCI_SLOT_NAME=0000:c1:00.0\n")
        (card / "device/gpu_busy_percent").write_text("64\n")
        (sensors / "name").write_text("amdgpu\n")
        (sensors / "freq1_input").write_text("2100000000\n")
        if self.power_w is None or self.silent:
            (sensors / "power1_average").unlink(missing_ok=True)
        else:
            (sensors / "power1_average").write_text(f"{round(self.power_w * 1e6)}\n")


class Rapl(World):
    """A powercap folder of one package, its memory off by half a counter, its cores, and what shows the same again."""

    unit_j = 1e-6
    range_uj = 262_143_328_850

    def put(self):
        base = self.folder / "sys/class/powercap"
        zones = {
            "intel-rapl:0": "package-0",
            "intel-rapl:0/intel-rapl:0:0": "core",
            "intel-rapl-mmio:0": "package-0",
        }
        for zone, name in zones.items():
            folder = base / zone
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "name").write_text(f"{name}\n")
            (folder / "max_energy_range_uj").write_text(f"{self.range_uj}\n")
            # Written in place: the meter keeps the file open, as the kernel's stay what they are.
            text = "" if self.silent or self.energy_j is None else f"{round(self.energy_j * 1e6)}\n"
            (folder / "energy_uj").write_text(text)


class Served(World):
    """An instrument behind HTTP: `body` gives the answer to a path."""

    def around(self):
        self.url = self.url or serve(self)
        return super().around()

    def body(self, path, query):
        """The status, and the body as text."""
        raise NotImplementedError

    def answer(self, path, query):
        return (503, "") if self.silent else self.body(path, query)


SERVERS, AGENTS = [], []


def serve(world, trust=None):
    """Serve a world on loopback until the tests end; gives the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet

        def do_GET(self):
            parts = urlsplit(self.path)
            world.asked = self.headers
            status, text = world.answer(parts.path, parse_qs(parts.query))
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request, client_address):
            pass  # a client that breaks off, as one does that believes no certificate

    server = Server(("127.0.0.1", 0), Handler)
    if trust is not None:
        server.socket = trust.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    SERVERS.append(server)
    return f"{'https' if trust else 'http'}://127.0.0.1:{server.server_port}"


def close_servers():
    """End every server."""
    while SERVERS:
        server = SERVERS.pop()
        server.shutdown()
        server.server_close()


BOARD = (
    'gpu="0",UUID="GPU-5b4e07f6-3a86-4340-039d-25f2a83cdc43",pci_bus_id="00000000:00:07.0",device="nvidia0",'
    'modelName="NVIDIA L40S",Hostname="gpu1",DCGM_FI_DRIVER_VERSION="595.58.03"'
)


class Dcgm(Served):
    """The page of dcgm-exporter as it is shaped; a board split in two instances stands on it twice."""

    unit_j = 0.001
    energy_text = None

    def body(self, path, query):
        lines = [
            "# HELP DCGM_FI_DEV_SM_CLOCK SM clock frequency (in MHz).",
            "# TYPE DCGM_FI_DEV_SM_CLOCK gauge",
            f"DCGM_FI_DEV_SM_CLOCK{{{BOARD}}} 345",
            "# HELP DCGM_FI_DEV_GPU_TEMP GPU temperature (in C).",
            f"DCGM_FI_DEV_GPU_TEMP{{{BOARD}}} 32",
            "# TYPE DCGM_FI_DEV_POWER_USAGE gauge",
            "# TYPE DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION counter",
        ]
        for part in ("", ',GPU_I_PROFILE="2g.20gb",GPU_I_ID="3"'):
            if self.power_w is not None:
                lines.append(f"DCGM_FI_DEV_POWER_USAGE{{{BOARD}{part}}} {self.power_w:f}")
            if self.energy_j is not None:
                energy = self.energy_text or round(self.energy_j * 1000)
                lines.append(f"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{{{BOARD}{part}}} {energy}")
        return 200, "\n".join(lines) + "\n"


class Kepler(Served):
    """Kepler 0.10's page: zones that nest, and a pod that is running and terminated at once."""

    unit_j = 1e-9

    def body(self, path, query):
        pod = 'node_name="n1",pod_id="1f2e",pod_name="web-0",pod_namespace="shop"'
        lines = ["# TYPE kepler_pod_cpu_joules_total counter"]
        if self.energy_j is not None:
            lines += [
                f'kepler_pod_cpu_joules_total{{{pod},state="running",zone="package"}} {self.energy_j!r}',
                f'kepler_pod_cpu_joules_total{{{pod},state="terminated",zone="package"}} 0',
                f'kepler_pod_cpu_joules_total{{{pod},state="running",zone="core"}} {self.energy_j * 0.7!r}',
            ]
        return 200, "\n".join(lines) + "\n"


class Prometheus(Served):
    """A server that has scraped a counter."""

    def around(self):
        self.words = {"query": "node_rapl_package_joules_total", "unit": "J", **self.words}
        return super().around()

    def body(self, path, query):
        assert (path, query["query"]) == ("/api/v1/query", [self.words["query"]])
        value = self.energy_j if self.words["unit"] == "J" else self.power_w
        metric = {"__name__": "node_rapl_package_joules_total", "instance": "n1:9100", "index": "0"}
        rows = [] if value is None else [{"metric": metric, "value": [self.clock.us / 1e6, repr(value)]}]
        return 200, json.dumps({"status": "success", "data": {"resultType": "vector", "result": rows}})


class Redfish(Served):
    """A BMC with a server and, inside it, a tray of accelerators."""

    member = "EnergyJoules"
    scale = 1.0

    def body(self, path, query):
        base = "/redfish/v1/Chassis"
        sensors = {"Id": "EnvironmentMetrics", "Name": "Chassis Environment Metrics"}
        if self.power_w is not None:
            sensors["PowerWatts"] = {
                "DataSourceUri": f"{base}/1U/Sensors/TotalPower",
                "Reading": self.power_w,
            }
        if self.energy_j is not None:
            sensors[self.member] = {"Reading": self.energy_j / self.scale}
        pages = {
            base: {
                "Members": [
                    {"@odata.id": f"{base}/1U"},
                    {"@odata.id": f"{base}/HGX_0"},
                    {"@odata.id": f"{base}/Old"},
                ]
            },
            f"{base}/1U": {"Id": "1U", "EnvironmentMetrics": {"@odata.id": f"{base}/1U/EnvironmentMetrics"}},
            f"{base}/HGX_0": {
                "Id": "HGX_0",
                "Links": {"ContainedBy": {"@odata.id": f"{base}/1U"}},
                "EnvironmentMetrics": {"@odata.id": f"{base}/1U/EnvironmentMetrics"},
            },
            f"{base}/Old": {"Id": "Old"},
            f"{base}/1U/EnvironmentMetrics": sensors,
        }
        return (200, json.dumps(pages[path])) if path in pages else (404, "")


class OldRedfish(Served):
    """A BMC from before EnvironmentMetrics: power alone."""

    def body(self, path, query):
        base = "/redfish/v1/Chassis"
        control = {
            "MemberId": "0",
            "PowerConsumedWatts": self.power_w,
            "PowerMetrics": {"AverageConsumedWatts": 301},
        }
        pages = {
            base: {"Members": [{"@odata.id": f"{base}/1"}]},
            f"{base}/1": {"Id": "1", "Power": {"@odata.id": f"{base}/1/Power"}},
            f"{base}/1/Power": {"PowerControl": [control], "Voltages": []},
        }
        return (200, json.dumps(pages[path])) if path in pages else (404, "")


class Snmp(World):
    """An APC PDU behind a real agent."""

    unit_j = 360_000.0

    def around(self):
        self.gauges = {}
        self.put()
        served = pdu(self.gauges)
        self.url = served.__enter__()
        AGENTS.append(served)
        self.words = {"community": "for tests only"}
        return super().around()

    def put(self):
        self.gauges.clear()
        if not self.silent:
            self.gauges[f"{APC_DEVICE}.5.1"] = -1 if self.power_w is None else round(self.power_w / 10)
            self.gauges[f"{APC_DEVICE}.9.1"] = -1 if self.energy_j is None else round(self.energy_j / 360_000)


class CpuTime(World):
    """A folder like /proc with one process of a name that is hard to read."""

    unit_j = 0.035
    """One tick of 10 ms at 3.5 W."""

    def around(self):
        self.words = {"pids": "77"}
        return super().around()

    def put(self):
        folder = self.folder / "proc/77"
        folder.mkdir(parents=True, exist_ok=True)
        if self.silent or self.energy_j is None:
            (folder / "stat").unlink(missing_ok=True)
        else:
            ticks = round(self.energy_j / self.unit_j)
            rest = f"S 1 77 77 0 -1 4194560 9 0 0 0 {ticks - ticks // 3} {ticks // 3} 0 0 20 0 1 0 5551 0 0"
            (folder / "stat").write_text(f"77 (a) b (c)) {rest}\n")


WORLDS = {
    "amd": Amd, "cpu_time": CpuTime, "dcgm": Dcgm, "kepler": Kepler, "nvml": Nvml, "prometheus": Prometheus,
    "rapl": Rapl, "redfish": Redfish, "snmp": Snmp,
}  # fmt: skip


@contextmanager
def opened(world, name, sample_s=None):
    """A meter on a world, let go of at the end."""
    meter = METERS.get(name).open(world.around(), sample_s)
    try:
        yield meter
    finally:
        meter.close()


def close_all():
    """End servers and agents."""
    close_servers()
    while AGENTS:
        AGENTS.pop().__exit__(None, None, None)


def play(world, meter, trace):
    """Ask the meter once for each step of a trace: how many periods in, and what the counter shows in its units.

    None is a moment at which the instrument does not answer.
    """
    for periods, units in trace:
        world.clock.us = T0_US + round(periods * meter.sample_s * 1e6)
        world.silent = units is None
        if units is not None:
            world.energy_j = units * world.unit_j
        world.put()
        meter.sample()
