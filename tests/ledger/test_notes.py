"""Notes and keys are those that other transparency logs use, and a signature covers its words and no others."""

import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.ledger import PublicKey, Signer, TreeHead
from gridmargin.ledger.notes import SignatureError
from gridmargin.vocab import InputError

# The example of Go's package golang.org/x/mod/sumdb/note, made by another implementation.
THEIR_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
THEIR_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


@pytest.fixture
def signer(tmp_path):
    return Signer(tmp_path / "key.pem")


def test_a_note_that_another_implementation_signed_is_read():
    text = PublicKey.read(THEIR_KEY).open(THEIR_NOTE)
    assert text.startswith("If you think")
    assert text.endswith("problem is.\n")
    with pytest.raises(SignatureError, match="not one over these words"):
        PublicKey.read(THEIR_KEY).open(THEIR_NOTE.replace("cryptography", "blockchain"))


def test_the_key_is_made_once_and_only_its_owner_may_read_it(tmp_path):
    path = tmp_path / "key.pem"
    first = Signer(path).public()
    assert Signer(path).public() == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["key.pem"]
    assert PublicKey.read(str(first)) == first


def test_only_the_log_itself_signs_for_it(tmp_path, signer):
    head = TreeHead(signer.public().name, 3, bytes(32))
    note = signer.sign(head.text())
    assert TreeHead.read(signer.public().open(note)) == head
    other = Signer(tmp_path / "other.pem").public()
    with pytest.raises(SignatureError, match=f"not by {other.name}"):
        other.open(note)
    with pytest.raises(SignatureError, match="no signature"):
        signer.public().open(head.text())


@given(st.data())
def test_a_changed_byte_anywhere_in_a_note_is_noticed(tmp_path_factory, data):
    signer = Signer(tmp_path_factory.getbasetemp() / "one-key.pem")
    note = signer.sign(TreeHead(signer.public().name, 12, b"\x07" * 32).text())
    at = data.draw(st.integers(0, len(note) - 2))
    letter = data.draw(st.sampled_from("ABCxyz019+/ \n—"))
    changed = note[:at] + letter + note[at + 1 :]
    if changed == note:
        return
    try:
        text = signer.public().open(changed)
    except SignatureError:
        return
    # Base64 has unused bits in its last letter: other letters may stand for the same bytes, but the words are the same.
    assert text == signer.public().open(note)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not a public key"),
        ("name+abcd", "is not a public key"),
        ("name+00000000+????", "is not a public key"),
        (THEIR_KEY.replace("c74f20a3", "c74f20a4"), "does not belong"),
        (THEIR_KEY[:-4], "does not belong"),
    ],
)
def test_what_is_no_key_is_refused(text, said):
    with pytest.raises(InputError, match=said):
        PublicKey.read(text)


@pytest.mark.parametrize("text", ["", "log\n", "log\n3\n", "log\n03\nAAAA\n", "log\nx\n" + "A" * 43 + "=\n"])
def test_what_is_no_head_is_refused(text):
    with pytest.raises(InputError, match="not a tree head"):
        TreeHead.read(text)


def test_a_file_that_is_no_key_is_refused_and_stays(tmp_path):
    path = tmp_path / "key.pem"
    path.write_text("not a key")
    with pytest.raises(InputError, match="not an Ed25519 private key"):
        Signer(path).public()
    assert path.read_text() == "not a key"
