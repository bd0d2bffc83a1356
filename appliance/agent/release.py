"""One release in one file: wheels, what they are, and the signature of whoever may publish (Ed25519 over the list with all hashes).

A tar without compression (wheels are compressed): first ``release.json``, then ``release.sig`` (64 bytes over `DOMAIN` and the
exact bytes of the list), then the wheels in the order of the list. The list is checked before one byte of a wheel is looked at.
"""

import ast
import hashlib
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from appliance.store.errors import Refused

DOMAIN = b"tram-release-v1\0"
LIST, SIGNATURE = "release.json", "release.sig"
ENDING = ".tram"
LIST_MOST, WHEELS_MOST, BYTES_MOST = 1 << 18, 400, 1 << 29
"""A list of 400 wheels takes 60 kB; today's 40 wheels take 60 MB together. More is no release of ours."""
_VERSION = re.compile(r"(0|[1-9][0-9]{0,4})\.(0|[1-9][0-9]{0,4})\.(0|[1-9][0-9]{0,4})")
_WHEEL = re.compile(r"[A-Za-z0-9_.+!-]{1,200}\.whl")
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Release:
    """What a file brings: `version` of three numbers; the `schema` its code makes; the CPython (``3.13``) and machine (``aarch64``)
    it is for, ``any`` where all wheels are pure; `wheels`: name → SHA-256 in hexadecimal.
    """

    version: str
    schema: int
    python: str
    machine: str
    wheels: Mapping[str, str]


def number(version: str) -> tuple[int, ...]:
    """A version to compare by; ValueError for one that has not three numbers."""
    found = _VERSION.fullmatch(version)
    if found is None:
        raise ValueError(f"no version: {version!r}")
    return tuple(int(one) for one in found.groups())


def refused_file(why: str) -> Refused:
    """A file that is whole no more, or was never ours."""
    return Refused(
        f"Tệp cập nhật hỏng hoặc không phải của Trạm ({why}). Chép lại từ nguồn. Máy vẫn chạy bản cũ.",
        f"this is no whole release ({why}): copy it again from where it came; the version in force stays",
    )


# --- reading ----------------------------------------------------------------------------------------------------------------------------


def trusted(file: Path) -> list[Ed25519PublicKey]:
    """The keys releases are checked with, PEM, one or more (the next key can be pinned before the last one goes). Refused: none."""
    try:
        text = file.read_text("ascii", "replace")
    except FileNotFoundError:
        text = ""
    found = []
    for block in re.findall(r"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----\n?", text, re.S):
        with suppress(ValueError):
            key = load_pem_public_key(block.encode())
            found += [key] if isinstance(key, Ed25519PublicKey) else []
    if not found:
        raise Refused(
            f"Máy chưa có khóa để kiểm tra bản cập nhật ({file}).",
            f"no key to check releases with: update.key_file = {file} has no Ed25519 public key in PEM",
        )
    return found


def open_release(source: IO[bytes], keys: Sequence[Ed25519PublicKey]) -> tuple[Release, tarfile.TarFile]:
    """The checked list, and the archive that stands before its first wheel. Refused for anything that is not signed by one of `keys`."""
    try:
        archive = tarfile.open(fileobj=source, mode="r|")  # noqa: SIM115 - the caller reads on in it
        content, signature = _member(archive, LIST, LIST_MOST), _member(archive, SIGNATURE, 64)
    except (tarfile.TarError, EOFError) as error:
        raise refused_file("not an archive") from error
    if not any(_signed(key, signature, content) for key in keys):
        raise Refused(
            "Chữ ký của tệp cập nhật không đúng: có thể đã bị sửa. Không cài. Máy vẫn chạy bản cũ.",
            "the signature does not hold: this file is not from whoever publishes for this box; nothing was installed",
        )
    return _list(content), archive


def _member(archive: tarfile.TarFile, name: str, most: int) -> bytes:
    one = archive.next()
    if one is None or one.name != name or not one.isfile() or one.size > most:
        raise refused_file(f"no {name}")
    source = archive.extractfile(one)
    assert source is not None
    return source.read()


def _signed(key: Ed25519PublicKey, signature: bytes, content: bytes) -> bool:
    try:
        key.verify(signature, DOMAIN + content)
    except InvalidSignature:
        return False
    return True


def _list(content: bytes) -> Release:
    """A signed list may still be one of a later format: what does not fit is refused with its word."""
    try:
        found: Any = json.loads(content)
        made = Release(**found)
        number(made.version)
        good = isinstance(made.schema, int) and isinstance(made.python, str) and isinstance(made.machine, str)
        good = good and 0 < len(made.wheels) <= WHEELS_MOST
        good = good and all(_WHEEL.fullmatch(name) and re.fullmatch("[0-9a-f]{64}", digest) for name, digest in made.wheels.items())
    except (ValueError, TypeError, AttributeError) as error:
        raise refused_file("a list this version does not understand") from error
    if not good:
        raise refused_file("a list this version does not understand")
    return made


def unpack(release: Release, archive: tarfile.TarFile, folder: Path) -> None:
    """Every wheel of the list into `folder`, each with the bytes it was signed with. Refused for a missing, other or further one."""
    left, room = dict(release.wheels), BYTES_MOST
    try:
        while (one := archive.next()) is not None:
            room -= one.size
            source = archive.extractfile(one) if one.isfile() else None
            if one.name not in left or source is None or room < 0:
                raise refused_file(f"{one.name[:80]!a} is not on the list")
            if _copied(source, folder / one.name) != left.pop(one.name):
                raise refused_file(f"{one.name} has other bytes")
    except (tarfile.TarError, EOFError) as error:
        raise refused_file("it ends too early") from error
    if left:
        raise refused_file(f"{min(left)} is missing")
    lines = [f"./{name} --hash=sha256:{digest}\n" for name, digest in sorted(release.wheels.items())]
    (folder / "requirements.txt").write_text("".join(lines), "utf-8")


def _copied(source: IO[bytes], target: Path) -> str:
    found = hashlib.sha256()
    with target.open("xb") as sink:
        while piece := source.read(_PIECE):
            found.update(piece)
            sink.write(piece)
    return found.hexdigest()


# --- writing ----------------------------------------------------------------------------------------------------------------------------


def pack(wheels: Mapping[str, bytes], key: Ed25519PrivateKey, out: Path) -> Release:
    """Write the release that these wheels (name → bytes) make, signed; ValueError when they make none. `out` is whole or not there."""
    own = [name for name in wheels if name.startswith("tram-")]
    if len(own) != 1:
        raise ValueError(f"a release has one wheel of tram, not {len(own)}")
    version, schema = _told(own[0], wheels[own[0]])
    digests = {name: hashlib.sha256(wheels[name]).hexdigest() for name in sorted(wheels)}
    release = Release(version, schema, *_for(wheels), digests)
    content = (json.dumps(asdict(release), indent=1, sort_keys=True) + "\n").encode()
    draft = out.with_name(out.name + ".part")
    with tarfile.open(draft, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, piece in ((LIST, content), (SIGNATURE, key.sign(DOMAIN + content)), *sorted(wheels.items())):
            one = tarfile.TarInfo(name)
            one.size = len(piece)
            archive.addfile(one, io.BytesIO(piece))
    draft.rename(out)
    return release


def _told(name: str, content: bytes) -> tuple[str, int]:
    """Version and schema of our own wheel, read out of its code without running it."""
    version = name.split("-")[1]
    number(version)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        tree = ast.parse(archive.read("appliance/store/version.py"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SCHEMA":
            return version, int(ast.literal_eval(node.value))
    raise ValueError(f"{name} does not say which schema it makes")


def _for(names: Mapping[str, bytes]) -> tuple[str, str]:
    """The CPython and the machine these wheels are for."""
    pythons = {f"3.{found[1]}" for name in names if (found := re.search(r"-cp3([0-9]+)-cp3", name))}
    machines = {found[1] for name in names if (found := re.search(r"linux[^-]*_(x86_64|aarch64)[^-]*\.whl$", name))}
    if len(pythons) > 1 or len(machines) > 1:
        raise ValueError(f"wheels for {sorted(pythons | machines)} in one release")
    return (min(pythons, default="any"), min(machines, default="any"))
