"""The thread that asks: its pace, what it does when it cannot keep it, and how it ends."""

import threading
import time

import pytest

from gridmargin.meters import Channel, LiveMeter, Quantity, Sample, Sampler
from gridmargin.vocab import InputError, NoMeterError


class Counting(LiveMeter):
    """A counter of one joule a question."""

    name = "counting"
    sees = "questions"
    resolution_s = 0.01
    fastest_s = 0.001
    stands_s = None

    def __init__(self, clock_us, sample_s=None, fault=None):
        super().__init__(clock_us, sample_s)
        self.asked = threading.Event()
        self.n = 0
        self.fault = fault

    @classmethod
    def open(cls, around, sample_s=None):
        return cls(around.clock_us, sample_s)

    def ask(self):
        self.n += 1
        if self.n >= 5:
            self.asked.set()
        if self.fault is not None:
            raise self.fault
        return [Sample(Channel("d", Quantity.ENERGY), float(self.n))]


def now_us():
    return time.time_ns() // 1000


def test_it_asks_until_it_is_stopped():
    """Each question a sample, each pair a reading; afterwards nothing more."""
    meter = Counting(now_us)
    with Sampler(meter, time.monotonic):
        assert meter.asked.wait(10)
    n = meter.n
    assert len(meter.readings()) == n - 1
    assert all(r.energy_j == 1.0 for r in meter.readings())
    assert "sampler-counting" not in {thread.name for thread in threading.enumerate()}


def test_it_never_keeps_a_program_from_ending():
    """The thread is a daemon."""
    assert Sampler(Counting(now_us), time.monotonic)._thread.daemon


def test_what_it_missed_is_left_out_and_counted():
    """The third answer takes 7.5 periods by the clock: 7 moments are skipped, and no burst follows."""
    meter, late_s = Counting(now_us), [0.0]
    ask = meter.ask

    def slow():
        if meter.n == 2:
            late_s[0] = 0.075
        return ask()

    meter.ask = slow
    start_s = time.monotonic()
    sampler = Sampler(meter, lambda: time.monotonic() + late_s[0])
    with sampler:
        assert meter.asked.wait(10)
    assert sampler.n_skipped >= 7
    assert meter.n <= (time.monotonic() - start_s) / meter.sample_s + 2


def test_an_instrument_that_is_silent_does_not_end_it():
    """It is asked again, and its fault is said."""
    meter = Counting(now_us, fault=NoMeterError("counting", "is silent", "wait"))
    with Sampler(meter, time.monotonic):
        assert meter.asked.wait(10)
    assert meter.n_silent == meter.n_asked >= 5
    assert meter.faults()[0] == "counting: is silent; wait"


def test_a_defect_is_not_swallowed():
    """It ends the thread, and comes to whoever stops it."""
    sampler = Sampler(Counting(now_us, fault=ZeroDivisionError("ours")), time.monotonic).start()
    sampler._thread.join(10)
    with pytest.raises(ZeroDivisionError, match="ours"):
        sampler.stop()


def test_a_pace_that_brings_nothing_new_is_refused():
    """With the shortest that does."""
    with pytest.raises(InputError, match=r"every 0\.0001 s, but it has nothing new for 0\.001 s"):
        Sampler(Counting(now_us, 0.0001), time.monotonic)
    with pytest.raises(InputError, match="give a period above 0"):
        Counting(now_us, 0.0)


def test_memory_does_not_grow_with_devices_that_come_and_go(monkeypatch):
    """The channel longest unseen goes."""
    monkeypatch.setattr("gridmargin.meters.live.MOST_SAMPLES", 64 * 10)
    clock = iter(range(0, 10**9, 1000))
    meter = Counting(lambda: next(clock), 600.0)
    meter.keep = 64
    for i in range(50):
        meter.ask = lambda i=i: [Sample(Channel(f"pod-{i:02d}", Quantity.ENERGY), 1.0)]
        meter.sample()
    assert [c.device for c in meter.channels()] == [f"pod-{i:02d}" for i in range(40, 50)]


def test_a_channel_that_showed_nothing_is_named_with_those_that_did():
    """For whoever asks for the samples."""
    meter = Counting(now_us)
    meter.sample()
    with pytest.raises(InputError, match="no clock_mhz of d; there is d energy_j"):
        meter.series("d", Quantity.CLOCK)
