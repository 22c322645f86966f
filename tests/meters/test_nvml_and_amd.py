"""Accelerators: what the vendors' libraries and drivers answer, and what it becomes."""

import sys

import pynvml
import pytest

from gridmargin.meters import METERS, Quantity
from gridmargin.meters.amd import Board, by_amdsmi, decode
from gridmargin.vocab import NoMeterError
from meters.fakes import Amd, AmdFiles, Nvml, library, opened, play
from meters.fakes import Clock as FakeClock

UUID = "GPU-5b4e07f6-3a86-4340-039d-25f2a83cdc43"


def test_the_fields_are_those_of_the_binding():
    """Our numbers for NVML's fields are the ones in NVIDIA's own binding, and so is the order of the value's members."""
    from gridmargin.meters import nvml

    assert nvml.ENERGY == pynvml.NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION
    assert nvml.POWER == pynvml.NVML_FI_DEV_POWER_INSTANT
    assert nvml.MEAN_POWER == pynvml.NVML_FI_DEV_POWER_AVERAGE
    kinds = {
        "DOUBLE": "dVal", "UNSIGNED_INT": "uiVal", "UNSIGNED_LONG": "ulVal", "UNSIGNED_LONG_LONG": "ullVal",
        "SIGNED_LONG_LONG": "sllVal", "SIGNED_INT": "siVal", "UNSIGNED_SHORT": "usVal",
    }  # fmt: skip
    for kind, member in kinds.items():
        assert nvml._MEMBER_OF_TYPE[getattr(pynvml, f"NVML_VALUE_TYPE_{kind}")] == member
        assert hasattr(pynvml.c_nvmlValue_t, member)


def test_telemetry_is_kept_and_becomes_no_reading(tmp_path):
    """Clock and utilisation stand beside the counter; a board that has nothing else has no reading, and says so."""
    world = Nvml(tmp_path)
    with opened(world, "nvml") as meter:
        play(world, meter, [(0, 1000), (1, 2000)])
        assert list(meter.series(UUID, Quantity.CLOCK)[1]) == [1980.0, 1980.0]
        assert list(meter.series(UUID, Quantity.UTILISATION)[1]) == [0.87, 0.87]
        assert list(meter.series(UUID, Quantity.POWER)[1]) == [100.0, 100.0]
        assert len(meter.readings()) == 1
    world = Nvml(tmp_path)
    world.energy_j = world.power_w = None
    with opened(world, "nvml") as meter:
        for second in (0, 1):
            world.clock.us += second * 100_000
            meter.sample()
        assert list(meter.readings()) == []
        assert meter.faults() == [f"nvml {UUID}: tells neither energy nor power, so it has no reading"]


def test_an_older_board_is_read_by_its_mean_power(tmp_path):
    """Where there is neither counter nor instantaneous field."""
    world = Nvml(tmp_path)
    world.energy_j = world.power_w = None
    world.mean_power_w = 60.0
    with opened(world, "nvml") as meter:
        meter.sample()
        world.clock.us += 100_000
        meter.sample()
        assert [c.quantity for c in meter.channels()][:2] == [Quantity.CLOCK, Quantity.MEAN_POWER]
        assert [r.energy_j for r in meter.readings()] == pytest.approx([6.0])


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, "no NVIDIA driver.*install the driver"),
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "not loaded; modprobe nvidia"),
        (pynvml.NVML_ERROR_NO_PERMISSION, "may not be read by this user; let the user open /dev/nvidiactl"),
        (pynvml.NVML_ERROR_UNKNOWN, "NVML says: Unknown Error"),
    ],
)
def test_what_nvml_lacks_is_said_with_the_way_out(tmp_path, code, says):
    """Driver, module, permission."""
    world = Nvml(tmp_path)
    around = world.around()

    def fail():
        raise pynvml.NVMLError(code)

    world.libraries["pynvml"].nvmlInit = fail
    with pytest.raises(NoMeterError, match=says):
        METERS.get("nvml").open(around)


def test_without_the_binding_the_extra_is_named(tmp_path):
    """`pip install 'gridmargin[nvidia]'`."""
    from gridmargin.meters import Surroundings

    around = Surroundings(FakeClock(), root=tmp_path, library=library(pynvml=None))

    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    around = Surroundings(FakeClock(), root=tmp_path, library=missing)
    with pytest.raises(NoMeterError, match=r"pynvml is not installed; pip install 'gridmargin\[nvidia\]'"):
        METERS.get("nvml").open(around)


def test_a_driver_without_boards_is_no_meter(tmp_path):
    """It lists none."""
    world = Nvml(tmp_path)
    world.n_boards = 0
    with pytest.raises(NoMeterError, match="lists no board"):
        METERS.get("nvml").open(world.around())


def test_the_driver_is_let_go(tmp_path):
    """As often as it was opened."""
    world = Nvml(tmp_path)
    with opened(world, "nvml"):
        assert world.libraries["pynvml"].n_open == 1
    assert world.libraries["pynvml"].n_open == 0


def test_amdsmi_stands_before_the_drivers_files_and_the_listing_says_which(tmp_path):
    """The library has the counter; the files tell power."""
    with opened(Amd(tmp_path), "amd") as meter:
        assert meter.way == "amdsmi"
    world = AmdFiles(tmp_path / "files")
    with opened(world, "amd") as meter:
        assert meter.way == "sysfs hwmon"
        for second in range(3):
            world.clock.us += second * 100_000
            world.power_w = 100.0 + second
            world.put()
            meter.sample()
        assert {c.device for c in meter.channels()} == {"0000:c1:00.0"}
        assert list(meter.series("0000:c1:00.0", Quantity.CLOCK)[1]) == [2100.0] * 3
        assert list(meter.series("0000:c1:00.0", Quantity.UTILISATION)[1]) == [0.64] * 3
        assert [r.energy_j for r in meter.readings()] == pytest.approx([10.1])


def test_a_library_that_prints_and_fails_is_kept_quiet(tmp_path, capsys):
    """amdsmi prints to standard output and raises KeyError where ROCm is not there."""
    world = AmdFiles(tmp_path)
    around = world.around()

    def prints(name):
        sys.stdout.write("libamd_smi.so: cannot open shared object file\n")
        raise KeyError("libamd_smi.so")

    from gridmargin.meters import Surroundings

    meter = METERS.get("amd").open(Surroundings(around.clock_us, root=tmp_path, library=prints))
    assert meter.way == "sysfs hwmon"
    assert capsys.readouterr().out == ""


def test_figures_that_amdsmi_fills_with_ones_are_absent(tmp_path):
    """`N/A`, 0xFFFF: no figure."""
    world = Amd(tmp_path)
    world.around()
    smi = world.libraries["amdsmi"]
    smi.amdsmi_get_power_info = lambda _: {"current_socket_power": 0xFFFF, "average_socket_power": 94}
    smi.amdsmi_get_energy_count = lambda _: {"power": 2_000_000, "counter_resolution": 15.3, "timestamp": 1}
    board = by_amdsmi(smi, "0000:c1:00.0", object())
    assert board == Board("0000:c1:00.0", energy_uj=pytest.approx(3.06e7), mean_power_uw=94e6)
    assert [(s.channel.quantity, s.value) for s in decode([board])] == [
        (Quantity.ENERGY, pytest.approx(30.6)),
        (Quantity.MEAN_POWER, 94.0),
    ]


def test_no_amd_board_says_what_to_load(tmp_path):
    """And where the energy counter comes from."""
    world = AmdFiles(tmp_path)
    around = world.around()
    for path in sorted((tmp_path / "sys").rglob("name")):
        path.write_text("nouveau\n")
    with pytest.raises(NoMeterError, match=r"no AMD board.*modprobe amdgpu.*/opt/rocm/share/amd_smi"):
        METERS.get("amd").open(around)
