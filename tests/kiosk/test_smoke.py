from tests.kiosk.station import Station


def test_pages(station: Station):
    w = station.window()
    for p in (
        "/home",
        "/patients",
        "/patients/new",
        f"/patients/{station.first}",
        f"/patients/{station.first}/measure",
        f"/patients/{station.first}/confirm",
        "/tray",
        "/consults",
        "/aside",
        f"/patients/{station.first}/ask",
        "/status.json",
        "/health",
    ):
        w.get(p)
        assert w.status == 200, (p, w.text, station.journal.getvalue())
    s = w.open(station.first)
    assert w.status == 200
    station.measure("oxi", s)
    w.get(f"/sessions/{s}")
    print(w.text)
