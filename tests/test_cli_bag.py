"""`tram bag export` where there is no stick: what was looked for, and what to do."""

from pathlib import Path

import pytest

from appliance.cli import main
from tests.store.station import station_at


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--folder", "/not-there"], "--folder = /not-there: expected a folder that is there, such as /media/usb"),
        ([], "(bag.folder): put one in, or say where it is: --folder /media/usb"),
    ],
    ids=["named", "usual"],
)
def test_a_missing_stick_says_where_it_was_looked_for(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    """The key, its value, what was expected and an example; in Vietnamese first."""
    station = station_at(tmp_path)
    station.conn.close()
    config = next(tmp_path.rglob("*.toml"))
    config.write_text(config.read_text() + f'\n[bag]\nfolder = "{tmp_path / "no-stick"}"\n')
    assert main(["bag", "export", *options, "--config", str(config)]) == 1
    err = capfd.readouterr().err
    assert said in err
    assert err.index("Ví dụ" if options else "Chưa thấy USB") < err.index(said)
