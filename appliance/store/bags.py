"""The station's post bag on a stick: what lies on it for us, taking it in, putting ours on it.

First in, then out: what came says what the bridge has, and what it has need not go again. Nothing in the outbox is changed by
packing; a bag that is lost on the road is packed again, with everything that is still not vouched for. `tram carry` may
run meanwhile (`appliance.relay.bags`).
"""

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from appliance.contract.bag import BagHeader, BagRefused, bag_name
from appliance.contract.readings import Stamp
from appliance.contract.topics import DOWN, UP
from appliance.database import Connection
from appliance.relay.bags import Came, Courier
from appliance.settings import Settings
from appliance.stick import Found, OpenBag, Stick, StickError, named
from appliance.store.errors import Refused
from appliance.store.inbox import StationStore
from appliance.store.sealing import seals_of
from appliance.store.speaking import station_end
from appliance.store.waiting import things

MOST_BAGS = 16
"""Bags of the bridge that are taken from one stick, the latest ones: each holds what the ones before it held and we lack."""

BAG_VI: dict[str, str] = {
    "foreign": "Tệp này không phải túi thư của Trạm.",
    "newer": "Túi thư này do phiên bản mới hơn đóng. Cập nhật phần mềm của trạm rồi nhận lại.",
    "torn": "Túi thư này không trọn vẹn, có thể do rút USB quá sớm. Nhờ nơi gửi đóng túi lại.",
    "damaged": "Túi thư này bị hỏng hoặc bị sửa trên đường. Nhờ nơi gửi đóng túi lại.",
    "station": "Túi thư này của trạm khác.",
    "way": "Túi thư này do chính trạm mình đóng, để chuyển cho máy chủ.",
    "sender": "Túi thư này không phải do máy chủ của trạm đóng. Không nhận. Gọi hỗ trợ.",
    "large": "Tệp này quá lớn, không phải túi thư.",
    "changed": "USB cho ra dữ liệu khác nhau mỗi lần đọc. Đừng dùng USB này nữa.",
}
STICK_VI: dict[str, str] = {
    "none": "Chưa thấy USB. Cắm USB vào máy.",
    "full": "USB đã đầy. Xóa bớt tệp cũ trên USB hoặc dùng USB khác.",
    "read-only": "Không ghi được vào USB (bị khóa ghi hoặc hỏng). Dùng USB khác.",
    "gone": "USB bị rút ra hoặc không trả lời. Chưa mất gì: cắm lại và làm lại.",
    "unsure": "USB không giữ được những gì vừa ghi. Đừng dùng USB này.",
    "folder": "Trên USB có thứ khác trùng tên thư mục túi thư. Dùng USB khác.",
}
"""What the kiosk says (`contract.bag.REASONS`, `stick.SENTENCES`)."""


def refused(error: BagRefused | StickError) -> Refused:
    """The sentence of an error, for a person."""
    vi = BAG_VI[error.reason] if isinstance(error, BagRefused) else STICK_VI[error.reason]
    return Refused(vi, str(error))


@dataclass(frozen=True, slots=True)
class Look:
    """What there is to carry. `going`: what nobody has vouched for, as people count (`store.waiting`); `coming`: events in bags
    for us that are not in yet. `bags`: how many whole bags for us lie there; `problems`: what is wrong with others; `stick` is False
    without one.
    """

    stick: bool
    going: int
    coming: int = 0
    bags: int = 0
    problems: tuple[Refused, ...] = ()


@dataclass
class Post:
    """What was done. `out` is False until the bag of ours is whole on the stick; `number` is that bag's."""

    came: int = 0
    repeated: int = 0
    quarantined: int = 0
    bags: int = 0
    went: int = 0
    number: int = 0
    out: bool = False
    file: str = ""
    problems: list[Refused] = field(default_factory=list)

    def add(self, came: Came) -> None:
        """One more bag was taken."""
        self.bags += 1
        self.came += came.new
        self.repeated += came.repeated
        self.quarantined += came.refused


@dataclass
class PostOffice:
    """The station's side of the post. `now` gives tenths of a second since 1970."""

    courier: Courier
    conn: Connection
    settings: Settings
    now: Callable[[], int]

    def stick(self) -> Stick:
        """The stick in the box; StickError ``none`` without one."""
        return Stick(self.settings.bag.folder, mounted=self.settings.bag.mounted)

    def look(self) -> Look:
        """What there is to carry, without changing anything."""
        waiting, problems = things(self.conn), []
        try:
            stick = self.stick()
        except StickError:
            return Look(False, waiting)
        coming = bags = 0
        with stick:
            try:
                for one in self._ours(stick, DOWN):
                    try:
                        with self._open(stick, one) as bag:
                            bags += 1
                            coming += self.unknown(bag)
                    except BagRefused as error:
                        problems.append(refused(error))
            except StickError as error:
                problems.append(refused(error))
        return Look(True, waiting, coming, bags, tuple(problems))

    def unknown(self, bag: OpenBag) -> int:
        """How many events of a bag are not in yet; 0 for one that was taken before."""
        with self.courier.storage.reading() as tx:
            there = self.courier.storage.bag_in(tx, self.courier.station, bag.digest)
        if there is not None and there.done:
            return 0
        return sum(self.courier.unknown(bag.header, sheaf) for sheaf in bag.read())

    def swap(self, tell: Callable[[str, int], None] = lambda _what, _count: None) -> Post:
        """First in, then out. `tell` hears (``in`` or ``out``, messages so far). StickError where the stick cannot do it."""
        post = Post()
        with self.stick() as stick:
            self.take_in(stick, post, tell)
            self.put_out(stick, post, tell)
        return post

    def take_in(self, stick: Stick, post: Post, tell: Callable[[str, int], None] = lambda _what, _count: None) -> None:
        """Take every bag for us; one that is refused is named in `post.problems` and the next one is taken."""
        for one in self._ours(stick, DOWN):
            try:
                with self._open(stick, one) as bag:
                    post.add(self.courier.take(bag.header, bag.digest, bag.read(), self.now(), lambda count: tell("in", count)))
            except BagRefused as error:
                post.problems.append(refused(error))

    def take_file(self, path: Path, post: Post) -> None:
        """Take one bag that somebody named, wherever it lies. BagRefused; OSError where it cannot be read."""
        with named(path, self.courier.keys(), DOWN, self.courier.station) as bag:
            post.add(self.courier.take(bag.header, bag.digest, bag.read(), self.now()))

    def put_out(self, stick: Stick, post: Post, tell: Callable[[str, int], None] = lambda _what, _count: None) -> None:
        """Pack what nobody has vouched for; the bags of ours that it replaces go once it is whole on the stick."""
        own = self._own(stick)
        bag = self.courier.pack(self.now(), [header for _, header in own])
        tell("out", 0)
        file = bag_name(bag.header.station, UP, bag.header.number)
        digest, size = stick.write(file, bag.header, self.courier.records(bag), self.courier.signer)
        self.courier.packed(bag, digest, size)
        post.went, post.number, post.out, post.file = things(self.conn), bag.header.number, True, file
        for one, header in own:
            if one != file and self.courier.knows(header):
                stick.remove(one)

    def _ours(self, stick: Stick, way: str) -> Sequence[Found]:
        names = [one for one in stick.bags() if one.name.station == self.courier.station and one.name.way == way]
        return names[-MOST_BAGS:]

    def _open(self, stick: Stick, one: Found) -> OpenBag:
        return stick.open(one.file, self.courier.keys(), self.courier.station, DOWN)

    def _own(self, stick: Stick) -> list[tuple[str, BagHeader]]:
        """Whole bags of ours that lie there."""
        found = []
        for one in self._ours(stick, UP):
            try:
                with stick.open(one.file, self.courier.own_keys(), self.courier.station, UP) as bag:
                    found.append((one.file, bag.header))
            except BagRefused:
                continue  # cut off or changed: nobody can take it, and it stays where it is
        return found


def post_office(
    conn: Connection,
    settings: Settings,
    *,
    stamp: Callable[[], Stamp],
    say: Callable[..., None],
    randomly: Callable[[int], bytes] = os.urandom,
    dice: Callable[[], float] = random.random,
) -> PostOffice:
    """The parts of the station's side put together on one connection. SettingsError where sealing lacks a key."""
    station, shard = settings.need("station.id"), settings.station.shard
    store = StationStore(conn, station, shard)
    seals = seals_of(conn, settings, stamp, randomly)

    def now() -> int:
        return stamp().wall

    end = station_end(conn, store, now=now, say=say, dictionary=settings.wire.dictionary, randomly=randomly, dice=dice, seals=seals)
    return PostOffice(Courier(store, end, station, shard), conn, settings, now)
