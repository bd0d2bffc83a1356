"""Every device family this version knows, one row each. A new driver is one file and one line here."""

from appliance.devices.driver import Row
from appliance.devices.drivers import (
    and_ua767,
    beurer,
    bpm_pro2,
    contec08a,
    contec_cms50,
    contec_cms50_v5,
    hl7_mllp,
    ieee11073,
    ivy_450c,
    maibobo,
    masimo_ascii1,
    microlife,
    nellcor_n560,
    nonin,
    omron_hem,
    pm6750,
    sd_codefree,
    suntech_nibp,
    visomat,
)

ROWS: dict[str, Row] = {
    row.name: row
    for row in (
        and_ua767.ROW,
        beurer.ROW,
        bpm_pro2.ROW,
        contec08a.ROW,
        contec_cms50.ROW,
        contec_cms50_v5.ROW,
        hl7_mllp.ROW,
        ieee11073.ROW,
        ivy_450c.ROW,
        maibobo.ROW,
        masimo_ascii1.ROW,
        microlife.ROW,
        nellcor_n560.ROW,
        nonin.ROW,
        omron_hem.ROW,
        omron_hem.ROW_7301,
        pm6750.ROW,
        sd_codefree.ROW,
        suntech_nibp.ROW,
        suntech_nibp.UNASKED,
        visomat.ROW,
    )
}
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
