"""The shelf gives back what was put there, bit by bit, or nothing: never what is damaged or answers something else."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridmargin.ledger import Shelf

ANSWER = {"b": [0.1, 1e-300, -0.0, 3], "a": {"ü": "text", "none": None}}


def shelf_of(folder, made_by="code 1", **more):
    return Shelf(folder / "fits", lambda: made_by, **more)


def only_file(folder):
    [path] = (folder / "fits").iterdir()
    return path


def test_another_process_finds_what_was_kept(tmp_path):
    """The same values to the last bit, in the order of their keys."""
    shelf_of(tmp_path).put("question", ANSWER)
    found = shelf_of(tmp_path)
    assert json.dumps(found.get("question")) == json.dumps(ANSWER)
    assert found.faults() == []


@given(value=st.floats(allow_nan=False, allow_infinity=False))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_number_comes_back_to_the_last_bit(tmp_path, value):
    """JSON's shortest form of a float is read as that float."""
    shelf = shelf_of(tmp_path)
    shelf.put("question", [value])
    assert shelf.get("question")[0].hex() == value.hex()


def test_what_was_never_kept_is_not_there(tmp_path):
    """And that is no fault, nor that there is no folder yet."""
    shelf = shelf_of(tmp_path)
    assert shelf.get("question") is None
    shelf.put("question", ANSWER)
    assert shelf.get("another question") is None
    assert shelf.faults() == []


def test_what_other_code_learned_is_not_taken(tmp_path):
    """Nor with other libraries: both stand in `made_by`."""
    shelf_of(tmp_path).put("question", ANSWER)
    assert shelf_of(tmp_path, "code 2").get("question") is None


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_damaged_byte_is_trusted(tmp_path, data):
    """Cut anywhere or with any byte changed, it is said to be damaged, once, and not taken."""
    shelf = shelf_of(tmp_path)
    shelf.put("question", ANSWER)
    path = only_file(tmp_path)
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        path.write_bytes(whole[:at])
    else:
        path.write_bytes(whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :])
    assert shelf.get("question") is None
    [fault] = shelf.faults()
    assert path.name in fault
    assert "damaged" in fault
    assert shelf.faults() == []
    shelf.put("question", ANSWER)
    assert shelf.get("question") == ANSWER


def test_a_file_under_another_name_is_not_taken(tmp_path):
    """What it answers stands inside it."""
    shelf = shelf_of(tmp_path)
    shelf.put("one", ANSWER)
    one = only_file(tmp_path)
    shelf.put("two", {"other": 1})
    [two] = [path for path in one.parent.iterdir() if path != one]
    two.write_bytes(one.read_bytes())
    assert shelf.get("two") is None
    assert "another question" in shelf.faults()[0]


def test_what_was_not_asked_for_the_longest_goes_first(tmp_path):
    """The shelf stays below its size, and what was just asked for stays."""
    shelf = shelf_of(tmp_path, most_bytes=3000)
    for number in range(6):
        shelf.put(f"question {number}", "x" * 500)
        assert shelf.get("question 0") is not None
    sizes = [path.stat().st_size for path in (tmp_path / "fits").iterdir()]
    assert sum(sizes) <= 3000
    assert shelf.get("question 5") is not None
    assert shelf.get("question 1") is None
    assert shelf.faults() == []


def test_who_reads_while_others_write_gets_all_of_it_or_nothing(tmp_path):
    """Whole files take each other's place: no reader sees half of one."""
    big = {"numbers": list(range(5000))}

    def write(number):
        mine = shelf_of(tmp_path)
        for _ in range(30):
            mine.put("question", big)
        return mine.faults()

    def read(number):
        mine = shelf_of(tmp_path)
        found = [mine.get("question") for _ in range(60)]
        assert all(one is None or one == big for one in found)
        return mine.faults()

    with ThreadPoolExecutor(4) as pool:
        done = [*pool.map(write, range(2)), *pool.map(read, range(2))]
    assert done == [[], [], [], []]
    assert len(list((tmp_path / "fits").iterdir())) == 1


def test_where_nothing_can_be_written_the_answer_still_comes(tmp_path):
    """It is said, with the name of the file, and nothing is raised."""
    (tmp_path / "fits").write_text("a file where the folder should be")
    shelf = shelf_of(tmp_path)
    shelf.put("question", ANSWER)
    assert shelf.get("question") is None
    assert "learned again" in shelf.faults()[0]


@pytest.mark.parametrize("answer", [float("nan"), {1, 2}])
def test_what_json_cannot_say_is_refused(tmp_path, answer):
    """A fit is plain numbers, texts and lists; nothing else is kept, and nothing is run on reading."""
    with pytest.raises((TypeError, ValueError)):
        shelf_of(tmp_path).put("question", answer)
