"""What must hold of every attribution rule and every meter."""

import itertools
import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.attribution import RULES, Split
from gridmargin.attribution.rules.shapley import shapley_of_step
from gridmargin.meters import METERS, MeterWindow, Reading
from gridmargin.reference import profile_for
from gridmargin.requests import Request
from gridmargin.vocab import InputError, Interval, Status
from meters.fakes import WORLDS, close_all, play

T0 = datetime(2026, 7, 15, 18, tzinfo=UTC)
WINDOW = Interval.starting(T0, 60)
PROFILE = profile_for("H100", "llama-3.1-8b")


def reading(energy_j):
    return Reading("H100/0", WINDOW, energy_j, 60.0, "modelled", Status.MODELLED)


def request(number, start_s, length_s, prompt=100, generated=20):
    start = T0 + timedelta(seconds=start_s)
    return Request(f"q{number}", start, prompt, generated, start + timedelta(seconds=length_s))


REQUESTS = st.lists(
    st.tuples(st.floats(-120, 120), st.floats(0, 90), st.integers(0, 3000), st.integers(0, 500)), max_size=8
).map(lambda rows: [request(i, *row) for i, row in enumerate(rows)])


def test_there_are_rules_to_examine():
    """The suite below examines something."""
    assert {"shapley", "token_share", "time_share"} <= set(RULES)


@pytest.mark.parametrize("name", list(RULES))
@given(requests=REQUESTS, energy_j=st.floats(0, 1e7))
def test_a_rule_conserves_energy_and_hands_out_none_below_zero(name, requests, energy_j):
    """Shares and the rest add up to the reading; none is negative; every request is named."""
    split = RULES.get(name)(requests, reading(energy_j), PROFILE)
    assert isinstance(split, Split)
    assert split.energy_j == pytest.approx(energy_j, rel=1e-9, abs=1e-9)
    assert split.unattributed_j >= -1e-9
    assert all(share >= 0 for share in split.shares_j.values())
    assert set(split.shares_j) == {r.request_id for r in requests}


@pytest.mark.parametrize("name", list(RULES))
@given(requests=REQUESTS, seed=st.randoms())
def test_order_does_not_matter(name, requests, seed):
    """The same requests in another order get the same shares."""
    shuffled = list(requests)
    seed.shuffle(shuffled)
    rule = RULES.get(name)
    assert rule(requests, reading(1000.0), PROFILE) == rule(shuffled, reading(1000.0), PROFILE)


@pytest.mark.parametrize("name", list(RULES))
def test_nobody_there_leaves_everything_unattributed(name):
    """No requests, or none in the window: the reading is nobody's."""
    rule = RULES.get(name)
    assert rule([], reading(10.0), PROFILE) == Split({}, 10.0)
    outside = request(1, 300, 10)
    assert rule([outside], reading(10.0), PROFILE) == Split({"q1": 0.0}, 10.0)


@pytest.mark.parametrize("name", list(RULES))
def test_a_request_outside_the_window_gets_nothing(name):
    """Half-open: a request that begins as the window ends is outside."""
    split = RULES.get(name)([request(1, 5, 20), request(2, 60, 10)], reading(5000.0), PROFILE)
    assert split.shares_j["q2"] == 0
    assert split.shares_j["q1"] > 0


@pytest.mark.parametrize("name", list(RULES))
def test_an_id_that_stands_twice_is_refused(name):
    """Two requests of one name could not be told apart on a receipt."""
    with pytest.raises(InputError, match="'q1' stands twice"):
        RULES.get(name)([request(1, 5, 20), request(1, 6, 20)], reading(5000.0), PROFILE)


@given(fixed_j=st.floats(0, 100), own=st.lists(st.floats(0, 50), min_size=1, max_size=6))
def test_the_closed_form_is_the_shapley_value(fixed_j, own):
    """Against the definition: the mean of what each adds over every order of arrival."""
    players = [f"q{i}" for i in range(len(own))]
    costs = dict(zip(players, own, strict=True))

    def worth(group):
        return (fixed_j if group else 0.0) + sum(costs[p] for p in group)

    n = len(players)
    for player in players:
        others = [p for p in players if p != player]
        value = math.fsum(
            math.factorial(k)
            * math.factorial(n - k - 1)
            / math.factorial(n)
            * (worth([*group, player]) - worth(group))
            for k in range(n)
            for group in itertools.combinations(others, k)
        )
        assert shapley_of_step(fixed_j, costs)[player] == pytest.approx(value, rel=1e-9, abs=1e-9)


def modelled(folder):
    windows = [MeterWindow(0, int(T0.timestamp()) + 900 * i, 100.0 + i, 20.0, 5.0, 9.0, 40) for i in range(4)]
    return METERS.get("modelled")(PROFILE, windows, 900)


def recorded(folder):
    from gridmargin.meters.counting import Instrument

    path = folder / "trace.csv"
    # A counter that wraps at 1000 J in its third period, loses the sample at 40 s, and goes on.
    rows = [(0, 900.0), (10, 950.0), (20, 990.0), (30, 40.0), (50, 140.0), (60, 190.0)]
    lines = [f"{(T0 + timedelta(seconds=s)).isoformat()},{j}" for s, j in rows]
    path.write_text("time_utc,energy_j\n" + "\n".join(lines) + "\n")
    return METERS.get("recorded")(path, Instrument(10.0, modulus_j=1000.0, most_power_w=50.0))


OPEN = []


def live(name):
    """An instrument that went through a gap and a reset; test_instruments.py looks closer."""

    def build(folder):
        world = WORLDS[name](folder)
        meter = METERS.get(name).open(world.around())
        OPEN.append(meter)
        play(
            world, meter, [(0, 1000), (1, 1100), (2, 1250), (3, None), (4, 1500), (5, 50), (6, 170), (7, 300)]
        )
        return meter

    return build


BUILDERS = {"modelled": modelled, "recorded": recorded, **{name: live(name) for name in WORLDS}}


@pytest.fixture(autouse=True)
def _let_go():
    yield
    while OPEN:
        OPEN.pop().close()
    close_all()


@pytest.mark.parametrize("name", list(METERS))
def test_a_meter_reports_energy_that_is_never_negative_and_never_overlaps(name, tmp_path):
    """Readings in order, finite, not negative, none over another; and there are some."""
    assert name in BUILDERS, f"no sample meter for {name}: add a builder"
    meter = BUILDERS[name](tmp_path)
    assert meter.name == name
    assert meter.sees
    found = list(meter.readings())
    assert found
    assert all(r.energy_j >= 0 and r.resolution_s > 0 and r.meter == name for r in found)
    for a, b in itertools.pairwise(found):
        assert a.device != b.device or a.interval.end_utc <= b.interval.start_utc


@pytest.mark.parametrize("name", list(METERS))
def test_only_readings_wholly_inside_are_given(name, tmp_path):
    """A window that sticks out of the question is not part of the answer."""
    meter = BUILDERS[name](tmp_path)
    whole = list(meter.readings())
    inside = Interval(whole[0].interval.start_utc, whole[-1].interval.end_utc - timedelta(microseconds=1))
    assert len(list(meter.readings(inside))) == len(whole) - 1


def test_a_wrap_is_counted_and_a_dropped_sample_is_said(tmp_path):
    """The counter went 900 → 1190 J over its wrap: 290 J in all; what spans the lost sample is imputed, not reported."""
    found = list(recorded(tmp_path).readings())
    assert math.fsum(r.energy_j for r in found) == pytest.approx(290.0)
    assert [r.status for r in found] == [Status.REPORTED] * 3 + [Status.IMPUTED, Status.REPORTED]
    assert found[3].interval.duration_s == 20
