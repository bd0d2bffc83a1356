"""The store's key bound to its board: one whole form at every moment, nothing bound without the recovery copy, no other board opens it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from appliance.agent.board import Otp
from appliance.contract import escrow as form
from appliance.database import StoreError
from appliance.settings import Settings
from appliance.store import bound, escrow
from appliance.store.errors import Refused
from appliance.store.opening import handed_file, read_key
from tests.store.cards import every_cut
from tests.store.station import STATION, settings_at

KEY = bytes(range(32))
OURS, OTHER = Otp(b"o" * 32), Otp(b"x" * 32)


def keys_of(settings: Settings) -> Path:
    """The folder the key is in."""
    return settings.store.key_file.parent


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A station whose key stands in a folder of its own, with its recovery copy beside the store."""
    (tmp_path / "etc").mkdir()
    found = settings_at(tmp_path)
    object.__setattr__(found.store, "key_file", tmp_path / "etc" / "store.key")
    found.paths.data.mkdir(exist_ok=True)
    again(found)
    copied(found, KEY)
    return found


def copied(settings: Settings, key: bytes) -> None:
    """The recovery copy of `key`."""
    public = X25519PrivateKey.from_private_bytes(bytes([4]) * 32).public_key()
    escrow.wrapped_file(settings).write_bytes(form.write(form.wrap(STATION, key, 1, public)))


def again(settings: Settings, key: bytes = KEY) -> None:
    """Back to the plain file alone."""
    for one in keys_of(settings).iterdir():
        one.unlink()
    settings.store.key_file.write_bytes(key)
    settings.store.key_file.chmod(0o600)


def names(settings: Settings) -> list[str]:
    """What lies in the key's folder."""
    return sorted(one.name for one in keys_of(settings).iterdir())


def test_the_plain_file_gives_way_to_a_form_that_this_board_opens(settings: Settings) -> None:
    """One file is left, the key is nowhere in it, it opens here; a second time nothing is done."""
    os.link(settings.store.key_file, settings.paths.data / "other name")
    assert bound.bind(settings, [OURS], os.urandom)
    assert names(settings) == ["store.key.otp"]
    held = bound.bound_file(settings, "otp")
    assert KEY not in held.read_bytes() and held.stat().st_mode & 0o777 == 0o600
    assert KEY not in (settings.paths.data / "other name").read_bytes()
    assert bound.opened(settings, [OURS]) == (KEY, "otp")
    was = held.read_bytes()
    assert not bound.bind(settings, [OURS], os.urandom)
    assert held.read_bytes() == was
    assert bound.standing(settings) == "otp"


def test_two_bindings_of_one_key_look_different(settings: Settings) -> None:
    """Salt and nonce are new each time: nobody sees that the key is the same."""
    assert OURS.seal(STATION, KEY)[-60:] != OURS.seal(STATION, KEY)[-60:]


@pytest.mark.parametrize("copy", ["none", "another key's", "broken"])
def test_nothing_is_bound_without_the_recovery_copy_of_this_key(settings: Settings, copy: str) -> None:
    """A dead board would take everything with it: refused with the next step, the plain file as it was."""
    if copy == "none":
        escrow.wrapped_file(settings).unlink()
    elif copy == "broken":
        escrow.wrapped_file(settings).write_bytes(b"\x85")
    else:
        copied(settings, bytes(32))
    with pytest.raises(Refused, match="tram enrol") as caught:
        bound.bind(settings, [OURS], os.urandom)
    assert "tram enrol" in caught.value.vi
    assert names(settings) == ["store.key"]
    assert read_key(settings.store.key_file) == KEY


@pytest.mark.parametrize("boards", [[], [OTHER]])
def test_a_card_in_another_box_is_told_so_and_nothing_changes(settings: Settings, boards: list[Otp]) -> None:
    """Plain words with the way out, in both languages, on a board with another key and on one with none; no new key is made."""
    bound.bind(settings, [OURS], os.urandom)
    was = bound.bound_file(settings, "otp").read_bytes()
    for work in (lambda: bound.opened(settings, boards), lambda: bound.unbind(settings, boards, os.urandom)):
        with pytest.raises(bound.Elsewhere, match=r"another board.*tram-bridge recover") as caught:
            work()
        assert "bo mạch khác" in caught.value.vi and "tram-bridge recover" in caught.value.vi
    with pytest.raises(StoreError, match="bound to a board"):
        bound.not_elsewhere(settings)
    assert names(settings) == ["store.key.otp"]
    assert bound.bound_file(settings, "otp").read_bytes() == was


@pytest.mark.parametrize("at", range(0, 110, 7))
def test_a_form_that_was_changed_or_belongs_to_another_station_does_not_open(at: int) -> None:
    """Every part of it is under the seal: version, station, salt, nonce, key."""
    sealed = bytearray(OURS.seal(STATION, KEY))
    sealed[at % len(sealed)] ^= 1
    with pytest.raises(bound.Elsewhere):
        OURS.open(STATION, bytes(sealed))
    with pytest.raises(bound.Elsewhere):
        OURS.open("tram-0002", OURS.seal(STATION, KEY))


def cuts(settings: Settings, patch: pytest.MonkeyPatch, *, back: bool) -> Iterator[int]:
    """Every cut on the way into the bound form, or back."""

    def before() -> None:
        again(settings)
        if back:
            bound.bind(settings, [OURS], os.urandom)

    def work() -> object:
        return bound.unbind(settings, [OURS], os.urandom) if back else bound.bind(settings, [OURS], os.urandom)

    return every_cut(keys_of(settings), patch, before, work)


@pytest.mark.parametrize("back", [False, True])
def test_a_power_cut_anywhere_leaves_a_whole_key(settings: Settings, monkeypatch: pytest.MonkeyPatch, back: bool) -> None:
    """Whatever of the last writes and names landed: the key opens as it was, also where the recovery copy is gone since; the next run ends
    the work, nothing else is left.
    """
    seen, copy = set(), escrow.wrapped_file(settings)
    for at in cuts(settings, monkeypatch, back=back):
        seen.add(at)
        copy.rename(copy.with_suffix(".away"))
        assert bound.opened(settings, [OURS])[0] == KEY, (at, names(settings))
        copy.with_suffix(".away").rename(copy)
        assert bound.opened(settings, [OURS])[0] == KEY, (at, names(settings))
        bound.bind(settings, [OURS], os.urandom)
        assert bound.opened(settings, [OURS]) == (KEY, "otp"), (at, names(settings))
        assert [one for one in names(settings) if one != "store.key.otp"] == [], at
    assert len(seen) >= 5


def test_the_start_ends_what_a_cut_left_of_the_plain_file(settings: Settings) -> None:
    """A file on its way out or in is destroyed once the bound form has opened."""
    bound.bind(settings, [OURS], os.urandom)
    for left in (".store.key.leaving", ".store.key.new"):
        (keys_of(settings) / left).write_bytes(KEY)
    bound.sweep(settings, os.urandom)
    assert names(settings) == ["store.key.otp"]


def test_a_new_plain_key_beside_a_bound_one_does_not_take_its_place(settings: Settings) -> None:
    """Somebody made a key because the file was gone: the recovery copy says which one is the store's, and the stranger goes."""
    bound.bind(settings, [OURS], os.urandom)
    settings.store.key_file.write_bytes(bytes(32))
    settings.store.key_file.chmod(0o600)
    assert bound.opened(settings, [OURS]) == (KEY, "otp")
    assert bound.bind(settings, [OURS], os.urandom)
    assert names(settings) == ["store.key.otp"]
    assert bound.opened(settings, [OURS]) == (KEY, "otp")


def test_what_a_board_cannot_open_again_is_never_relied_on(settings: Settings) -> None:
    """A chip that seals nonsense: the plain file stays, the form goes."""

    class Broken(Otp):
        def seal(self, station: str, key: bytes) -> bytes:
            return super().seal(station, key[::-1])

    with pytest.raises(StoreError, match="does not open again"):
        bound.bind(settings, [Broken(b"o" * 32)], os.urandom)
    assert names(settings) == ["store.key"]
    assert read_key(settings.store.key_file) == KEY


def test_what_is_handed_over_is_roots_alone_and_in_a_folder_of_its_own(settings: Settings) -> None:
    """The folder that the station's programs share is not the one."""
    file = bound.hand(settings, KEY)
    assert file == handed_file(settings)
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777, read_key(file)) == (0o600, 0o700, KEY)
    assert settings.paths.run not in file.parents
