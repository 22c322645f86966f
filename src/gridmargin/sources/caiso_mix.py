"""California's hourly generation by fuel, as third parties keep it: a state beside the published rate, for backtests.

Hours start at the time given, which is UTC. There are no imports, storage or curtailment in it, and hydro is empty.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gridmargin.sources.delimited import numbers, read_strings
from gridmargin.sources.folders import files_matching, refuse_repeats
from gridmargin.sources.rate_table import TIME, as_known, read_epochs
from gridmargin.sources.source import Payload

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

FILE = r"caiso_fuelmix_hourly_\d{4}\.csv(\.gz)?"
HOUR_S = 3600
COLUMNS = {
    f"power_production_{fuel}_avg": fuel for fuel in ("coal", "gas", "nuclear", "oil", "solar", "wind")
}
"""Their name and ours of the columns that are filled. [MW]"""


def caiso_mix_at(folder: Path, moments_epoch_s: list[IntArray]) -> list[dict[str, FloatArray]]:
    """Give the newest mix whose hour had ended at each moment, by fuel; empty where no table is found. [MW]

    Parameters
    ----------
    folder : Path
        The pack, its `grid` folder, or the data set itself.
    moments_epoch_s : list of array of int64, shape (n,)
        One answer each. [s since 1970 UTC]

    Raises
    ------
    TableError
        If a table cannot be read.
    """
    paths = files_matching(folder, FILE)
    refuse_repeats(paths, lambda path: path.name.removesuffix(".gz"))
    if not paths:
        return [{} for _ in moments_epoch_s]
    starts: list[IntArray] = []
    values: list[FloatArray] = []
    for path in paths:
        payload = Payload("caiso_mix", path.name, path.read_bytes())
        frame = read_strings(payload, ",", ("datetime", *COLUMNS)).rename({"datetime": TIME})
        starts.append(read_epochs(frame, path.name))
        values.append(numbers(frame, payload, list(COLUMNS)))
    start, value = np.concatenate(starts), np.concatenate(values)
    order = np.argsort(start, kind="stable")
    return [
        as_known(start[order], HOUR_S, value[order], list(COLUMNS.values()), at) for at in moments_epoch_s
    ]
