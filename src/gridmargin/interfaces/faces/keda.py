"""The ConfigMap that the carbon-aware KEDA operator reads: a forecast as JSON, base64 under `binaryData`."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any

from gridmargin.interfaces.faces.signals import Signal
from gridmargin.vocab import InputError, format_utc

NAME, NAMESPACE, KEY = "carbon-intensity", "kube-system", "data"
"""What the operator's documentation looks for."""


def config_map(
    signal: Signal, location: str, now_utc: datetime, name: str = NAME, namespace: str = NAMESPACE
) -> dict[str, Any]:
    """Build the ConfigMap of a forecast.

    It is not immutable, so that `kubectl apply` can renew it.

    Parameters
    ----------
    signal : Signal
        A forecast.
    location : str
        What the records call the place.
    """
    generated = signal.generated_utc
    if generated is None or not signal.points:
        raise InputError(f"{signal.zone}: the operator reads forecasts; this signal is none")
    values = [point.mid for point in signal.points]
    records = [
        {
            "location": location,
            "timestamp": point.start_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "duration": signal.interval_s // 60,
            "value": point.mid,
        }
        for point in signal.points
    ]
    notes = [f"{signal.kind.value} factor of {signal.zone} in gCO2/kWh by {signal.estimator}"]
    notes += [notice.message for notice in signal.notices]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": {
            "lastHeartbeatTime": format_utc(now_utc),
            "message": "; ".join(notes),
            "numOfRecords": str(len(records)),
            "forecastDateTime": format_utc(generated),
            "minForecast": f"{min(values):f}",
            "maxForecast": f"{max(values):f}",
        },
        "binaryData": {KEY: base64.b64encode(json.dumps(records).encode()).decode()},
    }
