"""Where a guided blood pressure stands, in words for the pages that show it."""

from appliance.contract.guided import Arm, taken_pair
from appliance.kiosk import here
from appliance.kiosk.speech import Say
from appliance.store import guided
from appliance.store.guided import Series


def taken_words(it: Series, t: Say) -> str:
    """How it is taken, in one line; empty before that was said."""
    return "" if it.arm is Arm.UNSAID else t(*taken_pair(it.posture, it.arm, it.cuff, it.rested, it.unrested))


def place(it: Series) -> dict[str, str | int]:
    """Where in its series a reading of the measuring page is."""
    rows = guided.taken(here.db(), it)
    number = len(rows) + 1
    return {"id": it.id, "number": number, "needed": max(guided.needed(it, rows), number), "taken": taken_words(it, here.speech())}
