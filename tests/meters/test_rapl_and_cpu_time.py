"""Counters of the kernel: powercap folders, and the times of processes."""

import os

import pytest

from gridmargin.meters import METERS, Reach, Surroundings
from gridmargin.meters.cpu_time import TICKS_PER_S, decode
from gridmargin.meters.rapl import GRANT, domains_of
from gridmargin.reference import busy_thread_w
from gridmargin.vocab import InputError, NoMeterError, Status
from meters.fakes import T0_US, Clock, CpuTime, Rapl, opened

SERVER = {
    "intel-rapl:0": ("package-0", 1_000_000),
    "intel-rapl:0/intel-rapl:0:0": ("core", 700_000),
    "intel-rapl:0/intel-rapl:0:1": ("dram", 200_000),
    "intel-rapl:1": ("package-1", 3_000_000),
    "intel-rapl:1/intel-rapl:1:0": ("dram", 400_000),
    "intel-rapl:2": ("psys", 9_000_000),
    "intel-rapl-mmio:0": ("package-0", 1_000_000),
}


def powercap(root):
    """A server's powercap folder, with the class's links to what lies inside."""
    base = root / "sys/class/powercap"
    for path, (name, energy_uj) in SERVER.items():
        zone = base / path
        zone.mkdir(parents=True)
        (zone / "name").write_text(f"{name}\n")
        (zone / "energy_uj").write_text(f"{energy_uj}\n")
        (zone / "max_energy_range_uj").write_text("262143328850\n")
    for path in SERVER:
        if "/" in path:
            (base / path.rpartition("/")[2]).symlink_to(base / path)
    return base


def test_packages_and_memory_are_read_once_each(tmp_path):
    """Not the cores inside the package, not the whole platform, not the second way to the same counter."""
    domains = domains_of(powercap(tmp_path))
    assert [d.device for d in domains] == ["package-0", "package-0/dram", "package-1", "package-1/dram"]
    assert [d.device for d in domains_of(tmp_path / "sys/class/powercap", ["psys"])] == ["psys"]


def test_another_domain_is_asked_for_by_name(tmp_path):
    """And one that is not known is refused with those that are."""
    powercap(tmp_path)
    around = Surroundings(Clock(), lambda _: Reach(None, {"domains": "psys"}), tmp_path)
    meter = METERS.get("rapl").open(around)
    assert [(s.channel.device, s.value) for s in meter.ask()] == [("psys", pytest.approx(9.0))]
    meter.close()
    around = Surroundings(Clock(), lambda _: Reach(None, {"domains": "package,gpu"}), tmp_path)
    with pytest.raises(InputError, match="gpu is not known; give some of package, dram, psys"):
        METERS.get("rapl").open(around)


def test_the_counter_wraps_by_the_range_that_the_kernel_states(tmp_path):
    """It showed 100 J less than its largest figure, and then 60 J: 160 J, but for one step of it."""
    world = Rapl(tmp_path)
    with opened(world, "rapl", sample_s=1.0) as meter:
        for second, energy_j in enumerate(
            [Rapl.range_uj * 1e-6 - 150, Rapl.range_uj * 1e-6 - 100, 60.0, 90.0]
        ):
            world.clock.us = T0_US + second * 1_000_000
            world.energy_j = energy_j
            world.put()
            meter.sample()
        found = [r.energy_j for r in meter.readings()]
    assert found == pytest.approx([50.0, 160.0, 30.0], abs=1e-4)


def test_a_counter_that_root_alone_may_read_says_how_to_grant_it(tmp_path, monkeypatch):
    """One message: which file, why, and the commands."""
    world = Rapl(tmp_path)
    around = world.around()
    really = os.open

    def refused(path, *arguments):
        if str(path).endswith("energy_uj"):
            raise PermissionError(13, "Permission denied")
        return really(path, *arguments)

    monkeypatch.setattr("gridmargin.meters.rapl.os.open", refused)
    with pytest.raises(NoMeterError) as told:
        METERS.get("rapl").open(around)
    assert "energy_uj may not be read by this user" in str(told.value)
    assert told.value.way_out == GRANT
    assert "chgrp rapl /sys/class/powercap/intel-rapl:*/energy_uj" in GRANT
    assert "CVE-2020-8694" in GRANT


def test_no_powercap_folder_says_what_to_load(tmp_path):
    """And that virtual machines have none."""
    with pytest.raises(NoMeterError, match=r"no package or dram counter; load the module.*virtual machine"):
        METERS.get("rapl").open(Surroundings(Clock(), root=tmp_path))


def test_a_tick_is_what_this_kernel_says():
    """100 in a second."""
    assert os.sysconf("SC_CLK_TCK") == TICKS_PER_S


def test_cpu_time_is_priced_by_the_table():
    """A process of two threads busy for 3 s and of the kernel for 1 s: 4 s of a busy thread, modelled."""
    stat = "77 (a) b (c)) S 1 77 77 0 -1 4194560 9 0 0 0 300 100 0 0 20 0 2 0 5551 0 0"
    [sample] = decode({77: stat}, 3.5)
    assert sample.value == 14.0
    assert sample.channel.status is Status.MODELLED
    assert sample.channel.device == "process 77 of 5551"


def test_this_process_is_read_from_the_real_kernel():
    """Without an address, the process that asks; its time grows as it works."""
    meter = METERS.get("cpu_time").open(Surroundings(lambda: T0_US))
    [before] = meter.ask()
    end_s = os.times().user + os.times().system + 0.05
    while os.times().user + os.times().system < end_s:
        pass
    [after] = meter.ask()
    assert after.channel == before.channel
    assert before.channel.device.startswith(f"process {os.getpid()} of ")
    watts, source = busy_thread_w()
    assert source
    assert 0.02 * watts <= after.value - before.value


def test_a_number_that_is_used_again_is_another_process(tmp_path):
    """Another start, another device: the fall of the counter is no reset of the first."""
    world = CpuTime(tmp_path)
    with opened(world, "cpu_time") as meter:
        meter.sample()
        path = tmp_path / "proc/77/stat"
        path.write_text(path.read_text().replace(" 5551 ", " 9999 "))
        world.clock.us += 1_000_000
        meter.sample()
        assert sorted(c.device for c in meter.channels()) == ["process 77 of 5551", "process 77 of 9999"]
        assert list(meter.readings()) == []


def test_a_word_that_is_no_process_is_refused(tmp_path):
    """With the variable's name."""
    world = CpuTime(tmp_path)
    around = world.around()
    world.words["pids"] = "77,vllm"
    with pytest.raises(InputError, match="GRIDMARGIN_CPU_TIME_PIDS: 'vllm' is no process number"):
        METERS.get("cpu_time").open(around)
