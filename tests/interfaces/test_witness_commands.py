"""From a ledger to a witness and back by the command line: what somebody else signed is kept, handed on and asked for."""

import json

import pytest

from gridmargin.interfaces.cli import witness_commands
from gridmargin.ledger import TreeHead, audit_export, manifest_of
from gridmargin.vocab import InputError
from interfaces.command_line import run


def priced(folder, moment):
    said = run("now", "US-ERCO", "--at", moment, "--source", "reference", "--data-dir", folder)
    assert said.code == 0, said.err


def exported(folder, path, *more):
    assert run("ledger", "export", "--out", path, "--data-dir", folder, *more).code == 0


def key(folder):
    return run("ledger", "key", "--data-dir", folder).out.strip()


@pytest.fixture
def home(tmp_path):
    priced(tmp_path / "home", "2024-07-15T18:00Z")
    return tmp_path / "home"


def witness(home, export, out, tmp_path, *more):
    return run(
        "ledger", "witness", export, "--key", tmp_path / "w.pem", "--public-key", key(home), "--out", out,
        "--seen", tmp_path / "w.seen", "--name", "example.org/w", *more, "--json",
    )  # fmt: skip


def test_a_head_goes_to_a_witness_and_back(home, tmp_path):
    exported(home, tmp_path / "first.csv")
    signed = witness(home, tmp_path / "first.csv", tmp_path / "note", tmp_path).json()
    assert (signed["faults"], signed["seen_tree_size"]) == ([], 0)
    kept = run(
        "ledger", "cosigned", tmp_path / "note", "--witness", signed["witness"], "--data-dir", home, "--json"
    )
    assert kept.json()["tree_size"] == signed["tree_size"]
    head = run("ledger", "head", "--data-dir", home, "--json").json()
    assert head["cosigned"] == [(tmp_path / "note").read_text()]
    exported(home, tmp_path / "second.csv")
    asked = (
        "verify",
        "--export",
        tmp_path / "second.csv",
        "--public-key",
        key(home),
        "--seen",
        tmp_path / "s",
    )
    said = run("ledger", *asked, "--witness", signed["witness"])
    assert said.code == 0
    assert f"holds: witness example.org/w saw the first {signed['tree_size']} leaves" in said.out
    assert run("ledger", "verify", "--data-dir", home, "--witness", signed["witness"]).code == 0
    other = run("ledger", "witness", tmp_path / "second.csv", "--key", tmp_path / "o.pem", "--public-key", key(home),
                "--out", tmp_path / "o", "--seen", tmp_path / "o.seen", "--json").json()  # fmt: skip
    said = run("ledger", *asked, "--witness", other["witness"])
    assert said.code == 1
    assert "no head bears its cosignature" in said.out


def test_a_witness_refuses_what_went_back_and_signs_what_went_on(home, tmp_path):
    exported(home, tmp_path / "old.csv")
    priced(home, "2024-07-16T18:00Z")
    exported(home, tmp_path / "new.csv")
    assert witness(home, tmp_path / "old.csv", tmp_path / "a", tmp_path).code == 0
    grown = witness(home, tmp_path / "new.csv", tmp_path / "b", tmp_path).json()
    assert 0 < grown["seen_tree_size"] < grown["tree_size"]
    seen = (tmp_path / "w.seen").read_text()
    assert TreeHead.read(seen).tree_size == grown["tree_size"]
    refused = witness(home, tmp_path / "old.csv", tmp_path / "c", tmp_path)
    assert refused.code == 1
    assert "rolled back" in json.loads(refused.out)["faults"][0]
    assert not (tmp_path / "c").exists()
    assert (tmp_path / "w.seen").read_text() == seen


def test_the_ledgers_own_key_is_no_witness(home, tmp_path):
    exported(home, tmp_path / "a.csv")
    said = run("ledger", "witness", tmp_path / "a.csv", "--key", home / "ledger-key.pem", "--public-key", key(home),
               "--out", tmp_path / "o", "--seen", tmp_path / "s")  # fmt: skip
    assert said.code == 2
    assert "the ledger's own key" in said.err


def test_a_server_that_shows_another_past_is_refused(home, tmp_path, monkeypatch):
    """Over HTTP the head and the proof come from the server; both are held against the head signed last."""
    from gridmargin.interfaces.cli import witness_commands

    head = run("ledger", "head", "--data-dir", home, "--json").json()
    answers = {"/v1/ledger/head": head}
    monkeypatch.setattr(witness_commands, "_asked", lambda _, path: answers[path])
    first = witness(home, "http://ledger.test", tmp_path / "a", tmp_path)
    assert first.code == 0
    priced(home, "2024-07-16T18:00Z")
    n = first.json()["tree_size"]
    answers["/v1/ledger/head"] = run("ledger", "head", "--data-dir", home, "--json").json()
    asked = f"/v1/ledger/consistency?tree_size={n}"
    answers[asked] = {"head": answers["/v1/ledger/head"]["note"], "path": ["00" * 32]}
    refused = witness(home, "http://ledger.test", tmp_path / "b", tmp_path)
    assert (refused.code, json.loads(refused.out)["faults"][0][:9]) == (1, "rewritten")


def test_copy_restore_and_clock_say_what_they_did(home, tmp_path):
    copied = run("ledger", "copy", home / "ledger.sqlite", tmp_path / "there.sqlite")
    assert copied.code == 0
    assert "same root" in copied.out
    again = run("ledger", "copy", home / "ledger.sqlite", tmp_path / "there.sqlite")
    assert (again.code, "is not empty" in again.err) == (2, True)
    run(
        "ledger", "retire", "--before", "2024-07-16T00:00Z", "--out", tmp_path / "old.csv", "--data-dir", home
    )
    assert run("ledger", "restore", tmp_path / "old.csv", "--data-dir", home).code == 0
    clock = run("ledger", "clock", "--data-dir", home, "--json").json()
    assert (clock["ahead_s"], clock["corrected"], clock["notes"]) == (0.0, False, [])
    assert run("ledger", "clock", "--correct", "nothing", "--data-dir", home).code == 2


def test_a_diff_is_given_in_pages(home):
    asked = ("ledger", "diff", "--since", "2020-01-01T00:00Z", "--data-dir", home, "--json")
    assert run(*asked).json()["more"] is False
    assert run(*asked, "--cursor", "marginal-0").json()["restated"] == []
    assert run(*asked, "--cursor", "nonsense").code == 2


def test_a_witness_signs_the_head_that_it_audited_and_no_other(home, tmp_path, monkeypatch):
    """A manifest that is replaced between the audit and the signature is refused, and nothing is remembered of it."""
    export, seen, out = tmp_path / "whole.csv", tmp_path / "w.seen", tmp_path / "note"
    exported(home, export)

    def audited(path, *asked):
        found = audit_export(path, *asked)
        manifest = json.loads(manifest_of(path).read_text())
        head = TreeHead.read(manifest["head"])
        manifest["head"] = TreeHead(head.origin, head.tree_size + 1, bytes(32)).text() + manifest["head"][3:]
        manifest_of(path).write_text(json.dumps(manifest))
        return found

    monkeypatch.setattr(witness_commands, "audit_export", audited)
    with pytest.raises(InputError, match="changed while it was read"):
        witness_commands.witness(str(export), tmp_path / "w.pem", key(home), out, None, seen)
    assert not seen.exists()
    assert not out.exists()
