"""What it costs to ask instruments at a steady pace: CPU share of one core, samples that came, memory of the ring.

    python benchmarks/bench_sampler.py [--seconds S]

The counters are files on a RAM disk shaped like /sys/class/powercap (two packages with their memory) and a page of
dcgm-exporter for 8 boards served on loopback: the cost of the kernel's and the driver's own work is not in it. The share is
the CPU time of the sampling thread alone, by its own clock, over the time that passed.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from multiprocessing import Process, Queue
from pathlib import Path
from time import monotonic, perf_counter, thread_time

from yardstick import Report

from gridmargin.meters import METERS, LiveMeter, Quantity, Reach, Sample, Sampler, Surroundings

AT_10_HZ, AT_1_KHZ = 0.01, 0.15
"""Shares of one core: the first is the goal, the second ours."""

RING_MB = 40.0
"""Of one meter, whatever it is asked and however often."""

CAME = 0.8
"""Of the samples that came to a thread that does nothing but wait, at the same pace on the same machine."""


def now_us() -> int:
    return time.time_ns() // 1000


def powercap(root: Path) -> None:
    """Make two packages with their memory, and counters that stand: reading them costs the same."""
    for package in range(2):
        for path, name in (
            (f"intel-rapl:{package}", f"package-{package}"),
            (f"intel-rapl:{package}/intel-rapl:{package}:0", "dram"),
        ):
            zone = root / "sys/class/powercap" / path
            zone.mkdir(parents=True)
            (zone / "name").write_text(f"{name}\n")
            (zone / "energy_uj").write_text("48211937512\n")
            (zone / "max_energy_range_uj").write_text("262143328850\n")


def page() -> bytes:
    """Make a page of 8 boards with the 25 usual fields each."""
    fields = [
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
        "DCGM_FI_DEV_POWER_USAGE",
        "DCGM_FI_DEV_SM_CLOCK",
        "DCGM_FI_DEV_GPU_UTIL",
    ]
    fields += [f"DCGM_FI_PROF_OTHER_{i}" for i in range(21)]
    labels = 'gpu="{0}",UUID="GPU-{0}",pci_bus_id="00000000:0{0}:00.0",device="nvidia{0}",modelName="NVIDIA H100 80GB HBM3",Hostname="n1"'
    lines = []
    for field in fields:
        lines += [f"# HELP {field} one of them", f"# TYPE {field} gauge"]
        lines += [f"{field}{{{labels.format(board)}}} {5551899580 + board}" for board in range(8)]
    return "\n".join(lines).encode() + b"\n"


def serve(ports: Queue[int]) -> None:
    """Serve the page from a process of its own, so that its cost is not ours."""
    body = page()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    ports.put(server.server_port)
    server.serve_forever()


@contextmanager
def exporter() -> Iterator[str]:
    ports: Queue[int] = Queue()
    process = Process(target=serve, args=(ports,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ports.get(timeout=20)}/metrics"
    finally:
        process.terminate()
        process.join()


class Timed:
    """Stands between sampler and meter, and reads the sampling thread's own CPU clock."""

    def __init__(self, meter: LiveMeter) -> None:
        self.meter = meter
        self.first_s: float | None = None
        self.last_s = 0.0
        self._ask = meter.ask
        meter.ask = self.ask  # type: ignore[method-assign]

    def ask(self) -> Sequence[Sample]:
        if self.first_s is None:
            self.first_s = thread_time()
        found = self._ask()
        self.last_s = thread_time()
        return found


def share_of(meter: LiveMeter, seconds: float) -> tuple[float, float]:
    """Give the share of one core, and the share of samples that came."""
    meter.sample()  # what is built once is not part of the pace
    timed = Timed(meter)
    asked = meter.n_asked
    start_s = perf_counter()
    with Sampler(meter, monotonic):
        threading.Event().wait(seconds)
    passed_s = perf_counter() - start_s
    assert timed.first_s is not None
    assert meter.n_silent == 0, meter.faults()
    return (timed.last_s - timed.first_s) / passed_s, (meter.n_asked - asked) / (passed_s / meter.sample_s)


def waits_at(period_s: float, seconds: float) -> float:
    """Give the share of moments at which a thread that only waits was awake in time: what the machine allows."""
    ended, start_s, due_s, n = threading.Event(), monotonic(), monotonic(), 0
    while monotonic() - start_s < seconds:
        n += 1
        due_s += period_s
        behind_s = monotonic() - due_s
        if behind_s > 0:
            due_s += (int(behind_s / period_s) + 1) * period_s
        ended.wait(max(due_s - monotonic(), 0.0))
    return n / (seconds / period_s)


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--seconds", type=float, default=10.0, metavar="S", help="that each pace is kept")
    seconds = asked.parse_args().seconds
    report = Report("numpy")
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as name:
        powercap(Path(name))
        around = Surroundings(now_us, root=Path(name))
        meter = METERS.get("rapl").open(around, 0.1)
        share, came = share_of(meter, seconds)
        report.ratio("rapl at 10 Hz, 4 counters: CPU / one core", share, AT_10_HZ, "of a core", at_most=1.0)
        meter.close()
        meter = METERS.get("rapl").open(around, 0.001)
        share, came = share_of(meter, seconds)
        report.ratio("rapl at 1 kHz, 4 counters: CPU / limit", share, AT_1_KHZ, "of a core", at_most=1.0)
        report.ratio(
            "rapl at 1 kHz: samples that came / to a thread that only waits",
            came, waits_at(0.001, seconds), "of those due", at_least=CAME,
        )  # fmt: skip
        meter.close()
    if find_spec("prometheus_client") is None:
        print("dcgm: left out, prometheus-client is not installed")
    else:
        with exporter() as url:
            meter = METERS.get("dcgm").open(Surroundings(now_us, lambda _: Reach(url)), 1.0)
            share, _ = share_of(meter, seconds)
            report.ratio(
                "dcgm at 1 Hz, 8 boards, 200 lines: CPU / one core", share, AT_10_HZ, "of a core", at_most=1.0
            )
            assert len(meter.series("GPU-7", Quantity.MEAN_POWER)[0]) > 1
            meter.close()
    ring(report)
    return report.exit_code()


def ring(report: Report) -> None:
    """Ask a meter for more channels than it keeps, and weigh what it holds."""
    from gridmargin.meters import Channel

    ticks = iter(range(10**15, 2 * 10**15, 1000))
    meter = METERS.get("cpu_time")(Path("/proc"), [], 1.0, lambda: next(ticks), 0.1)
    n = 0

    def many() -> list[Sample]:
        nonlocal n
        n += 1
        return [Sample(Channel(f"pod {n} {i}", Quantity.ENERGY), float(n)) for i in range(200)]

    meter.ask = many
    for _ in range(20):
        meter.sample()
    held = sum(t._time_us.nbytes + t._value.nbytes + t._flag.nbytes for t in meter._tracks.values())
    report.check("ring after 4,000 channels", held / 1e6, "MB", at_most=RING_MB)


if __name__ == "__main__":
    raise SystemExit(main())
