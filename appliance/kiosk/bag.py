"""*Túi thư*: put the stick in, touch one button, take it out. The work is done by a thread, so that the page can say how far it is.

The page looks for a stick by itself. Nobody mounts anything here: the system does (`bag.folder`), this process only reads
and writes that folder.
"""

import threading
from copy import copy
from dataclasses import dataclass, field
from functools import partial

from flask import Blueprint, current_app, jsonify
from werkzeug.wrappers import Response

from appliance import journal
from appliance.database import StoreError
from appliance.kiosk import here
from appliance.kiosk.here import Kiosk
from appliance.settings import SettingsError
from appliance.store.errors import Refused

screen = Blueprint("bag", __name__)

Pair = tuple[str, str]
_BUSY: Pair = ("Kho dữ liệu đang bận hoặc đầy. Chờ một phút rồi làm lại.", "The store is busy or full. Wait a minute and repeat.")


@dataclass
class Work:
    """What the page shows. `state`: ``idle``, ``in`` and ``out`` (reading, writing), ``done``, ``failed``; `look` is what lay there
    when it was looked last, and `seen` the files it was.
    """

    state: str = "idle"
    count: int = 0
    came: int = 0
    went: int = 0
    number: int = 0
    quarantined: int = 0
    problems: tuple[Pair, ...] = ()
    stick: bool = False
    going: int = 0
    coming: int = 0
    seen: object = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def shown(self) -> "Work":
        """As it is now, for one page: the thread goes on meanwhile, and sets its words before its state."""
        state = self.state
        seen = copy(self)
        seen.state = state
        return seen

    @property
    def busy(self) -> bool:
        """True while the stick must stay in."""
        return self.state in ("in", "out")

    @property
    def mark(self) -> str:
        """When it changes the page is drawn anew."""
        return f"{self.state}.{self.stick:d}.{self.going}.{self.coming}.{self.count // 20}.{len(self.problems)}"


def work() -> Work:
    """The one work of this kiosk."""
    found: Work = current_app.extensions.setdefault("bag", Work())
    return found


@screen.get("/bag")
def show() -> Response:
    """What there is to carry, or how far it is."""
    one = _looked().shown()
    return here.page("bag.html", work=one, problems=[here.speech()(*words) for words in one.problems])


@screen.get("/bag.json")
def follow() -> Response:
    """A word that changes when the page should be drawn anew. It looks for the stick."""
    return jsonify({"page": _looked().mark})


@screen.post("/bag")
def swap() -> Response:
    """In, then out; only one at a time."""
    one, parts = work(), here.kiosk()
    with one.lock:
        if not one.busy:
            one.state, one.count, one.problems, one.seen = "in", 0, (), None
            threading.Thread(target=_swap, args=(one, parts), name="bag", daemon=True).start()
    here.about(subject="bag")
    return here.go("/bag")


def _swap(one: Work, parts: Kiosk) -> None:
    """The whole round, on a connection of its own."""
    from appliance.contract.bag import BagRefused
    from appliance.stick import StickError
    from appliance.store.bags import post_office, refused

    def tell(what: str, count: int) -> None:
        one.state, one.count = what, count

    words: tuple[Pair, ...] = ()
    try:
        conn = parts.connect()
        try:
            office = post_office(
                conn, parts.settings, stamp=parts.clock.stamp, say=partial(journal.step, parts.log), randomly=parts.urandom
            )
            post = office.swap(tell)
        finally:
            conn.close()
        one.came, one.went, one.number, one.quarantined = post.came, post.went, post.number, post.quarantined
        one.problems, one.state = _pairs(post.problems), "done"
    except (BagRefused, StickError) as error:
        words = _pairs([refused(error)])
    except SettingsError as error:
        parts.log.error("bag: %s", error)
        words = (_NO_KEY,)
    except StoreError as error:
        parts.log.error("bag: store: %s", error.reason)
        words = (_BUSY,)
    except OSError as error:
        parts.log.error("bag: %s", error)
        words = _pairs([refused(StickError("gone"))])
    except Exception as error:
        parts.log.error("bag: %s: %s", type(error).__name__, error)
        one.problems, one.state = (_BUG,), "failed"
        raise
    if words:
        one.problems, one.state = words, "failed"


_NO_KEY: Pair = (
    "Máy chưa có khóa của máy chủ nên chưa đóng được túi thư. Gọi kỹ thuật viên.",
    "The box does not have the bridge’s key yet, so no bag can be packed. Call the technician.",
)
_BUG: Pair = (
    "Phần mềm gặp lỗi khi đóng túi thư. Chưa mất gì. Rút USB, thử lại; nếu vẫn lỗi, gọi hỗ trợ.",
    "The software failed with the post bag. Nothing is lost. Take the stick out, try again, or call support.",
)


def _pairs(problems: list[Refused]) -> tuple[Pair, ...]:
    return tuple((one.vi, one.en) for one in problems)


def _looked() -> Work:
    """The work, with a fresh look at the stick unless it is being read or written."""
    from appliance.stick import Stick, StickError
    from appliance.store.bags import post_office
    from appliance.store.waiting import things

    one, parts = work(), here.kiosk()
    if not one.lock.acquire(blocking=False):
        return one
    try:
        if one.busy:
            return one
        where = parts.settings.bag
        try:
            with Stick(where.folder, mounted=where.mounted) as stick:
                seen = tuple((found.file, *stick.stamp(found.file)) for found in stick.bags())
        except StickError:
            _without(one)
            return one
        one.going = things(here.db())
        if not one.stick or seen != one.seen:
            if one.state == "done" and one.seen is not None:
                one.state, one.problems = "idle", ()  # other files than those we left: another stick, or the same one back again
            look = post_office(here.db(), parts.settings, stamp=parts.clock.stamp, say=_silent, randomly=parts.urandom).look()
            one.stick, one.coming, one.seen = look.stick, look.coming, seen
            if one.state == "idle":
                one.problems = _pairs(list(look.problems))
    except SettingsError:
        one.stick, one.problems = True, (_NO_KEY,)
    finally:
        one.lock.release()
    return one


def _silent(*_step: object, **_ids: object) -> None:
    """Looking is no step of anything."""


def _without(one: Work) -> None:
    """No stick: the page begins anew; why it failed stays to be read until there is another one."""
    from appliance.store.waiting import things

    one.stick, one.coming, one.seen = False, 0, None
    one.going = things(here.db())
    if one.state == "done":
        one.state, one.problems = "idle", ()
    elif one.state == "idle":
        one.problems = ()
