"""The bridge's own Ed25519 keys: one signs receipts, one answers, one the time (the door's process needs no other); and X25519 keys
that open what stations seal. Each is a file of 0600.

A file is named ``<purpose>-<key id>.key`` and holds the base64 of the 32 private bytes. The highest id signs; the public
halves of all are exported, so that stations trust the old one while they learn the new one.
"""

import base64
import binascii
import os
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from appliance import durable

PURPOSES = ("receipt", "answer", "time", "seal")
SEAL = "seal"
"""The purpose of the keys that content keys are wrapped for. A new one is told to stations by a person; the old ones stay to open with."""
FACTOR = "factor"
"""The purpose of the key that seals second factors in the database: 32 bytes for AES-256-GCM, no key pair. It is never exported."""
RECOVERY = "recovery"
"""The purpose of the key that dead boxes are opened with. Only its public half is here: ``recovery-<id>.pub``, base64."""
_PRIVATE_BYTES = 32


class KeyFileError(ValueError):
    """A key file that cannot be used. Fields: the `file`, what was `expected`."""

    def __init__(self, file: Path, expected: str) -> None:
        super().__init__(f"{file}: expected {expected}")
        self.file = file
        self.expected = expected


def make(folder: Path, purpose: str, random: Callable[[int], bytes]) -> bool:
    """Make the first key of a purpose unless there is one; True when it was made."""
    if ids(folder, purpose):
        return False
    _make(folder, purpose, 0, random)
    return True


def rotate(folder: Path, purpose: str, random: Callable[[int], bytes]) -> int:
    """Make one more key of a purpose; its id. FileExistsError when somebody else has just done so."""
    number = max(ids(folder, purpose), default=-1) + 1
    _make(folder, purpose, number, random)
    return number


def _make(folder: Path, purpose: str, number: int, random: Callable[[int], bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_secret(folder / f"{purpose}-{number}.key", base64.b64encode(random(_PRIVATE_BYTES)) + b"\n")


def write_secret(file: Path, content: bytes) -> None:
    """A new file that only its owner can read, on the disk when this returns; FileExistsError when it exists."""
    beside = file.with_name(f".{file.name}.new")
    beside.unlink(missing_ok=True)
    handle = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        os.write(handle, content)
        os.fsync(handle)
    finally:
        os.close(handle)
    try:
        os.link(beside, file)  # unlike a rename it does not replace a key that somebody else has just made
    finally:
        beside.unlink()
    durable.sync(file.parent)


def ids(folder: Path, purpose: str) -> list[int]:
    """The key ids there are of a purpose, lowest first."""
    found = [path.stem.removeprefix(f"{purpose}-") for path in folder.glob(f"{purpose}-*.key")]
    return sorted(int(text) for text in found if text.isdigit())


def load(folder: Path, purpose: str) -> tuple[int, Ed25519PrivateKey]:
    """(key id, key) that signs now. KeyFileError where there is none, or others may read it."""
    found = ids(folder, purpose)
    if not found:
        raise KeyFileError(folder / f"{purpose}-0.key", "a key; tram-bridge init makes it")
    return found[-1], _read(folder / f"{purpose}-{found[-1]}.key")


def publics(folder: Path, purpose: str) -> dict[int, bytes]:
    """The public halves (32 bytes) of every key of a purpose, by id."""
    if purpose == SEAL:
        return {number: key.public_key().public_bytes_raw() for number, key in openers(folder).items()}
    return {number: _read(folder / f"{purpose}-{number}.key").public_key().public_bytes_raw() for number in ids(folder, purpose)}


def openers(folder: Path) -> dict[int, X25519PrivateKey]:
    """Every key that content keys may be wrapped for, by id. KeyFileError where others may read one."""
    return {number: X25519PrivateKey.from_private_bytes(_private(folder / f"{SEAL}-{number}.key")) for number in ids(folder, SEAL)}


def _read(file: Path) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(_private(file))


def _private(file: Path) -> bytes:
    if file.stat().st_mode & 0o077:
        raise KeyFileError(file, "a file that only its owner may read (chmod 600)")
    try:
        private = base64.b64decode(file.read_bytes().strip(), validate=True)
    except binascii.Error:
        private = b""
    if len(private) != _PRIVATE_BYTES:
        raise KeyFileError(file, "the base64 of 32 bytes")
    return private


def sealing(folder: Path) -> bytes:
    """The 32 bytes that seal second factors. KeyFileError where there are none, or others may read them."""
    return secret(folder / f"{FACTOR}-0.key")


def secret(file: Path) -> bytes:
    """The 32 bytes of a file, such as those that sign the console's cookies. KeyFileError where there are none, or others may read them."""
    if not file.exists():
        raise KeyFileError(file, "a secret; tram-bridge init makes it")
    if file.stat().st_mode & 0o077:
        raise KeyFileError(file, "a file that only its owner may read (chmod 600)")
    found = base64.b64decode(file.read_bytes())
    if len(found) != _PRIVATE_BYTES:
        raise KeyFileError(file, "the base64 of 32 bytes")
    return found


# --- the recovery key: private where no network is, public here ---------------------------------------------------------------------------


def make_recovery(folder: Path, number: int, random: Callable[[int], bytes]) -> tuple[Path, Path]:
    """Make a recovery key in a folder: the private file (for a safe) and the public one (for the bridge). FileExistsError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    private = random(_PRIVATE_BYTES)
    public = X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    secret_file, public_file = folder / f"{RECOVERY}-{number}.key", folder / f"{RECOVERY}-{number}.pub"
    write_secret(secret_file, base64.b64encode(private) + b"\n")
    public_file.write_bytes(base64.b64encode(public) + b"\n")
    return secret_file, public_file


def read_recovery(file: Path) -> X25519PrivateKey:
    """A recovery key's private half. KeyFileError where others may read it or it is none."""
    return X25519PrivateKey.from_private_bytes(_private(file))


def add_recovery(folder: Path, file: Path) -> int:
    """Keep the public half of a recovery key; its id. KeyFileError where the file is none, or another key has the id."""
    found = _recovery_of(file)
    number = int(file.stem.removeprefix(f"{RECOVERY}-")) if found is not None else -1
    there = recoveries(folder).get(number)
    if found is None or there not in (None, found):
        raise KeyFileError(file, f"{RECOVERY}-<id>.pub as tram-bridge recovery-key make wrote it")
    if there is None:
        write_secret(folder / f"{RECOVERY}-{number}.pub", base64.b64encode(found) + b"\n")
    return number


def recoveries(folder: Path) -> dict[int, bytes]:
    """The public halves (32 bytes) of the recovery keys, by id."""
    found = ((one, _recovery_of(one)) for one in sorted(folder.glob(f"{RECOVERY}-*.pub")))
    return {int(one.stem.removeprefix(f"{RECOVERY}-")): public for one, public in found if public is not None}


def _recovery_of(file: Path) -> bytes | None:
    try:
        public = base64.b64decode(file.read_bytes().strip(), validate=True)
    except binascii.Error:
        return None
    named = file.suffix == ".pub" and file.stem.removeprefix(f"{RECOVERY}-").isdecimal()
    return public if named and len(public) == _PRIVATE_BYTES else None
