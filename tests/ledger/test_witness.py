"""A witness signs only what begins with what it signed before, and an audit says who saw what; in the form of C2SP."""

import base64
import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gridmargin.ledger import (
    Asked,
    Book,
    PublicKey,
    SignatureError,
    Signer,
    TreeHead,
    Witness,
    WitnessKey,
    audit_book,
    audit_export,
    export,
    keep_cosignature,
    refusal,
)  # fmt: skip
from gridmargin.vocab import InputError
from ledger.samples import FIT, T0, estimates

LATER = T0 + timedelta(days=1)


@pytest.fixture
def book(store, tmp_path):
    with Book(store.ledger(), Signer(tmp_path / "key.pem")) as opened:
        opened.append(estimates([0.1, 0.2, 0.3]), FIT, T0)
        yield opened


@pytest.fixture
def witness(tmp_path):
    return Witness(tmp_path / "witness.pem", "example.org/w1")


def cosigned_by(witness, book):
    note = book.head()
    return note + witness.cosign(TreeHead.read(note), LATER)


def test_a_cosignature_is_the_bytes_that_c2sp_says(book, witness):
    """Key id of type 4, eight bytes of time, and Ed25519 over `cosignature/v1`, the time and the whole head."""
    note = cosigned_by(witness, book)
    text, _, lines = note.rpartition("\n\n")
    name, _, encoded = lines.splitlines()[-1].removeprefix("— ").partition(" ")
    body = base64.b64decode(encoded)
    raw = witness.public().raw
    seconds = int(LATER.timestamp())
    assert name == "example.org/w1"
    assert body[:4] == hashlib.sha256(b"example.org/w1\n\x04" + raw).digest()[:4]
    assert int.from_bytes(body[4:12], "big") == seconds
    message = f"cosignature/v1\ntime {seconds}\n{text}\n".encode()
    Ed25519PublicKey.from_public_bytes(raw).verify(body[12:], message)
    assert WitnessKey.read(str(witness.public())).seen(note) == LATER
    assert book.signer.public().open(note) == text + "\n"  # the ledger's own line still holds


def test_a_cosignature_of_the_published_example_holds():
    """The example of tlog-cosignature, checked for form: name, key id and time are read from the line."""
    line = "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA=="
    body = base64.b64decode(line)
    assert (len(body), int.from_bytes(body[4:12], "big")) == (76, 1_679_315_147)


def test_neither_key_passes_for_the_other(book, witness):
    ours, theirs = book.signer.public(), witness.public()
    with pytest.raises(InputError, match="does not belong to it"):
        WitnessKey.read(str(ours))
    with pytest.raises(InputError, match="does not belong to it"):
        PublicKey.read(str(theirs))
    with pytest.raises(SignatureError):
        theirs.seen(book.head())
    altered = cosigned_by(witness, book).replace("\n3\n", "\n2\n")
    with pytest.raises(SignatureError, match="not one over these words"):
        theirs.seen(altered)


def test_rollbacks_forks_and_rewritten_logs_are_refused(book):
    seen = TreeHead.read(book.head())
    assert refusal(None, seen, []) is None
    assert refusal(seen, seen, []) is None
    book.append(estimates([0.4, 0.5, 0.6, 0.7]), FIT, LATER)
    head, path = TreeHead.read(book.head()), book.log.consistency(3)
    assert refusal(seen, head, path) is None
    assert refusal(head, seen, path).startswith("rolled back")
    assert refusal(head, replace(head, root=seen.root), []).startswith("forked")
    assert refusal(seen, head, path[:-1]).startswith("rewritten")
    assert refusal(replace(seen, root=bytes(32)), head, path).startswith("rewritten")


def test_an_export_says_what_each_witness_saw_and_an_audit_asks_for_it(book, witness, tmp_path):
    """Kept with the head, handed on with a proof that the log of today begins with it, whole or in part."""
    ours, theirs = book.signer.public(), witness.public()
    stranger = Witness(tmp_path / "other.pem").public()
    keep_cosignature(book.connection, cosigned_by(witness, book), ours, theirs)
    book.append(estimates([0.4, 0.5]), FIT, LATER)
    said = f"witness example.org/w1 saw the first 3 leaves at {LATER:%Y-%m-%dT%H:%MZ}; 2 came after that"
    assert said in audit_book(book, ours, witnesses=[theirs]).checked
    for asked, name in ((Asked(), "whole.csv"), (Asked("US-ERCO", None), "part.csv")):
        export(book, tmp_path / name, asked, LATER)
        found = audit_export(tmp_path / name, ours, witnesses=[theirs])
        assert found.holds
        assert said in found.checked
        faults = audit_export(tmp_path / name, ours, witnesses=[stranger]).faults
        assert faults == [f"witness {stranger.name}: no head bears its cosignature"]


def test_a_clock_behind_a_witness_corrects_nothing(book, witness):
    """The witness's clock is another's: a correction that it contradicts would antedate what was told since."""
    ours, theirs = book.signer.public(), witness.public()
    keep_cosignature(book.connection, cosigned_by(witness, book), ours, theirs)
    book.append(estimates([0.4]), FIT, LATER + timedelta(days=30))
    with pytest.raises(InputError, match="it is behind"):
        book.correct_clock(LATER - timedelta(seconds=1), "ahead")
    assert book.corrections() == []
    assert book.correct_clock(LATER + timedelta(seconds=1), "ahead") == 1


def test_only_a_head_that_this_ledger_signed_is_kept(book, witness, tmp_path):
    ours, theirs = book.signer.public(), witness.public()
    with pytest.raises(InputError, match="did not sign it"):
        keep_cosignature(book.connection, book.head(), ours, theirs)
    other = Signer(tmp_path / "elsewhere.pem")
    head = TreeHead(other.public().name, 3, bytes(32))
    with pytest.raises(InputError, match="not by"):
        keep_cosignature(book.connection, other.sign(head.text()) + witness.cosign(head, LATER), ours, theirs)
    fork = replace(TreeHead.read(book.head()), root=bytes(32))
    note = book.signer.sign(fork.text()) + witness.cosign(fork, LATER)
    with pytest.raises(InputError, match="with that root"):
        keep_cosignature(book.connection, note, ours, theirs)


def test_a_history_that_the_witness_never_saw_fails_the_audit(book, witness, tmp_path, store):
    """Another ledger signed with the same key: its own keeper's heads hold, the witness's word does not."""
    ours, theirs = book.signer.public(), witness.public()
    note = cosigned_by(witness, book)
    with Book(store.ledger(), book.signer) as forged:
        forged.append(estimates([0.9, 0.2, 0.3, 0.4]), FIT, T0)
        forged.connection.execute(
            "INSERT INTO log_heads (tree_size, note) VALUES (3, ?)", (note[: note.rindex("— ")],)
        )
        forged.connection.execute(
            "INSERT INTO log_cosignatures (tree_size, witness, line) VALUES (3, ?, ?)",
            (str(theirs), note.splitlines()[-1]),
        )
        export(forged, tmp_path / "forged.csv", Asked("US-ERCO", None), LATER)
    found = audit_export(tmp_path / "forged.csv", ours, witnesses=[theirs])
    assert [fault for fault in found.faults if "witness" in fault and "are not those" in fault]
