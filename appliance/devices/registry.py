"""Every device family this version knows, one row each. A new driver is one file and one line here.

A family's module is loaded when somebody asks for its row: a kiosk with two devices does not hold twenty drivers in memory (1 MB).
"""

from collections.abc import Iterator, MutableMapping
from importlib import import_module

from appliance.devices.driver import Row

WHERE: dict[str, str] = {
    "and-ua767": "and_ua767.ROW",
    "beurer": "beurer.ROW",
    "bpm-pro2": "bpm_pro2.ROW",
    "contec08a": "contec08a.ROW",
    "contec-cms50": "contec_cms50.ROW",
    "contec-cms50-v5": "contec_cms50_v5.ROW",
    "hl7-mllp": "hl7_mllp.ROW",
    "ieee11073": "ieee11073.ROW",
    "ivy-450c": "ivy_450c.ROW",
    "maibobo": "maibobo.ROW",
    "masimo-ascii1": "masimo_ascii1.ROW",
    "microlife": "microlife.ROW",
    "nellcor-n560": "nellcor_n560.ROW",
    "nonin": "nonin.ROW",
    "omron-hem790": "omron_hem.ROW",
    "omron-hem7301": "omron_hem.ROW_7301",
    "pm6750": "pm6750.ROW",
    "sd-codefree": "sd_codefree.ROW",
    "suntech-nibp": "suntech_nibp.ROW",
    "suntech-nibp-unasked": "suntech_nibp.UNASKED",
    "visomat": "visomat.ROW",
}
"""By driver name: the module in `appliance.devices.drivers` and the row's name in it."""


class _Rows(MutableMapping[str, Row]):
    """The rows by driver name, each loaded when it is first asked for."""

    def __init__(self) -> None:
        self._rows: dict[str, Row | None] = dict.fromkeys(WHERE)

    def __getitem__(self, name: str) -> Row:
        row = self._rows[name]
        if row is None:
            module, _, which = WHERE[name].partition(".")
            row = getattr(import_module(f"appliance.devices.drivers.{module}"), which)
            assert isinstance(row, Row)
            self._rows[name] = row
        return row

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def __setitem__(self, name: str, row: Row) -> None:
        self._rows[name] = row

    def __delitem__(self, name: str) -> None:
        del self._rows[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


ROWS: MutableMapping[str, Row] = _Rows()
"""The rows by driver name."""


class UnknownDriverError(ValueError):
    """No driver of that name; the message lists the names there are."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no driver {name!r}; known: {', '.join(sorted(ROWS))}")
        self.name = name


def row(name: str) -> Row:
    """The row of a driver, or UnknownDriverError."""
    try:
        return ROWS[name]
    except KeyError:
        raise UnknownDriverError(name) from None
