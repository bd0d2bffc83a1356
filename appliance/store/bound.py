"""The store's key in a form that only its own board opens, in the place of the plain file.

A thief of the card has the plain file too; the bound form is noise to every other board. What binds is a `Board`: a TPM 2, or the key in
the one-time-programmable rows of a Raspberry Pi (`agent.board` finds them; everything here is files). One form is whole at any moment:
the bound form is written, opened and compared before the plain file goes, and the plain file leaves its name before its bytes change.
Nothing is bound unless the key is also wrapped for the bridge's recovery key beside the store (`escrow`): a dead board loses nothing.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from appliance import durable
from appliance.contract import cbor, escrow
from appliance.contract.errors import WireError
from appliance.database import KEY_BYTES, StoreError
from appliance.settings import Settings
from appliance.store.errors import Refused
from appliance.store.escrow import kept, wrapped_file
from appliance.store.opening import handed_file, read_key

Pair = tuple[str, str]
"""Vietnamese, English."""
PLAIN, TPM2, OTP = "file", "tpm2", "otp"
WORDS = (TPM2, OTP)
"""What may bind a key; the ending of the bound file's name."""
SAID: dict[str, Pair] = {
    PLAIN: (
        "Khóa của kho dữ liệu là một tệp chỉ root đọc, nằm cùng thẻ nhớ, không gắn với bo mạch: ai lấy thẻ là có cả hai.",
        "The store's key is a root-only file on the same card, bound to no board: whoever has the card has both.",
    ),
    TPM2: (
        "Khóa của kho dữ liệu gắn với chip TPM của máy này: thẻ nhớ rời máy không đọc được.",
        "The store's key is bound to this machine's TPM: the card alone cannot be read.",
    ),
    OTP: (
        "Khóa của kho dữ liệu gắn với bo mạch này (khóa OTP trong chip): thẻ nhớ rời máy không đọc được.",
        "The store's key is bound to this board (the OTP key of its chip): the card alone cannot be read.",
    ),
    "": ("Không thấy khóa của kho dữ liệu.", "The store's key is not to be seen."),
}
"""How the key is kept, for people."""
ELSEWHERE: Pair = (
    (
        "Thẻ nhớ này thuộc bo mạch khác: khóa của nó không mở được ở đây. Không có gì bị mất hay bị ghi đè. Lắp thẻ lại vào máy cũ;"
        " nếu máy cũ đã hỏng, gửi thẻ cho người vận hành máy chủ: tram-bridge recover."
    ),
    (
        "This card belongs to another board: its key does not open here. Nothing is lost and nothing was written over. Put the card back"
        " into its own box; where that is dead, the bridge's operator takes over what is on the card: tram-bridge recover CARD."
    ),
)
"""Also after a TPM was cleared, which makes it another one."""
NO_COPY: Pair = (
    (
        "Chưa gắn khóa với bo mạch: bên cạnh kho chưa có bản khóa dự phòng cho máy chủ (store.key.wrapped), bo mạch hỏng là mất hết."
        " Ghi danh trạm trước: tram enrol."
    ),
    (
        "The key is not bound: no copy of it for the bridge's recovery key stands beside the store (store.key.wrapped), and a dead"
        " board would take everything with it. Enrol the station first: tram enrol."
    ),
)
DOMAIN = b"tram-store-key-otp-v1"
SALT_BYTES, NONCE_BYTES = 16, 12
MOST_BYTES = 16_384
"""systemd's credential for a TPM has about 700 bytes, a form of ours about 100."""


class Elsewhere(Refused):
    """The bound form is of another board."""

    def __init__(self) -> None:
        super().__init__(*ELSEWHERE)


class Board(Protocol):
    """What this board binds with. `word` is one of `WORDS`."""

    @property
    def word(self) -> str:
        """The ending of the bound file's name."""

    def seal(self, station: str, key: bytes) -> bytes:
        """A form of `key` for this board alone. OSError where the board cannot do it now."""

    def open(self, station: str, sealed: bytes) -> bytes:
        """The key; `Elsewhere` where another board sealed it, OSError where the board cannot do it now."""


# --- the files ----------------------------------------------------------------------------------------------------------------------------


def bound_file(settings: Settings, word: str) -> Path:
    """Where the form bound by `word` is: beside the plain file."""
    return settings.store.key_file.with_name(f"{settings.store.key_file.name}.{word}")


def _leaving(settings: Settings) -> Path:
    """The plain file on its way out: its own name is gone, its bytes are not yet."""
    return settings.store.key_file.with_name(f".{settings.store.key_file.name}.leaving")


def _draft(file: Path) -> Path:
    """A file on its way in (`durable.replace`)."""
    return file.with_name(f".{file.name}.new")


def files(settings: Settings) -> list[Path]:
    """Every file but the plain one that may hold the key, in whatever form; a draft of the plain one too."""
    forms = [bound_file(settings, word) for word in WORDS]
    return [*forms, _leaving(settings), *(_draft(one) for one in (settings.store.key_file, *forms))]


def standing(settings: Settings) -> str:
    """How the key is kept: `PLAIN`, one of `WORDS`, or empty. For anybody who may see the names in the folder."""
    if os.path.exists(settings.store.key_file):
        return PLAIN
    return next((word for word in WORDS if os.path.exists(bound_file(settings, word))), "")


# --- opening ------------------------------------------------------------------------------------------------------------------------------


def opened(settings: Settings, boards: Sequence[Board]) -> tuple[bytes, str]:
    """The key and how it is kept. StoreError ``key`` where there is none, `Elsewhere` where only another board opens it.

    Of a plain file and a bound one, as a power cut may leave them, the plain one is taken; unless the recovery copy says that the plain
    one is no key of this store (somebody made a new one).
    """
    plain, there = settings.store.key_file, [word for word in WORDS if bound_file(settings, word).exists()]
    if plain.exists():
        key = read_key(plain)
        if not there or vouched(settings, key) is not False:
            return key, PLAIN
    if not there:
        raise StoreError("key", str(plain), "there is no key: tram init makes one for a new store", "Không có khóa của kho dữ liệu")
    for word in there:
        board = next((one for one in boards if one.word == word), None)
        if board is not None:
            return board.open(settings.need("station.id"), bound_file(settings, word).read_bytes()[:MOST_BYTES]), word
    raise Elsewhere


def not_elsewhere(settings: Settings) -> None:
    """Refused where the key is bound and nobody has opened it: no new key and no new store may take its place."""
    word = standing(settings)
    if word in WORDS:
        raise StoreError(
            "key", str(bound_file(settings, word)), f"the key is bound to a board ({word}) and was not opened: tram key open",
            "Khóa gắn với bo mạch và chưa được mở: tram key open",
        )  # fmt: skip


def vouched(settings: Settings, key: bytes) -> bool | None:
    """True when the recovery copy beside the store is of this key, False when it is of another one, None when there is none."""
    copy = kept(wrapped_file(settings))
    return None if copy is None else (copy.station, copy.name) == (settings.need("station.id"), escrow.name_of(key))


def hand(settings: Settings, key: bytes) -> Path:
    """Put the key where systemd takes it from for each unit (``LoadCredential=``): in memory, root's alone."""
    file = handed_file(settings)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    durable.replace(file, key, 0o600)
    return file


# --- from one form to the other ---------------------------------------------------------------------------------------------------------


def bind(settings: Settings, boards: Sequence[Board], random: Callable[[int], bytes]) -> bool:
    """Bind the key to the first of `boards`; False when it is bound already. Cut off anywhere, the next call goes on.

    Refused where no recovery copy of this key stands beside the store.
    """
    plain, station = settings.store.key_file, settings.need("station.id")
    key, was = opened(settings, boards)
    if was != PLAIN and not plain.exists():
        sweep(settings, random)
        return False
    if vouched(settings, key) is not True:
        raise Refused(*NO_COPY)
    if was == PLAIN:
        board, file = boards[0], bound_file(settings, boards[0].word)
        if not _opens(board, station, file, key):
            durable.replace(file, board.seal(station, key), 0o600)
            if not _opens(board, station, file, key):
                file.unlink()
                raise StoreError("key", str(file), "what the board sealed it does not open again", "Bo mạch không mở lại được khóa")
    _leave(settings)
    sweep(settings, random)
    return True


def _opens(board: Board, station: str, file: Path, key: bytes) -> bool:
    """Whether the bound form is there and gives the key."""
    try:
        return board.open(station, file.read_bytes()[:MOST_BYTES]) == key
    except (FileNotFoundError, Elsewhere):
        return False


def _leave(settings: Settings) -> None:
    """The plain file loses its name before its bytes change: one that is half written over must never be taken for a key."""
    plain = settings.store.key_file
    if plain.exists():
        plain.rename(_leaving(settings))
        durable.sync(plain.parent)


def sweep(settings: Settings, random: Callable[[int], bytes]) -> None:
    """Destroy a plain file that a power cut left on its way out or in. Only after the bound form has opened."""
    for file in (_leaving(settings), _draft(settings.store.key_file)):
        durable.shred(file, random)


def unbind(settings: Settings, boards: Sequence[Board], random: Callable[[int], bytes]) -> bool:
    """Back to the plain file, before a board is changed or an older program comes; False when it is so already."""
    key, was = opened(settings, boards)
    sweep(settings, random)
    there = [bound_file(settings, word) for word in WORDS if bound_file(settings, word).exists()]
    if was != PLAIN:
        durable.replace(settings.store.key_file, key, 0o600)
        if read_key(settings.store.key_file) != key:
            raise StoreError("key", str(settings.store.key_file), "it does not read back as it was written", "Không đọc lại được khóa")
    for file in there:
        file.unlink()
        durable.sync(file.parent)
    return bool(there)


# --- sealed under a key of the board's own ------------------------------------------------------------------------------------------------


def seal_under(own: bytes, station: str, key: bytes, random: Callable[[int], bytes]) -> bytes:
    """`key` under the board's `own` key (32 bytes): AES-256-GCM (NIST SP 800-38D), its key by HKDF-SHA256 (RFC 5869), the salt made now."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    salt, nonce = random(SALT_BYTES), random(NONCE_BYTES)
    sealed = AESGCM(_derived(own, station, salt)).encrypt(nonce, key, _named(station))
    return cbor.dump([1, station, salt, nonce, sealed])


def open_under(own: bytes, station: str, form: bytes) -> bytes:
    """The key; `Elsewhere` where another board's key sealed it, or for another station, or it was changed."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        match cbor.load(form):
            case [1, str(whose), bytes(salt), bytes(nonce), bytes(sealed)] if whose == station and len(nonce) == NONCE_BYTES:
                key = AESGCM(_derived(own, station, salt)).decrypt(nonce, sealed, _named(station))
            case _:
                raise Elsewhere
    except (WireError, InvalidTag):
        raise Elsewhere from None
    if len(key) != KEY_BYTES:
        raise Elsewhere
    return key


def _derived(own: bytes, station: str, salt: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=_named(station)).derive(own)


def _named(station: str) -> bytes:
    return DOMAIN + cbor.dump([station])
