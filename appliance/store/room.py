"""How much room the store has, and what is done when it runs out: the policy of delivery.md §9.

Above 80 % of the room `Keeper` sheds what may go (`retention.PRESSED`), a small step at a time, from the carrier's loop: the
kiosk never waits for it. From 95 % on new pictures are refused; readings and consults never are. Pages that the file holds
free are room too: SQLite does not give them back, it fills them again.
"""

import os
from collections.abc import Callable
from typing import NamedTuple

from appliance import __version__
from appliance.contract.events import CardRoom, Event
from appliance.contract.readings import Stamp
from appliance.database import Connection, StoreError, files, transaction, truncate_log
from appliance.settings import Settings
from appliance.store import retention
from appliance.store.ballast import make_ballast
from appliance.store.errors import Refused
from appliance.store.opening import ballast_file, database_file
from appliance.store.outbox import append
from appliance.store.retention import Shed, Step

SHED_SHARE, PICTURE_SHARE = 0.80, 0.95
"""Of the room: from here on things are shed; from here on pictures are refused."""
EVERY = 3600.0
"""Seconds between two looks at the room."""
PAUSE = 0.2
"""Seconds between two steps: the kiosk's commits go between them."""


class Room(NamedTuple):
    """Bytes `used` of `total`; the ballast counts as neither."""

    used: int
    total: int

    @property
    def share(self) -> float:
        """0 empty, 1 full."""
        return self.used / self.total if self.total > 0 else 1.0


def measure(settings: Settings, conn: Connection) -> Room:
    """The room of the store: ``store.room_bytes``, or what the filesystem has."""
    ballast = ballast_file(settings)
    aside = ballast.stat().st_blocks * 512 if ballast.exists() else 0
    free = int(conn.execute("PRAGMA freelist_count").fetchone()[0]) * settings.store.page_size
    if settings.store.room_bytes:
        used = sum(one.stat().st_size for one in files(database_file(settings))[:2] if one.exists())
        return Room(max(0, used - free), settings.store.room_bytes)
    disk = os.statvfs(settings.paths.data)
    total = disk.f_blocks * disk.f_frsize - aside
    return Room(max(0, total - disk.f_bavail * disk.f_frsize - free), total)


def check_picture(settings: Settings, conn: Connection) -> None:
    """Refused when the room is so full that a new picture would take what readings need."""
    if measure(settings, conn).share >= PICTURE_SHARE:
        raise Refused(
            "Bộ nhớ của máy trạm gần đầy nên không nhận thêm ảnh. Số đo và yêu cầu vẫn lưu và gửi được. Gọi kỹ thuật viên.",
            "The station’s card is nearly full: no more pictures. Readings and requests are still kept and sent. Call the technician.",
        )


class Keeper:
    """Keeps room on the card. `wall` gives tenths of a second since 1970, `tell` hears what was shed, once a kind and round."""

    def __init__(self, settings: Settings, conn: Connection, wall: Callable[[], int], tell: Callable[[Shed], None]) -> None:
        self._settings, self._conn, self._wall, self._tell = settings, conn, wall, tell
        self._due = float("-inf")
        self._steps: list[Step] = []
        self._pressed = False
        self._round: dict[str, Shed] = {}
        self._last: Room | None = None

    def urgent(self) -> None:
        """The disk was full a moment ago: look at once."""
        self._due = float("-inf")

    def turn(self, now: float) -> float:
        """One small step when it is time to; seconds until the next. `now` is monotonic. Raises StoreError."""
        if now < self._due:
            return self._due - now
        wait = PAUSE if self._step() else EVERY
        self._due = now + wait
        return wait

    def _step(self) -> bool:
        """True when there is more to do."""
        if not self._steps:
            self._begin()
        while self._steps:
            if self._pressed and measure(self._settings, self._conn).share <= SHED_SHARE:
                break
            found = self._steps[0](self._conn, self._wall())
            if found is not None:
                before = self._round.get(found.what, Shed(found.what, 0, 0))
                self._round[found.what] = Shed(found.what, before.items + found.items, before.bytes + found.bytes)
                return True
            self._steps.pop(0)
        if self._pressed or not self._over():
            self._end()
            return False
        self._steps, self._pressed = list(retention.PRESSED), True
        return True

    def _begin(self) -> None:
        self._round, self._pressed, self._steps = {}, False, list(retention.DAILY)

    def _over(self) -> bool:
        return measure(self._settings, self._conn).share > SHED_SHARE

    def _end(self) -> None:
        """Give the log's room back, set the ballast aside anew where it fits, say what was done."""
        if self._round:
            truncate_log(self._conn)
        room = measure(self._settings, self._conn)
        if room.share <= SHED_SHARE:
            make_ballast(ballast_file(self._settings), self._settings.store.ballast_mb)
        for one in self._round.values():
            self._tell(one)
        self._steps = []
        if self._last is None or self._round or abs(room.share - self._last.share) >= 0.01:
            keep(self._conn, room, self._wall())
            self._last = room


def keep(conn: Connection, room: Room, at: int) -> None:
    """Write down how full it is, for the technician. Own transaction; a full disk keeps the old line."""
    try:
        with transaction(conn):
            conn.execute(
                "INSERT INTO disk (id, at, used, total) VALUES (1, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
                " at = excluded.at, used = excluded.used, total = excluded.total",
                (at, room.used, room.total),
            )
    except StoreError as error:
        if error.reason != "full":
            raise


TOLD = "card_told"
TELL_TENTHS, TELL_SHARE = 864_000, 0.05
"""The bridge is told once a day, and when the share has changed by so much."""


def tell(conn: Connection, now: Stamp) -> bool:
    """Tell the bridge how full the card is, when that is due; True when it was. Own transaction, none where nothing is due."""
    found = conn.execute("SELECT used, total FROM disk WHERE id = 1").fetchone()
    if found is None:
        return False
    used, total = int(found[0]) >> 20, max(1, int(found[1]) >> 20)
    last = conn.execute("SELECT value FROM meta WHERE key = ?", (TOLD,)).fetchone()
    at, share = (int(last[0]) // 1000, int(last[0]) % 1000 / 1000) if last is not None else (0, 0.0)
    if 0 <= now.wall - at < TELL_TENTHS and abs(used / total - share) < TELL_SHARE:
        return False
    with transaction(conn):
        append(conn, Event(now, "", __version__, CardRoom(used, total)))
        value = now.wall * 1000 + min(999, round(1000 * used / total))
        conn.execute("INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (TOLD, value))
    return True
