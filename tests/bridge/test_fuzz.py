"""Ten thousand requests nobody would send to the console: it never fails, and tells nobody anything who may not know it."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from appliance.contract import events as ev
from cloud_bridge.console import app as console_app
from tests import hostile
from tests.bridge import story
from tests.bridge.conftest import Office, make_office

SEEDS, EACH = range(8), 1_300
STRETCH = 60
FIELDS = hostile.fields_of(Path(console_app.__file__).parent)
SECRETS = ("Thử Nghiệm Một", "Đau đầu thử", "001061012345")
"""What nobody may see who has not logged in."""


def busy(engine: Engine) -> Office:
    """A console with requests open, answered and withdrawn, a corrected reading and a question."""
    office = make_office(engine)
    cuff, clip = story.pressure(1), story.oxygen(2)
    office.hear(
        story.recorded(cuff), story.recorded(clip), story.asked(900, (cuff, clip)), story.asked(901, (clip,), 70),
        story.event(ev.PatientRegistered(story.who()), 1),
        story.event(ev.ConsultWithdrawn(901, "đo lại"), 80),
        story.event(ev.ObservationEnteredInError(story.PATIENT, clip.key, "nhầm máy"), 90),
        story.event(ev.ConsultReply(900, 1, "Đã đo lại"), 95),
    )  # fmt: skip
    return office


@pytest.mark.parametrize("seed", SEEDS)
def test_no_request_brings_the_console_down_or_makes_it_talk(seed: int, lite: Engine) -> None:
    """No answer is a server error; who has not logged in sees no byte of a patient, whatever they ask."""
    office = busy(lite)
    numbers = (900, 901, story.PATIENT, story.OTHER, story.CUFF)
    stranger = hostile.Stranger(office.app, FIELDS, seed, numbers, (story.STATION, "tram-0002", "bs.thu", "console.css"))  # type: ignore[arg-type]
    visitor, anonymous, token = office.visitor(), True, ""
    for number, request in enumerate(stranger.requests(EACH)):
        if number % STRETCH == 0:
            anonymous = stranger.dice.random() < 0.4
            visitor = office.visitor() if anonymous else office.doctor(stranger.dice.choice(("bs.thu", "bs.hai", "xem")))
            token = visitor.token()
        form = {**request.form, "csrf": token if stranger.dice.random() < 0.85 else "0" * 32} if request.method != "GET" else None
        answer = visitor.client.open(request.path, method=request.method, data=form, headers=request.headers)
        said = f"seed {seed}, request {number}: {request.method} {request.path} {form}"
        assert answer.status_code < 500, f"{said}: {answer.status_code} {office.journal.getvalue()[-1500:]}"
        if anonymous and answer.mimetype not in ("text/css", "text/javascript"):
            assert not hostile.held(answer.text, (*SECRETS, "Đau ngực từ sáng", "001161000001", "DN4010000000001")), said
        answer.close()
        office.time.turn(stranger.dice.choice((0, 0, 1, 5)))
