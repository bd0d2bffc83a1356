import base64
import io
import json
import re

import pyotp
import pytest
from sqlalchemy import select

from cloud_bridge.cli import main
from cloud_bridge.console.app import create_app
from cloud_bridge.console.guard import HALF
from cloud_bridge.console.sessions import MOST_TRIES
from cloud_bridge.store import accounts, console_tables, factors, sessions
from cloud_bridge.store.accounts import Role
from cloud_bridge.store.engine import reading, writing
from cloud_bridge.store.factors import SealBroken
from tests.bridge import story
from tests.bridge.conftest import HASHER, KEY, ORGANISATION, PASSWORD, Office, Visitor
from tests.bridge.story import asked

LOGIN = "bs.moi"


@pytest.fixture
def strict(offices: Office) -> Office:
    """An office with a doctor who needs a second factor."""
    with writing(offices.engine) as tx:
        accounts.add(tx, HASHER, LOGIN, PASSWORD, offices.time.wall, name="BS. Mới", role=Role.DOCTOR, organisation=ORGANISATION)
    offices.hear(asked(900))
    return offices


def secret_of(office: Office, login: str = LOGIN) -> str:
    """What the telephone has."""
    with reading(office.engine) as tx:
        found = factors.get(tx, KEY, login)
    assert found is not None
    return found.secret


def code(office: Office, steps: int = 0) -> str:
    """What the telephone shows, `steps` times 30 s from now."""
    return pyotp.TOTP(secret_of(office)).generate_otp(office.time.wall // 300 + steps)


def enrolled(office: Office) -> tuple[Visitor, list[str]]:
    """The doctor has introduced a telephone: their browser, and the recovery codes."""
    visitor = office.visitor()
    visitor.log_in(LOGIN, PASSWORD)
    visitor.get("/login/enrol")
    shown = visitor.send("/login/enrol", code=code(office))
    assert shown.status_code == 200, shown.text
    office.time.turn(30)
    return visitor, re.findall(r"<li>([A-Z2-7-]{19})</li>", shown.text)


def half(office: Office) -> Visitor:
    """The right password, no code yet."""
    visitor = office.visitor()
    assert visitor.log_in(LOGIN, PASSWORD).status_code == 302
    return visitor


def test_the_first_login_introduces_a_telephone(strict):
    """The password leads to a picture and its text, the first code to eight recovery codes and a session; neither is shown again."""
    visitor = half(strict)
    page = visitor.get("/login/enrol").text
    assert "<svg" in page
    assert secret_of(strict) in page.replace(" ", "")
    assert "otpauth://totp/" in page
    assert visitor.get("/").status_code == 302
    assert visitor.send("/login/enrol", code="000000").status_code == 403
    done = visitor.send("/login/enrol", code=code(strict))
    codes = re.findall(r"<li>([A-Z2-7-]{19})</li>", done.text)
    assert len(set(codes)) == 8
    assert visitor.get("/").status_code == 200
    strict.time.turn(60)
    again = half(strict)
    moved = again.get("/login/enrol")
    assert (moved.status_code, moved.headers["Location"]) == (302, "/login/code")


def test_a_code_opens_once_and_only_near_its_time(strict):
    """The step before and after are accepted, further ones are not; a code that was used, and any before it, is refused."""
    enrolled(strict)
    strict.time.turn(120)
    for steps in (-2, 2):
        assert half(strict).send("/login/code", code=code(strict, steps)).status_code == 403
    assert half(strict).send("/login/code", code=code(strict)).status_code == 302
    for steps in (0, -1):
        assert half(strict).send("/login/code", code=code(strict, steps)).status_code == 403
    assert half(strict).send("/login/code", code=code(strict, 1)).status_code == 302


def test_the_clock_of_rfc_6238_is_ours():
    """The test values of RFC 6238, appendix B, in the last six digits (SHA-1)."""
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    for seconds, digits in ((59, "287082"), (1111111109, "081804"), (2000000000, "279037")):
        assert pyotp.TOTP(secret).generate_otp(seconds * 10 // factors.STEP) == digits


def test_wrong_codes_and_wrong_passwords_are_counted_together(strict):
    """A known password buys no tries at the code: after five wrong ones in all even the right code waits."""
    enrolled(strict)
    strict.visitor().log_in(LOGIN, "wrong-password-here")
    visitor = half(strict)
    for _ in range(3):
        assert visitor.send("/login/code", code="000000").status_code == 403
        half(strict)
    last = visitor.send("/login/code", code="000000")
    assert "Thử lại sau 1:00" in last.text
    assert visitor.send("/login/code", code=code(strict)).status_code == 403
    assert strict.visitor().log_in(LOGIN, PASSWORD).status_code == 403
    strict.time.turn(61)
    assert half(strict).send("/login/code", code=code(strict)).status_code == 302


def test_a_recovery_code_is_good_once(strict):
    """With or without hyphens and in small letters; the second time it is a wrong code; few left are said."""
    _, codes = enrolled(strict)
    assert half(strict).send("/login/code", code=codes[0].replace("-", "").lower()).status_code == 302
    assert half(strict).send("/login/code", code=codes[0]).status_code == 403
    for each in codes[1:5]:
        visitor = half(strict)
        assert visitor.send("/login/code", code=each).status_code == 302
    assert "Còn 3 mã dự phòng" in visitor.get("/").text


def test_between_password_and_code_nothing_opens(strict):
    """Every other page sends back to the login; after five minutes the password is asked for again."""
    enrolled(strict)
    visitor = half(strict)
    for url in ("/", f"/consults/{story.STATION}/900", "/stations/", "/consults.json"):
        answer = visitor.get(url)
        assert answer.status_code in (302, 401)
        assert "Nguyễn" not in answer.text
    strict.time.turn(HALF / 10 + 1)
    late = visitor.send("/login/code", code=code(strict))
    assert late.headers["Location"] == "/login"
    assert visitor.get("/").status_code == 302


def test_a_dump_of_the_database_opens_nothing(strict):
    """No secret, recovery code or session number stands in any column; another key or another login's row opens nothing."""
    visitor, codes = enrolled(strict)
    secret = secret_of(strict)
    with visitor.client.session_transaction() as cookie:
        number = cookie["number"]
    with reading(strict.engine) as tx:
        kept = []
        for table in (console_tables.second_factor, console_tables.recovery_code, console_tables.session):
            kept += [bytes(v) if isinstance(v, bytes | memoryview) else str(v).encode() for row in tx.execute(select(table)) for v in row]
        dump = b"\n".join(kept)
        for word in (secret.encode(), base64.b32decode(secret), codes[0].encode(), codes[0].replace("-", "").encode(), number.encode()):
            assert word not in dump
        with pytest.raises(SealBroken):
            factors.get(tx, bytes(32), LOGIN)
    with writing(strict.engine) as tx:
        tx.execute(console_tables.second_factor.update().values(login="bs.hai"))
    with reading(strict.engine) as tx, pytest.raises(SealBroken):
        factors.get(tx, KEY, "bs.hai")


def test_logging_out_ends_the_session_wherever_its_cookie_is(office):
    """A copied cookie opens nothing after the logout, in any process."""
    doctor = office.doctor()
    cookie = doctor.client.get_cookie("tram-console")
    assert cookie is not None
    doctor.send("/logout")
    office.app = create_app(office.desk, b"s" * 32)
    thief = office.visitor()
    thief.client.set_cookie("tram-console", cookie.value)
    assert thief.get("/").status_code == 302
    assert thief.get("/consults.json").status_code == 401


def test_a_login_gets_a_new_number_and_ends_after_twelve_hours(office):
    """No session number survives a login; however busy somebody is, after twelve hours the password is asked for."""
    doctor = office.doctor()
    with doctor.client.session_transaction() as cookie:
        first = cookie["number"]
    doctor.log_in("bs.thu", PASSWORD)
    with doctor.client.session_transaction() as cookie:
        assert cookie["number"] != first
    for _ in range(sessions.LONGEST // 10 // 600):
        assert doctor.get("/").status_code == 200
        office.time.turn(600)
    assert doctor.get("/").status_code == 302


def test_one_address_does_not_guess_for_ever(office):
    """More than sixty tries a minute from one place are sent away, whoever they are for; a minute later it is let in again."""
    said = [office.visitor().log_in(f"nobody{n}", "x").status_code for n in range(MOST_TRIES + 1)]
    assert said[:MOST_TRIES] == [403] * MOST_TRIES
    assert said[-1] == 429
    office.time.turn(61)
    assert office.visitor().log_in("bs.thu", PASSWORD).status_code == 302


def test_outside_a_demonstration_nobody_goes_without_a_second_factor(office):
    """A login made for a demonstration is asked for a telephone as soon as the environment says something else."""
    from dataclasses import replace

    here = office.doctor()
    cookie = here.client.get_cookie("tram-console")
    office.app = create_app(replace(office.desk, environment="production"), b"s" * 32)
    visitor = office.visitor()
    assert visitor.log_in("bs.thu", PASSWORD).headers["Location"] == "/login/enrol"
    assert visitor.get("/").status_code == 302
    assert cookie is not None
    thief = office.visitor()
    thief.client.set_cookie("tram-console", cookie.value)
    assert thief.get("/").status_code == 302


# --- the command ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    """`tram-bridge …` in a folder with settings; the environment is the first argument."""

    def command(environment, *words):
        config = tmp_path / "bridge.toml"
        config.write_text(
            f'environment = "{environment}"\n[bridge]\ndatabase = "sqlite:///{tmp_path}/b.db"\n'
            'key_dir = "keys"\nconsole_secret_file = "c"\n'
        )
        monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD + "\n"))
        status = main(["--config", str(config), *words])
        out, err = capsys.readouterr()
        return status, [json.loads(line) for line in out.splitlines()], err

    return command


ADD = ("users", "add", "bs.thu", "--name", "BS. Thử", "--organisation", ORGANISATION, "--password-stdin")


def test_a_login_without_second_factor_exists_only_in_a_demonstration(run):
    """In test and production the command refuses and makes nothing; in a demo it makes what it says."""
    run("test", "init")
    for environment in ("test", "production"):
        status, _, err = run(environment, *ADD, "--no-second-factor")
        assert status == 1
        assert "--no-second-factor" in err
    assert run("demo", "users", "list")[1] == []
    assert run("demo", *ADD, "--no-second-factor")[0] == 0
    assert run("demo", "users", "list")[1][0]["second_factor"] == "none (demo)"


def test_resetting_the_second_factor_and_moving_somebody_end_what_is_open(run, tmp_path):
    """The next login introduces a new telephone; a new organisation counts from the next login on; both are for logins that exist."""
    from cloud_bridge.store import keys
    from cloud_bridge.store.engine import open_engine

    run("production", "init")
    run("production", *ADD)
    engine, key = open_engine(f"sqlite:///{tmp_path}/b.db"), keys.sealing(tmp_path / "keys")
    with writing(engine) as tx:
        made = factors.prepare(tx, key, "bs.thu", lambda size: b"r" * size, 17_800_000_000)
        assert factors.use(tx, key, "bs.thu", pyotp.TOTP(made.secret).generate_otp(17_800_000_000 // 300), 17_800_000_000)
        before = accounts.get(tx, "bs.thu")
    assert run("production", "users", "list")[1][0]["second_factor"] == "confirmed"
    assert run("production", "users", "reset", "bs.thu", "--second-factor")[1][0]["second_factor"] == "reset"
    assert run("production", "users", "list")[1][0]["second_factor"] == "at the next login"
    assert run("production", "users", "change", "bs.thu", "--organisation", "Nơi Khác")[0] == 0
    with reading(engine) as tx:
        after = accounts.get(tx, "bs.thu")
    assert before is not None
    assert after is not None
    assert (after.organisation, after.generation) == ("Nơi Khác", before.generation + 2)
    assert run("production", "users", "reset", "nobody", "--second-factor")[0] == 1
    engine.dispose()
