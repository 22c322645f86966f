"""Asking the server for one factor, against the framework's own hello-world in the same run.

    python benchmarks/bench_rest.py

Both are served by one uvicorn worker, in a process of its own, on this machine alone; each is asked again and
again over one connection, turn by turn, so that both have the same neighbours.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from time import perf_counter

from yardstick import Report

SHARE_OF_HELLO = 0.5
N, ROUNDS = 1_000, 5

HELLO = """
import sys, uvicorn
from fastapi import FastAPI
app = FastAPI()
@app.get("/")
async def hello() -> dict[str, str]:
    return {"hello": "world"}
uvicorn.run(app, port=int(sys.argv[1]), log_level="error", access_log=False)
"""

OURS = """
import sys
from gridmargin.interfaces.cli import main
port, folder = sys.argv[1:]
sys.argv = ["gridmargin", "up", "--port", port, "--data-dir", folder, "--source", "reference", "--no-stream"]
main()
"""


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextlib.contextmanager
def served(program: str, *arguments: str) -> Iterator[int]:
    """Run a server in a process of its own; give its port."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(port), *arguments], stdout=subprocess.DEVNULL
    )
    try:
        end = perf_counter() + 60
        while perf_counter() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def rate(port: int, path: str, n: int) -> float:
    """Ask again and again over one connection. [1 s⁻¹]"""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    start = perf_counter()
    for _ in range(n):
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
    took_s = perf_counter() - start
    connection.close()
    return n / took_s


def main() -> int:
    report = Report("fastapi", "uvicorn")
    path = "/v1/zones/US-ERCO/factor"
    with (
        tempfile.TemporaryDirectory() as folder,
        served(HELLO) as hello,
        served(OURS, folder) as ours,
    ):
        rate(hello, "/", 200)
        rate(ours, path, 200)
        pairs = [(rate(ours, path, N), rate(hello, "/", N)) for _ in range(ROUNDS)]
    factor, plain = max(pair[0] for pair in pairs), max(pair[1] for pair in pairs)
    report.ratio("one factor / hello-world", factor, plain, "requests/s", at_least=SHARE_OF_HELLO)
    return report.exit_code()


if __name__ == "__main__":
    raise SystemExit(main())
