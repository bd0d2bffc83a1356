"""What the doctor sees of typed values and of a guided blood pressure."""

from dataclasses import replace

from appliance.contract import events as ev
from appliance.contract.guided import Arm, Cuff, Posture, Unrested
from appliance.contract.metrics import Metric
from appliance.contract.readings import Numeric, Reading, ReadingKind, Source
from cloud_bridge import intake
from cloud_bridge.console import present
from cloud_bridge.console.words import Say
from cloud_bridge.store import pressures
from cloud_bridge.store.engine import reading as looking
from cloud_bridge.store.engine import writing
from tests.bridge import story
from tests.bridge.story import PATIENT, STATION, event, place
from tests.bridge.test_present import seen

VI, EN = Say("vi"), Say("en")
KEYS = (bytes(range(16)), bytes(range(16, 32)))
HOW = ev.PressureTaken(PATIENT, KEYS[1], 9, Arm.LEFT, Cuff.ADULT, Posture.SITTING, 90, Unrested.URGENT)
MEAN = ev.PressureAveraged(PATIENT, 9, 1, KEYS, KEYS, 1475, 885, None)


def take(engine, *bodies: object) -> None:
    """Bodies in one transaction, each as an event of its own."""
    with writing(engine) as tx:
        for number, body in enumerate(bodies):
            said = event(body, 10)
            intake.apply(tx, STATION, said, story.T0 + 200, place(number, said))


def test_how_a_pressure_was_taken_and_its_mean_are_kept_once(engine) -> None:
    """The first word stands, whatever comes again; the mean keeps all keys and says how many it was made of."""
    take(engine, HOW, MEAN, HOW, replace(MEAN, systolic=1))
    with looking(engine) as tx:
        assert pressures.taken(tx, STATION, KEYS) == {KEYS[1]: pressures.Taken(1, 1, 4, 90, 1)}
        (mean,) = pressures.averages(tx, STATION, PATIENT)
    assert mean == pressures.Average(1, KEYS, 2, 1475, 885, None)
    assert present.mean_text(mean, VI) == "147,5/88,5 mmHg, trung bình của 2 lần (quy tắc 1: trung bình hai lần cuối)"
    assert VI(*present.taken_pair(pressures.Taken(1, 1, 4, 90, 1))) == (
        "Ngồi · tay trái · vòng bít người lớn (27–34 cm) · nghỉ 1 phút 30 giây (cần biết ngay)"
    )


def test_a_choice_or_a_rule_of_a_later_version_is_said_as_far_as_it_is_known() -> None:
    """Unknown numbers are left out, an unknown rule is named by its number; nothing fails."""
    assert VI(*present.taken_pair(pressures.Taken(99, 2, 99, 300, 0))) == "tay phải · nghỉ 5 phút"
    assert present.mean_text(pressures.Average(77, KEYS, 2, 1300, 800, None), EN) == "130/80 mmHg, mean of 2 readings (rule 77)"


def test_nothing_of_an_erased_patient_stays(engine) -> None:
    """A tombstone takes both away, and what comes after it is not kept."""
    take(engine, HOW, MEAN, ev.Tombstone(PATIENT, "thử"), HOW, MEAN)
    with looking(engine) as tx:
        assert (pressures.taken(tx, STATION, KEYS), pressures.averages(tx, STATION, PATIENT)) == ({}, [])


def test_a_typed_value_is_marked_and_read_as_words() -> None:
    """Source *nhập tay*; consciousness and room air in words without a unit; how breaths were counted."""
    numerics = (Numeric(Metric.SPO2, 97), Numeric(Metric.OXYGEN_FLOW, 0, scale=1), Numeric(Metric.CONSCIOUSNESS, 2))
    typed = Reading(ReadingKind.VITAL_SIGNS, 79, numerics, story.stamp(), Source.MANUAL, rule=102)
    row = present.reading_row(seen(typed), PATIENT, {}, VI)
    assert [(one.text, one.unit) for one in row.values] == [("97", "%"), ("khí trời", ""), ("C – Lú lẫn mới xuất hiện", "")]
    assert row.source == "nhập tay" and "đếm 30 giây × 2" in row.notes
