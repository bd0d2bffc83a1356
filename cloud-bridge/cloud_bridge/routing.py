"""Which request a doctor sees first. Pure: rows in, order out."""

from collections.abc import Iterable

from appliance.contract.events import Department
from cloud_bridge.store.consults import Consult


def queue(waiting: Iterable[Consult], department: Department | None = None) -> list[Consult]:
    """The most urgent first; of equal urgency the one that has waited longest.

    Waiting counts from the moment the bridge received the request: a box whose clock is wrong cannot jump the queue or
    fall out of it. A department's list also shows what was asked of nobody in particular (`GENERAL`).
    """
    mine = [one for one in waiting if department in (None, one.department) or one.department is Department.GENERAL]
    return sorted(mine, key=lambda one: (-one.urgency, one.received, one.station, one.consult))
