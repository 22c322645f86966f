"""Signed notes and tree heads: what the ledger says of itself under its own name, checked with the public key alone.

A note is text, a blank line and a signature line; a tree head is a note of three lines: the log's name, how many leaves it
has, and its root. Both are the forms that other transparency logs use, so that their tools read ours.

Sources: C2SP signed-note and tlog-checkpoint; RFC 8032 (Ed25519).
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from gridmargin.vocab import InputError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

DASH = "— "
"""What a signature line begins with."""


class SignatureError(ValueError):
    """A note that its signature does not cover; the message says why."""


@dataclass(frozen=True, slots=True)
class TreeHead:
    """How many leaves a log has and what their root is.

    Attributes
    ----------
    origin : str
        Name of the log.
    tree_size : int
        Number of leaves.
    root : bytes
        RFC 6962 root over them.
    """

    origin: str
    tree_size: int
    root: bytes

    def text(self) -> str:
        """Give the head as the three lines that are signed."""
        return f"{self.origin}\n{self.tree_size}\n{base64.b64encode(self.root).decode()}\n"

    @staticmethod
    def read(text: str) -> TreeHead:
        """Read the three lines.

        Raises
        ------
        InputError
            If they are not a tree head.
        """
        lines = text.split("\n")
        try:
            if len(lines[1]) > 18:
                raise ValueError("no log is so long")
            origin, size, root = lines[0], int(lines[1]), base64.b64decode(lines[2], validate=True)
        except (IndexError, ValueError):
            raise InputError(
                "not a tree head: want the log's name, its size and its root on three lines"
            ) from None
        if not origin or len(root) != 32 or str(size) != lines[1] or size < 0:
            raise InputError("not a tree head: want the log's name, its size and its root on three lines")
        return TreeHead(origin, size, root)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that checks notes, as `NAME+ID+BASE64`.

    Attributes
    ----------
    name : str
        Of the log that signs with its other half.
    raw : bytes
        32 bytes.
    """

    name: str
    raw: bytes

    key_type: ClassVar[bytes] = b"\x01"
    """Ed25519 over the words of a note."""

    made_by: ClassVar[str] = "`gridmargin ledger key` prints it"

    @property
    def key_id(self) -> bytes:
        """First four bytes of SHA-256 over name, newline, key type and key."""
        return hashlib.sha256(self.name.encode() + b"\n" + self.key_type + self.raw).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(self.key_type + self.raw).decode()}"

    @classmethod
    def read(cls, text: str) -> Self:
        """Read `NAME+ID+BASE64`.

        Raises
        ------
        InputError
            If it is not such a key, or its id is not its own.
        """
        parts = text.strip().split("+", 2)
        try:
            name, key_id, body = parts
            decoded = base64.b64decode(body, validate=True)
        except ValueError:
            raise InputError(
                f"{text.strip()[:60]!r} is not a public key; want NAME+ID+BASE64 as {cls.made_by}, or a file that holds it"
            ) from None
        key = cls(name, decoded[1:])
        if decoded[:1] != cls.key_type or len(decoded) != 33 or key.key_id.hex() != key_id:
            raise InputError(
                f"public key {name!r}: its id {key_id} does not belong to it; copy it again, whole"
            )
        return key

    def open(self, note: str) -> str:
        """Give the text of a note that this key's other half signed.

        Raises
        ------
        SignatureError
            If this key did not sign it, or signed other words.
        """
        text, lines = signatures_of(note)
        for name, signature in lines:
            if name == self.name and signature[:4] == self.key_id:
                self.check(signature[4:], text.encode())
                return text
        signers = ", ".join(name for name, _ in lines)
        raise SignatureError(f"it is signed by {signers or 'nobody'}, not by {self.name}")

    def check(self, signature: bytes, message: bytes) -> None:
        """Hold a signature against the words it is said to be over.

        Raises
        ------
        SignatureError
            If it is not.
        """
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except InvalidSignature:
            raise SignatureError(f"the signature of {self.name!r} is not one over these words") from None


def signatures_of(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """Take a note apart into its text and, line by line, who signed and with what.

    Raises
    ------
    SignatureError
        If it has no signature or one cannot be read.
    """
    text, found, signatures = note.rpartition("\n\n")
    if not found:
        raise SignatureError("it has no signature")
    lines = []
    for line in signatures.splitlines():
        name, _, encoded = line.removeprefix(DASH).partition(" ")
        try:
            lines.append((name, base64.b64decode(encoded, validate=True)))
        except ValueError:
            raise SignatureError(f"the signature line of {name!r} cannot be read") from None
    return text + "\n", lines


class Signer:
    """The key that a ledger signs with, kept in a file that only its owner may read.

    Parameters
    ----------
    path : Path
        The private key (PKCS #8, PEM); made at the first signature, the public key beside it with `.pub`.

    Notes
    -----
    The log's name is made from the public key, so that two ledgers never share one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._key: Ed25519PrivateKey | None = None

    def public(self) -> PublicKey:
        """Give the public half.

        Raises
        ------
        InputError
            If the file is no Ed25519 key.
        """
        raw = self.raw_public()
        return PublicKey("gridmargin/" + hashlib.sha256(raw).hexdigest()[:12], raw)

    def sign(self, text: str) -> str:
        """Give the note that says `text`, which ends in a newline.

        Raises
        ------
        InputError
            If the key cannot be read.
        """
        key = self.public()
        signature = key.key_id + self.sign_bytes(text.encode())
        return f"{text}\n{DASH}{key.name} {base64.b64encode(signature).decode()}\n"

    def raw_public(self) -> bytes:
        """Give the 32 bytes of the public half."""
        return self._private().public_key().public_bytes_raw()

    def sign_bytes(self, message: bytes) -> bytes:
        """Give the 64 bytes of a signature."""
        return self._private().sign(message)

    def _private(self) -> Ed25519PrivateKey:
        if self._key is None:
            self._key = self._load_or_make()
        return self._key

    def _load_or_make(self) -> Ed25519PrivateKey:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        if not self.path.exists():
            pem = Ed25519PrivateKey.generate().private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            handle, temporary = tempfile.mkstemp(
                dir=self.path.parent, prefix=".key-"
            )  # readable by its owner alone
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(pem)
                    file.flush()
                    os.fsync(file.fileno())
                with contextlib.suppress(FileExistsError):  # another process was faster: its key is the key
                    os.link(temporary, self.path)
            finally:
                Path(temporary).unlink()
        try:
            key = serialization.load_pem_private_key(self.path.read_bytes(), password=None)
        except (ValueError, TypeError) as error:
            raise InputError(
                f"{self.path} is not an Ed25519 private key ({error}); put back the one that signed this ledger, or"
                " move it away and a new one is made, which will not continue the old name"
            ) from None
        if not isinstance(key, Ed25519PrivateKey):
            raise InputError(f"{self.path} holds a key of another kind; want Ed25519")
        return key
