"""Grams are energy times the factor of its own place and time, and sums keep shared errors shared."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.ledger import Factors
from gridmargin.receipts import (
    CAUSES,
    KEYS,
    RECEIPT_SCHEMA,
    Overheads,
    ReceiptWriter,
    find_receipt,
    latest_receipts,
    look_up,
    neighbour_factors,
    price_slices,
    quantiles,
    range_of,
    receipt_table,
    records,
    rollup,
)
from gridmargin.vocab import InputError, Kind, NoFactorError, NotFoundError, Range

T0 = int(datetime(2020, 7, 15, 18, tzinfo=UTC).timestamp())
NO_OVERHEADS = Overheads(Range(1, 1, 1), Range(1, 1, 1), 0.1)


def factors(mids, *, kind=Kind.MARGINAL, skip=(), rel=0.2):
    keep = [i for i in range(len(mids)) if i not in skip]
    mid = np.array([mids[i] for i in keep], dtype=float)
    return Factors(
        zone="US-ERCO",
        kind=kind,
        estimator="regression",
        interval_s=900,
        start_epoch_s=np.array([T0 + 900 * i for i in keep], dtype=np.int64),
        low=mid * (1 - rel),
        mid=mid,
        high=mid * (1 + rel),
        entry_id=np.array(keep, dtype=np.int64) + 1,
        status=np.array(["reported"] * len(keep)),
        view=np.array(["observed"] * len(keep)),
    )


def price(requests, table, *, overheads=NO_OVERHEADS, energy=(0.0, 0.0), timing=0.0):
    """`requests`: list of lists of (slot number, joules)."""
    slots = np.array([T0 + 900 * s for r in requests for s, _ in r], dtype=np.int64)
    joules = np.array([j for r in requests for _, j in r], dtype=float)
    owner = np.array([i for i, r in enumerate(requests) for _ in r], dtype=np.int64)
    first = np.searchsorted(owner, np.arange(len(requests)))
    start = np.array([T0 + 900 * r[0][0] for r in requests], dtype=float) + 10
    end = np.array([T0 + 900 * r[-1][0] for r in requests], dtype=float) + 20
    found = look_up(table, slots, fill=False)
    return price_slices(
        first_slice=first,
        slice_request=owner,
        slot_start_s=slots,
        interval_s=900,
        charged_j=joules,
        start_s=start,
        end_s=end,
        factor=found,
        neighbours=neighbour_factors(table, slots, found.mid),
        overheads=overheads,
        energy_relative=energy,
        timing_s=np.full(len(requests), timing),
    )


def test_a_tenth_of_a_kilowatt_hour_at_half_a_kilogram_is_fifty_grams():
    """The arithmetic of the field's standard example: 0.1 kWh at 500 g/kWh is 50 g."""
    assert price([[(0, 360_000.0)]], factors([500.0])).gco2[0] == pytest.approx(50.0, rel=1e-12)


def test_a_request_that_crosses_an_interval_is_priced_in_each():
    """One kWh-thousandth before the boundary and two after, each with its own factor."""
    priced = price([[(0, 3600.0), (1, 7200.0)]], factors([100.0, 400.0]))
    assert priced.slice_gco2.tolist() == pytest.approx([0.1, 0.8])
    assert priced.gco2[0] == pytest.approx(0.9)


def test_overheads_multiply_from_the_device_to_the_busbar():
    """Host and PUE 1.5, losses of 5 %: one joule at the device is 1.5 / 0.95 at the busbar."""
    overheads = Overheads(Range(1.4, 1.5, 1.6), Range(1.04, 1 / 0.95, 1.07), 0.1)
    assert price([[(0, 3.6e6)]], factors([100.0]), overheads=overheads).gco2[0] == pytest.approx(
        100 * 1.5 / 0.95
    )


def test_the_margin_at_zero_costs_nothing_and_keeps_its_range():
    """A curtailment interval has a factor of 0; the range above it still counts."""
    table = factors([0.0])
    object.__setattr__(table, "high", np.array([200.0]))
    priced = price([[(0, 3.6e6)]], table)
    assert priced.gco2[0] == 0
    assert priced.halves_gco2["factor_high"][0] == pytest.approx(200.0)
    assert priced.halves_gco2["factor_low"][0] == 0


def test_an_interval_without_a_factor_is_refused_by_name():
    """The message counts the intervals, names the first and gives the way out (C8)."""
    with pytest.raises(
        NoFactorError, match=r"1 interval\(s\) of US-ERCO .* 2020-07-15T18:15:00Z; `on_gap=nearest`"
    ):
        look_up(factors([1, 2, 3], skip=[1]), np.array([T0, T0 + 900]), fill=False)


def test_a_filled_interval_is_marked_and_wider():
    """The neighbour's factor stands in, its status is imputed, and its range is twice as wide (C8)."""
    table = factors([100.0, 0, 300.0], skip=[1])
    found = look_up(table, np.array([T0 + 900]), fill=True)
    assert found.status.tolist() == ["imputed"]
    assert found.filled.tolist() == [True]
    assert found.high[0] - found.low[0] == pytest.approx(2 * (table.high[1] - table.low[1]))


def test_a_neighbour_too_far_away_does_not_stand_in():
    """Six hours is the reach; beyond it even a filled account refuses."""
    with pytest.raises(NoFactorError, match="no interval within 6 h"):
        look_up(factors([100.0]), np.array([T0 + 7 * 3600]), fill=True)


def test_timing_matters_only_near_a_boundary():
    """Far from the boundary a second's doubt changes nothing; close to it, it does."""
    table = factors([100.0, 500.0, 100.0])
    far = price([[(1, 3.6e6)]], table, timing=1.0)
    near = price([[(1, 3.6e6)]], table, timing=15.0)
    assert far.halves_gco2["timing_low"][0] == 0
    assert near.halves_gco2["timing_low"][0] > 0
    assert near.halves_gco2["timing_high"][0] == 0


@given(
    joules=st.lists(st.floats(0, 1e6), min_size=1, max_size=30),
    mids=st.lists(st.floats(0, 1500), min_size=2, max_size=4),
    energy=st.floats(0, 0.5),
)
def test_the_relative_range_of_a_sum_never_shrinks_with_the_number_of_requests(joules, mids, energy):
    """Requests in one zone share the factor's error: the sum is as unsure, relatively, as each of them (C6)."""
    table = factors(mids)
    priced = price([[(i % len(mids), j)] for i, j in enumerate(joules)], table, energy=(energy, energy))
    whole = range_of(float(priced.gco2.sum()), {k: float(v.sum()) for k, v in priced.halves_gco2.items()})
    assert whole.low <= whole.mid <= whole.high
    each_high = sum(
        range_of(float(g), {k: float(v[i]) for k, v in priced.halves_gco2.items()}).high - float(g)
        for i, g in enumerate(priced.gco2)
    )
    assert whole.high - whole.mid == pytest.approx(each_high, rel=1e-9, abs=1e-9)


def table_of(priced, requests, *, run_id="run1", zone="US-ERCO", tenant=None):
    n = len(requests)
    slots = [T0 + 900 * s for r in requests for s, _ in r]
    joules = np.array([j for r in requests for _, j in r], dtype=float)
    first = np.cumsum([0, *[len(r) for r in requests]])[:-1]
    per = np.add.reduceat(joules, first)
    when = np.array([(T0 + 900 * r[0][0]) * 1_000_000 for r in requests])
    word = lambda w: pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array([w]))  # noqa: E731
    columns = {
        "receipt_id": [f"{run_id}-{i}" for i in range(n)], "request_id": [str(i) for i in range(n)],
        "run_id": word(run_id), "log_row": np.arange(n), "tenant": pa.array([tenant] * n, pa.string()),
        "endpoint": pa.nulls(n, pa.string()), "service": pa.nulls(n, pa.string()), "outcome": word("failed"),
        "retry_of": pa.nulls(n, pa.string()), "work_units": per * 0, "work_j": per * 0, "provisioned_idle_j": per / 8,
        "model": word("llama-3.1-8b"), "device": word("H100"), "zone": word(zone),
        "arrival_utc": when, "start_utc": when, "first_token_utc": when, "end_utc": when + 1_000_000,
        "latency_s": np.ones(n), "prompt_tokens": np.full(n, 10), "generated_tokens": np.full(n, 5),
        "prefill_j": per * 0, "decode_j": per, "step_fixed_j": per * 0, "loaded_idle_j": per * 0,
        "charged_energy_j": per, "marginal_energy_j": per, "plug_energy_j": per, "energy_cost_usd": per * 0, "marginal_gco2": priced.gco2,
        "average_gco2": priced.gco2 * 0.5, "status": word("modelled"), "factor_status": word("reported"),
        "alignment": pa.nulls(n, pa.dictionary(pa.int32(), pa.string())),
    }  # fmt: skip
    for kind, scale in (("marginal", 1.0), ("average", 0.5)):
        for cause in CAUSES:
            for side in ("low", "high"):
                columns[f"{kind}_{cause}_{side}_gco2"] = priced.halves_gco2[f"{cause}_{side}"] * scale
    slices = {
        "start_s": slots, "energy_j": joules, "plug_energy_j": joules, "marginal_entry_id": [1] * len(slots),
        "average_entry_id": [1] * len(slots), "marginal_gco2": priced.slice_gco2, "average_gco2": priced.slice_gco2 * 0.5,
    }  # fmt: skip
    table = receipt_table(columns, slices, first, len(slots))
    assert table.schema == RECEIPT_SCHEMA
    return table


REQUESTS = [[(0, 3600.0)], [(0, 1800.0), (1, 1800.0)], [(1, 7200.0)]]


@pytest.fixture
def folder(tmp_path):
    priced = price(REQUESTS, factors([400.0, 800.0]), energy=(0.1, 0.1))
    with ReceiptWriter(tmp_path, "run1") as writer:
        writer.write(table_of(priced, REQUESTS, tenant="a"), "US-ERCO")
        writer.commit({"run_id": "run1"})
    return tmp_path


def test_a_roll_up_adds_shared_errors_linearly_and_causes_in_quadrature(folder):
    """The factor's 20 % and the energy's 10 % give √(20² + 10²) % of the sum, however many requests."""
    row = rollup(folder)[0]
    mid = row["marginal_gco2"]["mid"]
    assert row["requests"] == 3
    assert mid == pytest.approx(0.4 + 0.2 + 0.4 + 1.6)
    assert (row["marginal_gco2"]["high"] - mid) / mid == pytest.approx(np.hypot(0.2, 0.1), rel=1e-9)
    assert row["variance_frac"] == pytest.approx(
        {"factor": 0.8, "energy": 0.2, "overhead": 0, "timing": 0}, abs=1e-9
    )
    assert row["average_gco2"]["mid"] == pytest.approx(mid / 2)


def test_two_zones_err_independently(folder):
    """The same grams in a second zone: factor errors combine in quadrature across zones, the profile's stays linear."""
    priced = price(REQUESTS, factors([400.0, 800.0]), energy=(0.1, 0.1))
    with ReceiptWriter(folder, "run2") as writer:
        writer.write(table_of(priced, REQUESTS, run_id="run2", zone="US-PJM"), "US-PJM")
        writer.commit({"run_id": "run2"})
    row = rollup(folder)[0]
    mid = row["marginal_gco2"]["mid"]
    assert (row["marginal_gco2"]["high"] - mid) / mid == pytest.approx(
        np.hypot(0.2 / np.sqrt(2), 0.1), rel=1e-9
    )
    by_zone = rollup(folder, ["zone"])
    assert [r["zone"] for r in by_zone] == ["US-ERCO", "US-PJM"]
    assert sum(r["marginal_gco2"]["mid"] for r in by_zone) == pytest.approx(mid)
    assert rollup(folder, ["zone"], run_id="run2")[0]["zone"] == "US-PJM"


def test_groups_with_no_tenant_are_not_lost(folder):
    """A null tenant is a group of its own, never dropped."""
    priced = price(REQUESTS, factors([400.0, 800.0]))
    with ReceiptWriter(folder, "run3") as writer:
        writer.write(table_of(priced, REQUESTS, run_id="run3"), "US-ERCO")
        writer.commit({"run_id": "run3"})
    assert {r["tenant"]: r["requests"] for r in rollup(folder, ["tenant"])} == {"a": 3, None: 3}


def test_receipts_of_an_older_version_are_read_and_what_they_lack_is_not_known(folder):
    """Their files have six columns less: absent is not zero (C2), alone and beside newer ones."""
    new = find_receipt(folder, "run1-1")
    (path,) = folder.glob("receipts/*/*/run1.parquet")
    lacking = ["service", "outcome", "retry_of", "work_units", "work_j", "provisioned_idle_j"]
    pq.write_table(pq.read_table(path, partitioning=None).drop_columns(lacking), path)
    old = find_receipt(folder, "run1-1")
    assert old.energy_j == {"prefill": 0, "decode": 3600, "step_fixed": 0, "loaded_idle": 0}
    assert new.energy_j == old.energy_j | {"work": 0, "provisioned_idle": 450}
    assert (old.outcome, new.outcome) == (None, "failed")
    assert old.work_units is None
    assert old.marginal_gco2 == new.marginal_gco2
    (row,) = rollup(folder, ["outcome"])
    assert (row["provisioned_idle_j"], row["n_provisioned_idle_unknown"]) == (None, 3)
    assert quantiles(folder)["p50"] == pytest.approx(0.6)
    priced = price(REQUESTS, factors([400.0, 800.0]))
    with ReceiptWriter(folder, "run2") as writer:
        writer.write(table_of(priced, REQUESTS, run_id="run2"), "US-ERCO")
        writer.commit({"run_id": "run2"})
    (row,) = rollup(folder)
    assert (row["requests"], row["n_provisioned_idle_unknown"]) == (6, 3)
    assert row["provisioned_idle_j"] == pytest.approx(14_400 / 8)
    assert {r["outcome"]: r["requests"] for r in rollup(folder, ["outcome"])} == {"failed": 3, None: 3}


def test_an_unknown_key_lists_the_known(folder):
    """Grouping by something else is refused with the list."""
    with pytest.raises(InputError, match="'colour'; known: tenant"):
        rollup(folder, ["colour"])


def test_receipts_come_back_as_they_were_written(folder):
    """A receipt is found by its id, with its slices, and its range is that of its parts."""
    receipt = find_receipt(folder, "run1-1")
    assert [s.energy_j for s in receipt.slices] == [1800.0, 1800.0]
    assert sum(s.marginal_gco2 for s in receipt.slices) == pytest.approx(receipt.marginal_gco2.mid)
    assert sum(receipt.variance_frac.values()) == pytest.approx(1)
    assert [r.receipt_id for r in latest_receipts(folder, 2)] == ["run1-2", "run1-1"]
    assert quantiles(folder)["p50"] == pytest.approx(0.6)


@pytest.mark.parametrize("receipt_id", ["run1-99", "nope-1", "run1", "../x-1", "run1-1x", ""])
def test_an_unknown_receipt_is_not_found(folder, receipt_id):
    """Whatever the id looks like, the answer is one message."""
    with pytest.raises(NotFoundError, match="no receipt"):
        find_receipt(folder, receipt_id)


def test_a_run_that_fails_leaves_nothing(tmp_path):
    """An error between write and commit: no receipt file, no staging folder, no manifest."""
    priced = price(REQUESTS, factors([400.0, 800.0]))

    def fail_half_way():
        with ReceiptWriter(tmp_path, "run1") as writer:
            writer.write(table_of(priced, REQUESTS), "US-ERCO")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert list(tmp_path.iterdir()) == []


def test_writing_a_run_again_replaces_it(folder):
    """The same run twice counts once."""
    priced = price(REQUESTS[:2], factors([400.0, 800.0]))
    with ReceiptWriter(folder, "run1") as writer:
        writer.write(table_of(priced, REQUESTS[:2]), "US-ERCO")
        writer.commit({"run_id": "run1"})
    assert rollup(folder)[0]["requests"] == 2
    assert len(records(table_of(priced, REQUESTS[:2]))) == 2


@pytest.mark.parametrize("key", sorted(KEYS))
def test_receipts_group_by_every_key(folder, key):
    """Each key gives groups whose requests and grams add up to the whole."""
    (whole,) = rollup(folder)
    groups = rollup(folder, [key])
    assert groups
    assert all(key in group for group in groups)
    assert sum(group["requests"] for group in groups) == whole["requests"]
    assert sum(g["marginal_gco2"]["mid"] for g in groups) == pytest.approx(whole["marginal_gco2"]["mid"])


def test_a_run_without_its_manifest_is_not_seen(folder):
    """Files that a crash left without a manifest are no receipts."""
    (whole,) = rollup(folder)
    for manifest in folder.glob("runs/*.json"):
        manifest.unlink()
    assert whole["requests"]
    assert latest_receipts(folder, 10) == []
    with pytest.raises(NotFoundError, match="no receipts"):
        rollup(folder)
