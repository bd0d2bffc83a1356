"""Journal lines become ways, in whatever order they are heard."""

import json
import random

import pytest

from appliance.demo.steps import ANSWER, READING, WAITING, WAYS, Line, Trail, read_line

PLACE = {"epoch": "aa", "lane": 2, "seq": 7}
READING_IDS = {
    "read": {"reading_key": "k1"},
    "feed": {"reading_key": "k1"},
    "settle": {"reading_key": "k1"},
    "observe": {"reading_key": "k1", "measurement": 3},
    "record": {"measurement": 3, **PLACE},
    "publish": PLACE,
    "decode": PLACE,
    "accept": PLACE | {"reading_key": "k1"},
    "receipt": PLACE,
    "shown": {"reading_key": "k1"},
}
BACK = {"epoch": "bb", "lane": 0, "seq": 7}
ANSWER_IDS = {
    "signed": {"consult": 5, "answer": 9, **BACK},
    "published": BACK,
    "accepted": {"consult": 5, "answer": 9, **BACK},
    "receipt": BACK,
    "shown": {"consult": 5, "answer": 9},
}


def lines(table: dict[str, dict[str, object]], start: int = 0) -> list[Line]:
    """One line for each step, a millisecond apart."""
    return [Line("p", name, f"t{n}", (start + n) * 1_000_000, ids) for n, (name, ids) in enumerate(table.items())]


def test_a_line_of_the_journal_is_read_and_everything_else_is_not() -> None:
    """Only JSON objects with a step count; ids are what is left."""
    raw = json.dumps({"at": "2026-01-01T00:00:00.000001Z", "boottime_ns": 5, "process": "collect", "step": "read", "measurement": 3})
    assert read_line(raw.encode()) == Line("collect", "read", "2026-01-01T00:00:00.000001Z", 5, {"measurement": 3})
    for other in (
        b"",
        b"Traceback",
        b"[1]",
        b"7",
        b'{"at": "x"}',
        b'{"step": "read", "process": "p", "at": "x", "boottime_ns": null}',
        b"\xff",
    ):
        assert read_line(other) is None


@pytest.mark.parametrize("seed", range(30))
def test_lines_heard_in_any_order_make_the_same_ways(seed: int) -> None:
    """A reading and an answer whose places on the wire look alike are told apart, however their lines arrive."""
    heard = lines(READING_IDS) + lines(ANSWER_IDS, start=100)
    random.Random(seed).shuffle(heard)
    trail = Trail()
    found = [(way.answer, line.step) for line in heard for way, line in trail.hear(line)]
    assert sorted(found) == sorted([(False, name) for name in READING] + [(True, name) for name in ANSWER])
    reading, answer = trail.find(reading_key="k1", measurement=3), trail.find(consult=5, answer=9)
    assert reading is not None
    assert answer is not None
    assert [row["name"] for row in reading.rows()] == list(READING)
    assert [(row["n"], row["ms"]) for row in answer.rows()] == [(1, 0), (2, 1), (3, 2), (4, 3), (5, 4)]
    assert reading.missing is None
    assert reading.place == ("aa", 2, 7)
    assert reading.out_of_order() is None


def test_a_copy_in_a_consult_request_is_not_the_reading() -> None:
    """Steps of the copy's parcel (another place on the wire) stay away, although it names the same reading."""
    trail = Trail()
    for line in lines(READING_IDS)[:6]:
        trail.hear(line)
    trail.hear(Line("bridge", "accept", "early", 1, {"epoch": "aa", "lane": 0, "seq": 1, "reading_key": "k1"}))
    way = trail.find(reading_key="k1")
    assert way is not None
    assert way.missing == "decode"
    assert "accept" not in way.steps


def test_repeats_are_counted_and_the_first_counts() -> None:
    """A parcel sent twice is one step, said once."""
    trail = Trail()
    heard = lines(READING_IDS)
    for line in heard:
        trail.hear(line)
    assert trail.hear(Line("carry", "publish", "later", 99_000_000, PLACE)) == []
    way = trail.ways[0]
    assert way.again == {"publish": 1}
    assert way.steps["publish"].at == "t5"


def test_two_readings_are_two_ways_and_an_effect_before_its_cause_is_noticed() -> None:
    """Ways do not mix; one whose times run backwards says where."""
    trail = Trail()
    for line in lines(READING_IDS):
        trail.hear(line)
    other = {
        name: {**ids, **({"reading_key": "k2"} if "reading_key" in ids else {}), **({"measurement": 4} if "measurement" in ids else {})}
        for name, ids in READING_IDS.items()
    }
    other = {name: {**ids, **({"seq": 8} if "seq" in ids else {})} for name, ids in other.items()}
    for line in lines(other)[:4]:
        trail.hear(line)
    assert [way.number for way in trail.ways] == [1, 2]
    assert trail.ways[1].missing == "record"
    trail.hear(Line("kiosk", "record", "t", -1_000_000_000, other["record"]))
    assert trail.ways[1].out_of_order() == "record"


def test_what_followed_proves_when_a_step_had_happened() -> None:
    """A line written a moment too late does not turn time around; a much later one is not believed."""
    trail = Trail()
    heard = lines(READING_IDS)
    heard[5] = Line("carry", "publish", "late", heard[6].ns + 2_000_000, PLACE)
    for line in heard:
        trail.hear(line)
    way = trail.ways[0]
    assert [row["ms"] for row in way.rows()][4:8] == [4, 8, 6, 7]
    assert [row["ms"] for row in way.proved()][4:8] == [4, 6, 6, 7]
    assert way.proved()[5] == {"n": 6, "name": "publish", "at": "t6", "ms": 6}
    assert way.out_of_order() is None


def test_a_long_parcel_is_one_line_for_many() -> None:
    """A line with a count speaks of all the places it covers."""
    trail = Trail()
    for line in lines(READING_IDS)[:6]:
        trail.hear(line)
    trail.hear(Line("bridge", "decode", "t", 50_000_000, {"epoch": "aa", "lane": 2, "seq": 1, "count": 6}))
    assert "decode" not in trail.ways[0].steps
    trail.hear(Line("bridge", "decode", "t", 51_000_000, {"epoch": "aa", "lane": 2, "seq": 1, "count": 40}))
    assert trail.ways[0].steps["decode"].ns == 51_000_000


def test_lines_about_nothing_known_do_not_pile_up() -> None:
    """A trail is bounded, whatever it hears."""
    trail = Trail()
    for number in range(200):
        trail.hear(Line("carry", "publish", "t", number, {"epoch": "zz", "lane": 1, "seq": number}))
    assert len(trail.ways) == 0


def test_a_demo_that_stays_forgets_the_oldest_ways_and_goes_on_counting() -> None:
    """Neither lines nor ways pile up; the newest reading is followed and numbered."""
    trail = Trail()
    for number in range(WAYS + 50):
        trail.hear(Line("collect", "read", "t", number, {"reading_key": f"k{number}"}))
        trail.hear(Line("carry", "publish", "t", number, {"epoch": "zz", "lane": 0, "seq": number}))
    assert len(trail.ways) == WAYS
    assert trail.find(reading_key="k0") is None
    newest = trail.find(reading_key=f"k{WAYS + 49}")
    assert newest is not None
    assert newest.number == WAYS + 50
    assert len(trail._waiting) <= WAITING


def test_one_line_of_the_relay_speaks_for_every_event_of_a_parcel() -> None:
    """The relay says `count` events from `seq` on in one line; each of them is on its way."""
    trail = Trail()
    for seq in (7, 8):
        ids = {"reading_key": f"k{seq}", "measurement": seq}
        for place, name in enumerate(READING[:5]):
            trail.hear(Line("collect", name, "t", place, ids | ({"epoch": "aa", "lane": 2, "seq": seq} if name == "record" else {})))
    found = trail.hear(Line("carry", "publish", "t", 9, {"epoch": "aa", "lane": 2, "seq": 7, "count": 2}))
    assert sorted(way.ids["reading_key"] for way, line in found if line.step == "publish") == ["k7", "k8"]
