"""How long a pulse a path stands is found out step by step, and unlearnt at once."""

from appliance.relay.rules import Silence


def test_a_pulse_grows_only_by_silences_that_were_answered() -> None:
    """A third more each time, up to the most; a shorter silence teaches nothing."""
    rest = Silence(900.0, 1800.0)
    rest.answered(400.0)
    assert rest.pulse == 900.0
    grown = []
    for _ in range(4):
        rest.answered(rest.pulse)
        grown.append(rest.pulse)
    assert grown == [1200.0, 1600.0, 1800.0, 1800.0]


def test_a_line_found_dead_has_the_usual_pulse_until_the_path_is_another_one() -> None:
    """A death after a short silence has other causes; one after a long silence is remembered."""
    rest = Silence(900.0, 1800.0)
    rest.answered(900.0)
    rest.died(300.0)
    assert rest.pulse == 1200.0
    rest.died(1200.0)
    rest.answered(900.0)
    assert rest.pulse == 900.0
    rest.elsewhere()
    rest.answered(900.0)
    assert rest.pulse == 1200.0
