"""Beyond loopback everything wants the key, and nobody finds it in what the server prints."""

import base64
import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest

KEY = "a-key-of-more-than-sixteen-characters"


@contextmanager
def serving(folder, *arguments, key=None):
    command = "from gridmargin.interfaces.cli import main; main()"
    environment = {**os.environ, **({"GRIDMARGIN_API_KEY": key} if key else {})}
    with subprocess.Popen(
        [sys.executable, "-c", command, "up", "--port", "0", "--source", "reference", "--data-dir", str(folder), *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
    ) as process:  # fmt: skip
        try:
            first = process.stdout.readline()
            port = re.search(r":(\d+)", first.split("//")[1])[1]
            said = [first]
            yield f"http://127.0.0.1:{port}", said
            process.send_signal(signal.SIGINT)
            said.append(process.communicate(timeout=20)[0])
        finally:
            process.kill()


def ask(address, key=None, scheme="Bearer"):
    request = urllib.request.Request(address, headers={"Authorization": f"{scheme} {key}"} if key else {})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read(2000).decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_server_beyond_loopback_answers_its_key_only(tmp_path):
    """Page, events, answers and unknown paths alike; the key is in nothing that was printed."""
    with serving(tmp_path, "--host", "0.0.0.0", key=KEY) as (address, said):
        for path in ("/", "/v1/status", "/v1/events", "/v1/receipts", "/openapi.json", "/nothing"):
            for wrong in (None, "wrong", KEY[:-1], KEY + "x"):
                status, body = ask(address + path, wrong)
                assert status == 401, (path, wrong)
                assert json.loads(body)["error"]["way_out"]
        assert ask(f"{address}/v1/status", KEY)[0] == 200
        assert ask(f"{address}/", KEY)[0] == 200
    assert KEY not in "".join(said)


def test_passwords_and_tokens_are_in_nothing_that_was_printed(tmp_path):
    """Registered, logged in and refused: the server says no secret, and neither does a refusal."""
    password = "correct horse battery"
    account = {"username": "ann", "password": password, "email": "ann@example.org"}
    with serving(tmp_path, "--no-stream") as (address, said):
        made = urllib.request.Request(
            f"{address}/register", json.dumps(account).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(made, timeout=20) as answer:
            assert password not in answer.read().decode()
        pairs = [base64.b64encode(f"ann:{word}".encode()).decode() for word in (password, password + "x")]
        (status, body), (refused, why) = (ask(f"{address}/login", pair, "Basic") for pair in pairs)
        assert (status, refused) == (200, 401)
        assert password not in why
        token = json.loads(body)["token"]
        assert ask(f"{address}/v3/my-access", token)[0] == 200
        assert ask(f"{address}/v3/my-access", token + "x")[0] == 401
    printed = "".join(said)
    assert password not in printed
    assert token not in printed


def test_receipts_come_as_events(tmp_path):
    """Within seconds the stream tells of receipts, with totals, and of the margin."""
    with (
        serving(tmp_path) as (address, _),
        urllib.request.urlopen(f"{address}/v1/events", timeout=30) as stream,
    ):
        seen = {}
        name = None
        for _ in range(400):
            line = stream.readline().decode().strip()
            if line.startswith("event:"):
                name = line.partition(": ")[2]
            elif line.startswith("data:") and name:
                seen.setdefault(name, json.loads(line.partition(": ")[2]))
            if "receipts" in seen:
                break
        assert seen["receipts"]["receipts"][0]["synthetic"] is True
        assert seen["receipts"]["totals"]["requests"] >= 1


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1"])
def test_without_a_key_only_loopback_is_served(tmp_path, host):
    """The command refuses, says why, and exits with 2."""
    command = "from gridmargin.interfaces.cli import main; main()"
    environment = {k: v for k, v in os.environ.items() if k != "GRIDMARGIN_API_KEY"}
    done = subprocess.run(
        [sys.executable, "-c", command, "up", "--host", host, "--port", "0", "--data-dir", str(tmp_path)],
        capture_output=True, text=True, timeout=60, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "GRIDMARGIN_API_KEY" in done.stderr
    assert "Traceback" not in done.stderr
