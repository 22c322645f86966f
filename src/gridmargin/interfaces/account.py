"""Price a small list of requests that came over REST, by the same road as a log on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from gridmargin.attribution import charged_parts
from gridmargin.interfaces.answers import receipt_answer
from gridmargin.interfaces.placing import place_answer
from gridmargin.pipeline import Job, account_log, recipe
from gridmargin.places import Places, overheads_of
from gridmargin.receipts import find_receipt
from gridmargin.reference import profile_for
from gridmargin.requests import read_log
from gridmargin.vocab import InputError, format_utc, parse_utc, sha256_hex
from gridmargin.wiring import SourceChoice, Workplace, now_utc

LONGEST = timedelta(days=32)
"""Longest stretch priced at once: each month of it is a fit."""

MOST_REQUESTS = 10_000
"""Longest list taken at once."""


def alignment_text(align_to: str | None) -> str | None:
    """Say how a log was moved; stamped on its run."""
    return f"first arrival moved to {format_utc(parse_utc(align_to, 'align_to'))}" if align_to else None


def price_requests(
    place: Workplace, choice: SourceChoice, body: Mapping[str, Any], places: Places
) -> dict[str, Any]:
    """Keep the list as a log of token counts and times, price it, and give the summary with its receipts."""
    charged_parts(body["charge"])
    places.where(body["zone"], now_utc())
    recipe(body["estimator"])
    profile = profile_for(body["device"], body["model"])
    requests = body["requests"]
    if len(requests) > MOST_REQUESTS:
        raise InputError(
            f"{len(requests)} requests, more than {MOST_REQUESTS}; use `gridmargin account` for large logs"
        )
    # A column is either there for every request or not there at all.
    names = [name for name in requests[0] if any(request[name] is not None for request in requests)]
    lines = "".join(json.dumps({name: request[name] for name in names}) + "\n" for request in requests)
    path = place.folder / "logs" / f"{sha256_hex(lines.encode())[:16]}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".part-{path.name}")
    try:
        part.write_text(lines, encoding="utf-8")
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    align_to = body["align_to"]
    log = read_log(path, parse_utc(align_to, "align_to") if align_to else None)
    if log.last_utc - log.first_utc > LONGEST:
        raise InputError(
            f"the requests span {(log.last_utc - log.first_utc).days} days, more than {LONGEST.days};"
            " price them in parts, or use `gridmargin account`"
        )
    found = places.where(body["zone"], log.first_utc)
    stated = overheads_of(found.centre)
    job = Job(
        found.zone, body["estimator"], profile, alignment=alignment_text(align_to), cooling=stated.get("cooling"),
        loss=stated.get("loss"), place=place_answer(found), charge=body["charge"],
    )  # fmt: skip
    factory = place.factory(choice, found.zone, log.first_utc, (body["estimator"],))
    summary = account_log(log, job, factory, place.folder, lambda _n: None)
    rows = range(1, len(requests) + 1)
    receipts = [
        receipt_answer(find_receipt(place.folder, f"{summary['run_id']}-{row}")) for row in rows[:500]
    ]
    return summary | {"receipts": receipts}
