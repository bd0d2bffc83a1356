"""The rota by command: a CSV in, the gaps by name, publishing with or without them."""

import pytest

from tests.bridge.test_cli import Bridge, bridge, ready

__all__ = ["bridge", "ready"]
HERE = "Trung tâm Thử"
HEAD = "organisation,department,start,end,name,phone,login\n"
DEPARTMENTS = ("general", "internal", "surgery", "obstetrics", "paediatrics", "infectious")


def whole_day(but=""):
    """A CSV that covers 23 November 2026 for every department but one, which lacks the hour after three."""
    lines = [f"{HERE},{one},2026-11-23,2026-11-24 00:00,BS. Thử {one},0911 000 001,bs.thu" for one in DEPARTMENTS if one != but]
    if but:
        lines += [f"{HERE},{but},2026-11-23 00:00,2026-11-23 03:00,BS. Đêm,,", f"{HERE},{but},2026-11-23 04:00,2026-11-24 00:00,BS. Ngày,,"]
    return HEAD + "\n".join(lines) + "\n"


def test_duty_gap_at_03_00_is_named_and_needs_a_word_to_be_published(ready: Bridge) -> None:
    """`check` names it and fails, `publish` refuses without --with-gaps; nobody is on duty until then."""
    assert ready.run("rota", "import", ready.file("rota.csv", whole_day("paediatrics")))[1] == [{"shifts": 7}]
    day = (HERE, "--from", "2026-11-23", "--days", "1")
    for command in ("check", "publish"):
        code, _, said = ready.run("rota", command, *day)
        assert (code, said) == (1, "Khoa Nhi trống 03:00–04:00 ngày 23-11\n")
        assert ready.run("rota", "show", *day)[1] == []
    code, lines, _ = ready.run("rota", "publish", *day, "--with-gaps")
    assert (code, lines[0]["gaps"], lines[0]["published"]) == (0, 1, True)
    shown = ready.run("rota", "show", *day)[1]
    assert len(shown) == 7
    assert {"department": "paediatrics", "hours": "04:00–24:00 ngày 23-11", "name": "BS. Ngày", "phone": "", "login": ""} in shown


def test_a_covered_day_is_published_without_a_word(ready: Bridge) -> None:
    """The same file twice is the same rota."""
    for _ in range(2):
        ready.run("rota", "import", ready.file("rota.csv", whole_day()))
    assert ready.run("rota", "check", HERE, "--from", "2026-11-23", "--days", "1")[0] == 0
    assert ready.run("rota", "publish", HERE, "--from", "2026-11-23", "--days", "1")[0] == 0
    assert len(ready.run("rota", "show", HERE, "--from", "2026-11-23", "--days", "1")[1]) == 6


@pytest.mark.parametrize(
    "line",
    [f"{HERE},dental,2026-11-23,2026-11-24,BS,,", f"{HERE},internal,2026-11-24,2026-11-23,BS,,", f"{HERE},internal,heute,2026-11-24,BS,,",
     f"{HERE},internal,2026-11-23,2026-11-24,,,", ",internal,2026-11-23,2026-11-24,BS,,", f"{HERE},internal",
     f"{HERE},internal,1999-11-23,1999-11-24,BS,,"],
)  # fmt: skip
def test_a_line_that_is_no_shift_is_named_and_nothing_is_written(ready: Bridge, line: str) -> None:
    """The file and the line; the good lines before it are not taken either."""
    code, _, said = ready.run("rota", "import", ready.file("rota.csv", whole_day() + line + "\n"))
    assert code == 1
    assert "rota.csv:8" in said
    assert ready.run("rota", "check", HERE, "--from", "2026-11-23", "--days", "1")[1][0]["gaps"] == 6


def test_tiers_are_data(ready: Bridge) -> None:
    """Set, set again, listed in order."""
    ready.run("tiers", "set", "Bệnh viện tỉnh Thử", "--number", "2")
    ready.run("tiers", "set", HERE, "--number", "1", "--above", "nobody")
    ready.run("tiers", "set", HERE, "--number", "1", "--name", "TTYT khu vực Thử", "--above", "Bệnh viện tỉnh Thử")
    assert [(one["tier"], one["name"], one["above"]) for one in ready.run("tiers", "list")[1]] == [
        (1, "TTYT khu vực Thử", "Bệnh viện tỉnh Thử"),
        (2, "Bệnh viện tỉnh Thử", ""),
    ]
