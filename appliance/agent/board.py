"""What this board offers to bind the store's key to: a TPM 2, or the device-specific key in a Raspberry Pi's one-time-programmable rows.

The TPM is systemd's to speak to (``systemd-creds``, the credential is one that ``LoadCredentialEncrypted=`` would open too). The Pi's key
is read through the firmware's mailbox with its own program ``vcmailbox``: property tag 0x00030081, get device-specific private key, eight
rows of 32 bits (raspberrypi/rpi-eeprom, tools/rpi-otp-private-key; raspberrypi/documentation pull request 2672: rows 56 to 63). On a
BCM2711 and BCM2712; a Pi 5 has sixteen rows, the first eight are taken. All zero: nobody has programmed it.
**Nothing here ever writes a row: what is programmed once can never be taken back, and is the factory's or the technician's to do.**
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance.store.bound import OTP, TPM2, Board, Elsewhere, Pair, open_under, seal_under
from appliance.store.opening import CREDENTIAL

SECONDS = 60
"""A TPM makes its primary key anew each time: seconds on a slow one."""
TPM_DEVICE = Path("/dev/tpmrm0")
"""The kernel's resource manager for a TPM 2; a TPM 1.2 has none."""
TPM_NAMED = "SYSTEMD_TPM2_DEVICE"
"""systemd's own variable for another TPM than the machine's."""
PCR = "16"
"""The credential is bound to the chip, not to a measured start, which every update of firmware or system would change, and each would then
cost a way to the station. systemd before 253 cannot open a credential without any register; 16 is the one for debugging (TCG PC Client
Platform TPM Profile 2.3.4), which nothing measures into."""
GET_PRIVATE_KEY = 0x00030081
ROWS = 8
ANSWERED = 0x80000000
"""Set in the second word of an answer (the whole request was good) and in the tag's length word (the tag was answered)."""
PROGRAM_IT: Pair = (
    "Hàng OTP của bo mạch này chưa có khóa. Ghi vào là vĩnh viễn; xem docs/how-to/bind-the-key.md.",
    "The OTP rows of this board hold no key yet. What is programmed stays for ever: docs/how-to/bind-the-key.md says how.",
)


class BoardError(OSError):
    """The board's chip or its program did not answer as it should; wait and try again."""


@dataclass(frozen=True, slots=True)
class Tpm2:
    """The machine's TPM, spoken to by systemd."""

    environ: Mapping[str, str]
    word: str = TPM2

    def seal(self, station: str, key: bytes) -> bytes:  # noqa: ARG002 - the chip knows no stations
        """A credential that systemd's `LoadCredentialEncrypted=` understands, for this chip alone."""
        command = ("systemd-creds", "encrypt", "--with-key=tpm2", f"--tpm2-pcrs={PCR}", f"--name={CREDENTIAL}", "-", "-")
        done = _run(command, key, self.environ)
        if done.returncode or not done.stdout:
            raise BoardError(f"the TPM could not seal the key: {_last(done)}")
        return done.stdout

    def open(self, station: str, sealed: bytes) -> bytes:  # noqa: ARG002 - as above
        """The key; a chip that answers and does not open it is another one, or was cleared: `Elsewhere`."""
        done = _run(("systemd-creds", "decrypt", f"--name={CREDENTIAL}", "-", "-"), sealed, self.environ)
        if done.returncode == 0:
            return done.stdout
        if self._seals():
            raise Elsewhere
        raise BoardError(f"the TPM does not answer: {_last(done)}")

    def _seals(self) -> bool:
        """Whether the chip works at all."""
        try:
            return bool(self.seal("", bytes(32)))
        except BoardError:
            return False


@dataclass(frozen=True, slots=True)
class Otp:
    """The key in a Raspberry Pi's one-time-programmable rows."""

    own: bytes
    random: Callable[[int], bytes] = os.urandom
    word: str = OTP

    def seal(self, station: str, key: bytes) -> bytes:
        """`bound.seal_under`."""
        return seal_under(self.own, station, key, self.random)

    def open(self, station: str, sealed: bytes) -> bytes:
        """`bound.open_under`."""
        return open_under(self.own, station, sealed)


@dataclass(frozen=True, slots=True)
class Offer:
    """One way to bind a key, as this board has it: `board` where it can be used, else `said` says why not."""

    word: str
    board: Board | None
    said: Pair


def offers(environ: Mapping[str, str] = os.environ) -> list[Offer]:
    """What this board offers, the better first: a TPM keeps its key even from root, a Pi's rows do not."""
    return [_tpm2(environ), _otp(environ)]


def boards(environ: Mapping[str, str] = os.environ) -> list[Board]:
    """What a key can be bound to here, the better first."""
    return [one.board for one in offers(environ) if one.board is not None]


def _tpm2(environ: Mapping[str, str]) -> Offer:
    if not environ.get(TPM_NAMED) and not TPM_DEVICE.exists():
        return Offer(TPM2, None, ("Máy không có chip TPM 2.", "This machine has no TPM 2."))
    if shutil.which("systemd-creds", path=environ.get("PATH")) is None:
        return Offer(TPM2, None, ("Có chip TPM nhưng thiếu systemd-creds.", "There is a TPM, but no systemd-creds to speak to it."))
    return Offer(TPM2, Tpm2(environ), ("Có chip TPM 2.", "There is a TPM 2."))


def _otp(environ: Mapping[str, str]) -> Offer:
    if shutil.which("vcmailbox", path=environ.get("PATH")) is None:
        none = "This is no Raspberry Pi, or the firmware's program vcmailbox (package raspi-utils) is missing."
        return Offer(OTP, None, ("Không phải Raspberry Pi, hoặc thiếu chương trình vcmailbox (gói raspi-utils).", none))
    own = otp_key(environ)
    if own is None:
        locked = "The firmware does not give the OTP key: an older board, or locked (lock_device_private_key)."
        return Offer(OTP, None, ("Firmware không cho đọc khóa OTP (bo mạch cũ hơn, hoặc đã khóa).", locked))
    if not any(own):
        return Offer(OTP, None, PROGRAM_IT)
    return Offer(OTP, Otp(own), ("Bo mạch có khóa OTP.", "The board has an OTP key."))


def otp_key(environ: Mapping[str, str]) -> bytes | None:
    """The 32 bytes of the rows, zeros where nobody programmed them; None where the firmware does not answer this tag."""
    sized = str(8 + 4 * ROWS)
    done = _run(("vcmailbox", f"0x{GET_PRIVATE_KEY:08x}", sized, sized, "0", str(ROWS), *["0"] * ROWS), b"", environ)
    if done.returncode:
        raise BoardError(f"vcmailbox: {_last(done)}")
    try:
        words = [int(word, 16) for word in done.stdout.decode("ascii").split()]
        _size, good, tag, _room, length, _first, rows, *values = words
        key = b"".join(value.to_bytes(4, "big") for value in values[:ROWS])
    except (ValueError, OverflowError):
        raise BoardError("vcmailbox answered something else than words of 32 bits") from None
    if good != ANSWERED or tag != GET_PRIVATE_KEY or not length & ANSWERED or rows != ROWS or len(key) != 4 * ROWS:
        return None
    return key


def _run(command: tuple[str, ...], given: bytes, environ: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(command, input=given, capture_output=True, check=False, timeout=SECONDS, env=dict(environ))
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise BoardError(f"{command[0]}: {error}") from error


def _last(done: subprocess.CompletedProcess[bytes]) -> str:
    return (done.stderr.decode("utf-8", "replace").strip().splitlines() or [f"exit {done.returncode}"])[-1]
