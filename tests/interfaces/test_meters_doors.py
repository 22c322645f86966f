"""`gridmargin meters` and `GET /v1/meters`: what this machine has, what is missing and why."""

import re
from pathlib import Path

import pytest

from gridmargin.interfaces.cli.meters_command import show_meters
from gridmargin.meters import METERS, Finding, Instrument, LiveMeter, RecordedMeter, look_for_all
from gridmargin.vocab import InputError, Status, UnknownNameError
from gridmargin.wiring import open_meter, sampler_of
from interfaces.command_line import run
from interfaces.face_server import asked
from meters.fakes import Nvml

INSTRUMENTS = sorted(n for n in METERS if issubclass(METERS.get(n), LiveMeter))
REPO = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _no_addresses(monkeypatch):
    for name in ("DCGM", "KEPLER", "PROMETHEUS", "REDFISH", "SNMP"):
        monkeypatch.delenv(f"GRIDMARGIN_{name}_URL", raising=False)


def test_the_command_lists_every_instrument():
    """What is missing comes with the way out; the CPU time of the process is always there on Linux."""
    done = run("meters", "--json")
    rows = {row["instrument"]: row for row in done.json()["meters"]}
    assert sorted(rows) == INSTRUMENTS
    assert rows["dcgm"]["missing"] == "no address is given"
    assert rows["dcgm"]["way_out"].startswith("set GRIDMARGIN_DCGM_URL=")
    assert rows["cpu_time"]["devices"][0]["status"] == "modelled"
    for row in rows.values():
        assert (row["missing"] is None) == bool(row["devices"]) == (row["way_out"] is None)
        assert row["sees"]
        assert row["fastest_s"] <= row["resolution_s"]


def test_people_read_a_table_and_what_is_missing():
    """One line for each instrument that is not there."""
    done = run("meters")
    assert done.code == 0
    assert "dcgm: no address is given; set GRIDMARGIN_DCGM_URL=" in done.out
    assert "cpu_time" in done.out


def test_a_board_is_shown_with_its_model(tmp_path, capsys):
    """And what it tells, in words."""
    world = Nvml(tmp_path)
    around = world.around()
    [found] = [f for f in look_for_all(METERS, around) if f.instrument == "nvml"]
    show_meters({"meters": [found.as_dict()]})
    shown = capsys.readouterr().out
    assert "(NVIDIA H100 80GB HBM3)" in shown
    assert "energy, power, clock, utilisation" in shown
    assert "no instrument" not in shown


def test_the_route_gives_the_same_shape(tmp_path):
    """And looks once for all who ask at once."""

    async def work(client):
        first = await client.get("/v1/meters")
        second = await client.get("/v1/meters")
        return first, second

    first, second = asked(tmp_path, work)
    assert first.status_code == 200
    assert sorted(row["instrument"] for row in first.json()["meters"]) == INSTRUMENTS
    assert second.json() == first.json()
    fields = set(Finding.__dataclass_fields__)
    assert all(set(row) == fields for row in first.json()["meters"])


def test_a_setting_that_cannot_be_used_does_not_hide_the_others(monkeypatch):
    """It stands in the row of its instrument."""
    monkeypatch.setenv("GRIDMARGIN_RAPL_DOMAINS", "gpu")
    rows = {row["instrument"]: row for row in run("meters", "--json").json()["meters"]}
    assert "gpu is not known" in rows["rapl"]["missing"]
    assert rows["cpu_time"]["missing"] is None


def test_an_instrument_is_opened_and_asked_by_its_name():
    """As a program would."""
    meter = open_meter("cpu_time", 0.1)
    with sampler_of(meter):
        pass
    assert meter.n_asked >= 1
    with pytest.raises(InputError, match="'recorded' stands in for an instrument"):
        open_meter("recorded")
    with pytest.raises(UnknownNameError, match="unknown meter 'nvm'; did you mean: nvml"):
        open_meter("nvm")


def test_every_variable_of_an_instrument_is_on_the_page():
    """What messages name, the page explains; and the page names none that is not there."""
    code = "".join(path.read_text() for path in sorted((REPO / "src/gridmargin/meters").glob("*.py")))
    named = set(re.findall(r"GRIDMARGIN_[A-Z_]+[A-Z]", code)) - {"GRIDMARGIN_CPU_TIME", "GRIDMARGIN_REDFISH"}
    page = (REPO / "docs/howto/read-instruments.md").read_text()
    explained = set(re.findall(r"GRIDMARGIN_[A-Z_]+[A-Z]", page))
    assert len(named) > 8
    assert named <= explained
    words = {name.rpartition("_")[2].lower() for name in explained}
    assert [word for word in sorted(words) if f'"{word}"' not in code and word != "url"] == []


def test_the_program_on_the_page_runs(capsys):
    """docs/howto/read-instruments.md: its Python, over the CPU time of this process."""
    page = (REPO / "docs/howto/read-instruments.md").read_text()
    [program] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(compile(program, "page", "exec"), {})
    assert "modelled" in capsys.readouterr().out


def test_what_is_recorded_is_read_back_as_what_it_was(tmp_path):
    """Processor time is a model of energy, and a trace of it says so."""
    trace = tmp_path / "cpu.parquet"
    answer = run("record", "cpu_time", "--out", trace, "--for", 1, "--every", 0.1, "--json").json()
    assert answer["samples"] >= 5
    assert answer["status"] == ["modelled"]
    found = RecordedMeter(trace, Instrument(0.1)).readings()
    assert len(found) == answer["samples"] - 1
    assert {one.status for one in found} == {Status.MODELLED}
    assert {one.device for one in found} == set(answer["devices"])
    assert list(tmp_path.iterdir()) == [trace]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nvml", "--out", "x.csv"), "no NVIDIA driver"),
        (("cpu_time", "--out", "x.txt"), "a trace is written as .csv or .parquet"),
        (("cpu_time", "--out", "none/x.csv"), "no such folder"),
        (("modelled", "--out", "x.csv"), "stands in for an instrument"),
        (("cpu", "--out", "x.csv"), "cpu_time"),
        (("cpu_time", "--out", "x.csv", "--every", "-1"), "give a period above 0"),
        (("cpu_time", "--out", "there.csv"), "is there already"),
    ],
)
def test_a_recording_that_cannot_be_is_refused_before_it_begins(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.csv").write_text("")
    ran = run("record", *arguments, "--for", 0.2)
    assert ran.code == 2
    assert said in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["there.csv"]
