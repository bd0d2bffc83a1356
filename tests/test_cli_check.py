"""`tram check`, `tram status --code` and `tram-bridge status-code`, from the station's words to the operator's ear."""

import json
from pathlib import Path

import pytest

from appliance.cli import main
from appliance.contract.statuscode import LIGHTS
from cloud_bridge.cli import main as bridge


@pytest.fixture
def box(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Path:
    """A settings file with an initialised store."""
    file = tmp_path / "tram.toml"
    file.write_text(
        '[station]\nid = "tram-0001"\n[paths]\ndata = "data"\nrun = "run"\n[store]\nkey_file = "store.key"\nballast_mb = 0\ngroup = ""\n',
        encoding="utf-8",
    )
    assert main(["init", "--config", str(file)]) == 0
    capfd.readouterr()
    return file


def test_what_the_station_reads_out_is_understood(box: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The same code in all three places; a new box fails its check, names the next steps, and the bridge repeats them."""
    assert main(["check", "--json", "--config", str(box)]) == 1
    said = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [one["name"] for one in said[:6]] == list(LIGHTS)
    assert all(one["next_vi"] for one in said[:-1] if one["state"] == "fail")
    assert main(["status", "--code", "--config", str(box)]) == 0
    code = capfd.readouterr().out.strip()
    assert code == said[-1]["code"]
    assert main(["check", "--config", str(box)]) == 1
    shown = capfd.readouterr().out
    assert code in shown
    assert "→ Cắm máy đo" in shown
    assert bridge(["status-code", code.lower().replace("-", " "), "--station", "tram-0001"]) == 0
    assert bridge(["status-code", f"TRAM:TRAM-0001:S:{code}"]) == 0, "what a photo of the first page says"
    assert bridge(["status-code", f"TRAM:TRAM-0002:S:{code}"]) == 1
    heard = capfd.readouterr().out
    assert "Máy đo: hỏng." in heard
    assert "Lần cuối máy chủ báo đã nhận: chưa lần nào." in heard


def test_a_misheard_code_is_refused(box: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """One wrong letter, and a code that was noted down under another station."""
    main(["status", "--code", "--config", str(box)])
    code = capfd.readouterr().out.strip()
    wrong = code[:-1] + ("7" if code[-1] != "7" else "8")
    assert bridge(["status-code", wrong]) == 1
    assert "Đọc lại từng chữ" in capfd.readouterr().err
    assert bridge(["status-code", code, "--station", "tram-0002"]) == 1
    assert "không phải của trạm tram-0002" in capfd.readouterr().err
