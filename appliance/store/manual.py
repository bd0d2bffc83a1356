"""Values that a person types, as readings of a device of its own: the same sessions, the same review, the same *Lưu*.

The device is called `manual`; each member of staff has a place at it (`slot`), so that two who type at two windows do not take it
from each other. A reading says `Source.MANUAL` for ever, and its rule number says how the value was made (`contract.guided`).
"""

from appliance.contract.guided import TYPED
from appliance.contract.metrics import Status
from appliance.contract.readings import Numeric, Reading, ReadingKind, Source, Stamp, impossible
from appliance.database import Connection, transaction
from appliance.store import devices, measuring
from appliance.store.errors import Refused
from appliance.store.measuring import MeasurementRow, Session, State

DEVICE = "manual"
"""The name of the device, its driver and its identity."""
NAME = "Nhập tay"
"""What people call it, wherever a device's name is shown."""


def slot(staff: str) -> str:
    """The place of one member of staff at the device: what stands in `session.device`."""
    return f"{DEVICE}:{staff}"


def is_manual(device: str) -> bool:
    """True for the device and for every place at it."""
    return device == DEVICE or device.startswith(f"{DEVICE}:")


def enter(
    conn: Connection,
    session: Session,
    kind: ReadingKind,
    numerics: tuple[Numeric, ...],
    *,
    now: Stamp,
    rule: int = TYPED,
    test: bool = False,
) -> int:
    """What a person has typed, as a measurement that waits for its *Lưu*; its number. Own transactions. `test` marks it as test data.

    The same values again, while they still wait, are the same measurement. Refused for a session that has ended, for values that
    cannot be true, and while something else of the session waits: one thing is decided after the other.
    """
    if not session.standing(now) or session.device != slot(session.staff):
        raise Refused("Phiên nhập tay đã kết thúc. Xác nhận lại người bệnh rồi nhập lại.", "the session is over: confirm the patient again")
    status = Status.TEST_DATA if test else Status(0)
    marked = tuple(Numeric(one.metric, one.value, one.status | status, one.scale) for one in numerics)
    waiting = pending(conn, session.id)
    if waiting is not None:
        if (waiting.reading.kind, waiting.reading.numerics, waiting.reading.rule) == (kind, marked, rule):
            return waiting.id
        raise Refused("Lưu hoặc bỏ kết quả vừa nhập trước khi nhập tiếp.", "save or discard what was typed before you go on")
    number = devices.register(conn, name=NAME, driver=DEVICE, identity=DEVICE, now=now)
    reading = Reading(kind, number, marked, now, Source.MANUAL, rule=rule)
    why = impossible(reading)
    if why is not None:
        raise Refused("Số vừa nhập không thể có. Xem lại rồi nhập lại.", f"this cannot be true: {why}")
    with transaction(conn):
        seen = measuring.observe_within(conn, reading, device=session.device, began=session.id, now=now, raw=b"")
        if seen.state != "settled":  # the same values in the same tenth of a second at another window, or the session just ended
            raise Refused("Chưa ghi được. Nhập lại một lần nữa.", f"not taken: {seen.state} {seen.why}")
    return seen.measurement


def pending(conn: Connection, session: int) -> MeasurementRow | None:
    """What of a session waits for its *Lưu*."""
    return next((one for one in measuring.latest(conn, session) if one.state is State.SETTLED), None)
