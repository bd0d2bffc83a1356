"""The patient's finger is in the oximeter when, and only when, somebody is measured."""

from typing import Any

from appliance.demo.finger import AGAIN_S, IN_S, OUT_S, Finger


def live(session: int | None, measurement: int | None = None) -> dict[str, Any]:
    """What the collector shows of a session and its last settled measurement."""
    return {"session": session, "measurement": measurement}


def test_nobody_is_measured_without_a_session() -> None:
    """No live values, or no session: the finger stays out for ever."""
    finger = Finger()
    assert {finger.look(one, now) for now, one in enumerate([None, live(None), live(None, 4), None] * 50)} == {None}


def test_the_finger_comes_after_the_session_and_goes_after_the_result() -> None:
    """In a moment after the session was opened, out a moment after the number settled, and in again for another try."""
    finger = Finger()
    assert finger.look(live(7), 0) is None
    assert finger.look(live(7), IN_S) == "in"
    assert finger.look(live(7), 30) is None
    assert finger.look(live(7, 12), 31) is None
    assert finger.look(live(7, 12), 31 + OUT_S) == "out"
    assert finger.look(live(7, 12), 30 + OUT_S + AGAIN_S) is None
    assert finger.look(live(7, 12), 31 + OUT_S + AGAIN_S) == "in"
    assert finger.look(live(7, 12), 500) is None
    assert finger.look(live(7, 13), 501) is None
    assert finger.look(live(7, 13), 501 + OUT_S) == "out"


def test_the_end_of_a_session_takes_the_finger_out() -> None:
    """At once; and for the next patient it comes anew."""
    finger = Finger()
    finger.look(live(7), 0)
    assert finger.look(live(7), 5) == "in"
    assert finger.look(live(8), 6) == "out"
    assert finger.look(live(8), 7) == "in"
    assert finger.look(None, 8) == "out"
    assert finger.look(None, 100) is None
