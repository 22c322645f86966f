"""The table of accelerators, and the names that drivers give them."""

import pytest

from gridmargin.reference import busy_thread_w, device_named, device_of, known_boards, known_devices
from gridmargin.vocab import UnknownNameError


def test_the_accelerators_of_the_table_are_there():
    """Those that people serve on."""
    assert {d.device for d in known_boards()} >= {
        "A100", "H100", "H200", "B200", "A800", "L40S", "L4", "MI300X", "TPU v5e", "TPU v5p", "TPU v6e",
    }  # fmt: skip
    assert set(known_devices()) <= {d.device for d in known_boards()}


def test_every_figure_has_its_source_or_is_said_to_be_ours():
    """Limits above idle; what is assumed names a column; a TPU has no power at all."""
    for device in known_boards():
        assert device.source
        assert device.as_of
        assert set(device.assumed) <= {"power_limit_w", "idle_w", "memory_gb"}
        assert ("ours" in device.source) == bool(device.assumed)
        if device.idle_w is not None:
            assert device.power_limit_w is not None
            assert 0 < device.idle_w < device.power_limit_w / 2
        assert device.is_modelled_only == device.device.startswith("TPU")
        assert (device.power_limit_w is None) == device.is_modelled_only


@pytest.mark.parametrize(
    ("said", "device"),
    [
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA A100-SXM4-80GB", "A100"),
        ("NVIDIA A800-SXM4-80GB", "A800"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA L4", "L4"),
        ("NVIDIA H200", "H200"),
        ("NVIDIA B200", "B200"),
        ("AMD Instinct MI300X", "MI300X"),
        ("h100", "H100"),
        ("Trillium", "TPU v6e"),
    ],
)
def test_what_a_driver_calls_a_board_is_found(said, device):
    """By the longest name in it."""
    assert device_named(said).device == device


@pytest.mark.parametrize(
    "said",
    [
        "NVIDIA A100-PCIE-40GB",
        "NVIDIA A100-SXM4-40GB",
        "NVIDIA H100 PCIe",
        "NVIDIA H100 NVL",
        "NVIDIA GH200 480GB",
        "NVIDIA L40",
    ],
)
def test_another_form_of_a_board_is_another_board(said):
    """A card for PCIe draws half as much, and another size of memory is another sheet."""
    assert device_of(said) is None


def test_a_device_that_is_not_known_lists_near_ones():
    """For whoever mistyped."""
    with pytest.raises(UnknownNameError, match="H100"):
        device_named("H10O")


def test_a_busy_thread_draws_what_the_table_says():
    """With its source."""
    watts, source = busy_thread_w()
    assert watts == 3.5
    assert "Cloud Carbon Footprint" in source
