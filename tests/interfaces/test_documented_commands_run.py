"""What the pages tell people to type, typed."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from interfaces.face_server import got, uvicorn_on_loopback

REPO = Path(__file__).resolve().parents[2]
COMMAND = re.compile(r"^(?: {4,8}|\$ )(?:\.venv/bin/)?(gridmargin .+?)$", re.MULTILINE)


def commands_in(page):
    """Every gridmargin command in a page's code blocks, continued lines joined."""
    text = (REPO / page).read_text(encoding="utf-8").replace("\\\n", " ")
    return [" ".join(found.split()) for found in COMMAND.findall(text)]


def run(command, folder, receipt="", data=None):
    """Run one command as a user would, in a folder of its own."""
    words = shlex.split(command.replace("RECEIPT", receipt), comments=True)
    if data is not None:
        words = [w.replace("$GRIDMARGIN_DATA", str(data)).replace("DIR", str(data)) for w in words]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}
    if data is not None:
        environment["GRIDMARGIN_DATA"] = str(data)
    program = "import sys; from gridmargin.interfaces.cli import main; sys.argv[0] = 'gridmargin'; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *words[1:]],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert done.stdout.strip()
    return done.stdout


def receipt_in(output):
    """The receipt that `account` says can be traced."""
    found = re.search(r"gridmargin explain (\S+)", output)
    assert found, output
    return found[1]


def test_the_first_answer_works_as_written(tmp_path):
    """docs/learn/first-answer.md, from its sample log to the receipt, without data."""
    page = (REPO / "docs/learn/first-answer.md").read_text(encoding="utf-8")
    sample = re.search(r"(?:^ {4}(?:TIMESTAMP|\d{4}-).*\n)+", page, re.MULTILINE)
    assert sample, "the sample log is gone from the page"
    (tmp_path / "requests.csv").write_text("".join(line.strip() + "\n" for line in sample[0].splitlines()))
    commands = commands_in("docs/learn/first-answer.md")
    assert len(commands) >= 4
    receipt = ""
    for command in commands:
        output = run(command, tmp_path, receipt)
        receipt = receipt_in(output) if " account " in command else receipt


def test_a_ledger_is_audited_as_written(tmp_path):
    """docs/howto/audit-a-ledger.md, in order, with the key that its own command prints."""
    commands = commands_in("docs/howto/audit-a-ledger.md")
    assert len(commands) == 13
    key = witness = ""
    for command in commands:
        output = run(command.replace("$KEY", key).replace("$WITNESS", witness), tmp_path)
        key = output.strip() if " key " in command else key
        witness = output.split("witness key: ")[1].strip() if " ledger witness " in command else witness
        assert "WRONG" not in output


def test_a_ledger_is_kept_small_as_written(tmp_path):
    """docs/howto/keep-a-ledger-small.md, in order: what left is named wherever it is asked for, and everything holds."""
    commands = commands_in("docs/howto/keep-a-ledger-small.md")
    assert len(commands) == 13
    key, named = "", 0
    for command in commands:
        output = run(command.replace("$KEY", key), tmp_path)
        key = output.strip() if " key " in command else key
        named += "into 2020.parquet (SHA-256" in " ".join(output.split())
        assert "WRONG" not in output
    assert named == 4  # retire, show, as-of, verify


@pytest.mark.data
def test_the_readme_answer_is_what_the_commands_print(tmp_path, data_dir):
    """README's real answer: every line it shows is a line of the output, and its receipt closes."""
    account, explain = commands_in("README.md")[:2]
    output = run(account, tmp_path, data=data_dir)
    shown = re.search(
        r"--out receipts\n(.*?)\n\$ gridmargin explain", (REPO / "README.md").read_text(), re.DOTALL
    )
    assert shown
    printed = " ".join(output.split())
    for line in shown[1].splitlines():
        assert " ".join(line.split()) in printed, line
    assert "every step closes" in run(explain, tmp_path, receipt_in(output), data=data_dir)


@pytest.mark.data
def test_the_recalibration_works_as_written(tmp_path, data_dir):
    """docs/howto/recalibrate.md, in order; the drift that the page shows is the drift that is printed."""
    page = "docs/howto/recalibrate.md"
    commands = commands_in(page)
    assert len(commands) >= 6
    outputs = [(command, run(command, tmp_path, data=data_dir)) for command in commands]
    (shown,) = re.findall(r"^ +(drift: .*)$", (REPO / page).read_text(), re.MULTILINE)[:1]
    assert any(shown in output for _, output in outputs)
    assert any("cut" in output for command, output in outputs if " now " in command)
    first, second = (output for command, output in outputs if "--against" in command)
    assert "entries superseded" in first
    assert "nothing changed" in second


@pytest.mark.data
def test_the_backtests_of_the_pages_run(tmp_path, data_dir):
    """The commands that print the published scores do, and write the JSON they promise."""
    out = tmp_path / "scores.json"
    for task in ("avert --train-year 2021 --test-year 2022 --region Texas", "ercot", "eia930"):
        run(f"gridmargin backtest {task} --data {data_dir / 'grid'} --out {out}", tmp_path)
        result = json.loads(out.read_text())
        assert {"task", "versions", "seconds", "rows"} <= set(result)
        for row in result["rows"]:
            assert {
                "region",
                "reference",
                "n",
                "mae",
                "rmse",
                "bias",
                "coverage90",
                "width90",
                "unit",
                "baselines",
            } <= set(row)
            if row["region"] != "all":  # pooled rows mix regions, whose baselines stand in their own
                assert {"constant", "hour_month"} <= set(row["baselines"])


@pytest.mark.data
def test_forecasts_are_issued_and_scored_as_written(tmp_path, data_dir):
    """docs/howto/issue-forecasts.md, in order: a day is forecast, comes in, and every hour of it is scored."""
    commands = commands_in("docs/howto/issue-forecasts.md")
    assert len(commands) == 3
    outputs = [run(f"{command} --data-dir work", tmp_path, data=data_dir) for command in commands]
    assert "96 forecasts of US-ERCO, 96 observed by regression" in " ".join(outputs[-1].split())


def test_the_export_for_keda_works_as_written(tmp_path):
    """docs/howto/use-carbon-aware-clients.md: what is printed is a ConfigMap."""
    [command] = [c for c in commands_in("docs/howto/use-carbon-aware-clients.md") if " export " in c]
    assert json.loads(run(command, tmp_path))["kind"] == "ConfigMap"


@pytest.mark.parametrize(
    ("page", "says"),
    [
        ("use-electricity-maps-clients", "carbonIntensity"),
        ("use-carbon-aware-clients", "optimalDataPoint"),
    ],
)
def test_the_first_question_of_a_page_is_answered(tmp_path, page, says):
    """What the page asks with curl, over typical days."""
    text = (REPO / f"docs/howto/{page}.md").read_text(encoding="utf-8")
    [address] = re.findall(r"^    curl 'http://127.0.0.1:8340(\S+)'$", text, re.MULTILINE)
    answer = got(tmp_path, address)
    assert answer.status_code == 200, answer.text
    assert says in answer.text


def test_the_watttime_program_runs_as_written(tmp_path):
    """docs/howto/use-watttime-clients.md: its Python, with the official client, over typical days."""
    text = (REPO / "docs/howto/use-watttime-clients.md").read_text(encoding="utf-8")
    [program] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    [variable] = re.findall(r"^    export (\w+)=http://127.0.0.1:8340$", text, re.MULTILINE)
    with uvicorn_on_loopback(tmp_path) as address:
        done = subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, variable: address, "HOME": str(tmp_path)},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("point_time") == 2


def test_a_log_is_priced_by_a_meter_as_written(tmp_path):
    """docs/howto/price-by-a-meter.md, from its three files to the receipt."""
    text = (REPO / "docs/howto/price-by-a-meter.md").read_text(encoding="utf-8")
    blocks = [
        "\n".join(line[4:] for line in block.splitlines())
        for block in re.findall(r"(?:^ {4}.*\n)+", text, re.MULTILINE)
    ]
    for name, starts in (
        ("log.csv", "request_id,"),
        ("steps.jsonl", '{"start_utc"'),
        ("meter.csv", "time_utc,"),
    ):
        (block,) = (one for one in blocks if one.startswith(starts))
        (tmp_path / name).write_text(block + "\n")
    priced, explained = commands_in("docs/howto/price-by-a-meter.md")
    output = run(priced, tmp_path)
    assert "every step closes" in run(explained, tmp_path, receipt_in(output))
