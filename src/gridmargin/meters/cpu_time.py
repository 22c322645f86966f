"""Where no instrument can be read: the CPU time of processes, times what a busy thread draws by a table.

A model, not a measurement: every reading is `modelled`. Idle power, memory, accelerators and the host are not in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from gridmargin.meters.live import LiveMeter
from gridmargin.meters.sample import Channel, Quantity, Sample
from gridmargin.meters.surroundings import Surroundings
from gridmargin.reference import busy_thread_w
from gridmargin.vocab import InputError, NoMeterError, Status

TICKS_PER_S = 100
"""USER_HZ: the unit of times in /proc, on every architecture that Linux serves today (proc_pid_stat(5)). [1/s]"""


def decode(texts: Mapping[int, str], watts: float) -> list[Sample]:
    """Give the energy of processes since each began.

    Parameters
    ----------
    texts : mapping
        What `/proc/PID/stat` held, by process.
    watts : float
        Of a busy thread. [W]

    Notes
    -----
    A process is named by its number and when it began, so that a number that is used again is another device.
    """
    found = []
    for pid, text in texts.items():
        # The name, in brackets, may hold spaces and brackets; the third field follows the last of them.
        fields = text.rpartition(")")[2].split()
        if len(fields) < 20:  # it ended while it was read
            continue
        user, system, began = int(fields[11]), int(fields[12]), fields[19]
        channel = Channel(f"process {pid} of {began}", Quantity.ENERGY, Status.MODELLED)
        found.append(Sample(channel, (user + system) / TICKS_PER_S * watts))
    return found


class CpuTimeMeter(LiveMeter):
    """Processes of this machine.

    Parameters
    ----------
    folder : Path
        `/proc`.
    pids : sequence of int
    watts : float
        Of a busy thread. [W]
    """

    name = "cpu_time"
    sees = "CPU time of the processes named, at the power of a busy thread by a table; a model, no instrument"
    resolution_s = 1.0
    fastest_s = 0.1
    stands_s = None  # a process that waits draws nothing by this model

    def __init__(
        self,
        folder: Path,
        pids: Sequence[int],
        watts: float,
        clock_us: Callable[[], int],
        sample_s: float | None = None,
    ) -> None:
        super().__init__(clock_us, sample_s)
        self._folder = folder
        self._pids = pids
        self._watts = watts

    @classmethod
    def open(cls, around: Surroundings, sample_s: float | None = None) -> Self:
        """Take the processes from `GRIDMARGIN_CPU_TIME_PIDS`, or this one."""
        folder = around.root / "proc"
        text = around.reach(cls.name).words.get("pids", "self")
        pids = []
        for word in text.replace(",", " ").split():
            if word == "self" and (folder / "self/stat").exists():
                pids.append(
                    int((folder / "self/stat").read_text(encoding="utf-8", errors="replace").split()[0])
                )
            elif word.isdigit():
                pids.append(int(word))
            elif word != "self":
                raise InputError(
                    f"GRIDMARGIN_CPU_TIME_PIDS: {word!r} is no process number; give some such as 1234,1235"
                )
        if not pids:
            raise NoMeterError(
                cls.name, f"{folder} is not there", "run it on Linux, where processes are listed"
            )
        return cls(folder, pids, busy_thread_w()[0], around.clock_us, sample_s)

    def ask(self) -> Sequence[Sample]:
        """Read every process once; one that ended has no sample."""
        texts = {}
        for pid in self._pids:
            try:
                texts[pid] = (self._folder / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
        if not texts:
            raise NoMeterError(
                self.name, "every process named has ended", "name others in GRIDMARGIN_CPU_TIME_PIDS"
            )
        return decode(texts, self._watts)
