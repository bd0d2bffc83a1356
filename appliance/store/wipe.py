"""A station is wiped: the keys are destroyed first, then everything they opened. Afterwards `tram init` makes a new store.

What flash keeps, we cannot reach: a card may hold older copies of a block that was written over. Without the key the store is
noise, so it is the key that must go; `KEPT` says so to whoever wipes. A wipe that was cut off is ended by the next one.
"""

import shutil
from collections.abc import Callable, Mapping

from appliance import durable
from appliance.contract import escrow
from appliance.contract.readings import Stamp
from appliance.database import Connection, files
from appliance.settings import Settings
from appliance.store import bound, pins, salvage, staff
from appliance.store.errors import Refused
from appliance.store.health import unreceived
from appliance.store.opening import ballast_file, database_file, handed_file, key_file, secret_file

MARK = ".wiping"
"""In the data folder, from the first byte that is destroyed until the last file is gone."""
KEPT = (
    "Thẻ nhớ flash có thể còn giữ bản cũ của vài ô đã ghi đè, kể cả khóa. Nếu thẻ từng có bệnh nhân thật mà rời khỏi trạm: hủy thẻ.",
    "Flash may keep older copies of blocks that were written over, even of the key. A card that leaves the station is to be destroyed.",
)
Confirmed = tuple[str, str]
"""A person's code and PIN."""


def check(conn: Connection, technician: Confirmed | None, lead: Confirmed | None, secret: bytes, now: Stamp) -> int:
    """How much the bridge has not received. Refused while it is anything, unless a technician and a lead both say so with their PINs.

    Raises what `pins.attempt` raises for a wrong PIN, which counts as it does at the screen.
    """
    waiting = unreceived(conn)
    if waiting == 0:
        return 0
    if technician is None or lead is None:
        raise Refused(
            f"Còn {waiting} mục máy chủ chưa nhận: xóa bây giờ là mất. Nối mạng và chờ, hoặc lấy ra túi thư: tram bag export."
            " Nếu vẫn xóa, kỹ thuật viên và trưởng trạm cùng xác nhận: --technician MÃ --lead MÃ.",
            f"{waiting} items have not been received by the bridge and would be lost. Bring a line and wait, or take a post bag: tram bag"
            " export. To wipe all the same, technician and lead both confirm: --technician CODE --lead CODE.",
        )
    for (code, _pin), role in ((technician, staff.TECHNICIAN), (lead, staff.LEAD)):
        known = staff.get(conn, code)
        if known is None or not known.active or known.role != role:
            title = "kỹ thuật viên" if role == staff.TECHNICIAN else "trưởng trạm"
            raise Refused(f"{code} không phải {title}.", f"{code} is no {role} here: tram staff list")
    for code, pin in (technician, lead):
        pins.attempt(conn, secret, code, pin, now=now, action="station.wipe")
    return waiting


def begun(settings: Settings) -> bool:
    """True when a wipe was cut off: what is left can be read by nobody, and is to be removed."""
    return (settings.paths.data / MARK).exists()


def destroy(settings: Settings, environ: Mapping[str, str], random: Callable[[int], bytes]) -> list[str]:
    """Destroy the keys and remove the store; the names of the files. Nobody may have the store open.

    Raises InUseError while another program has it open, Refused where the key is a credential that this program cannot destroy.
    """
    data, key = settings.paths.data, key_file(settings, environ)
    if key not in (forms := [settings.store.key_file, *bound.files(settings), handed_file(settings)]):
        raise Refused(
            f"Khóa nằm ở systemd ({key}), chương trình không xóa được. Xóa tệp credential rồi chạy lại.",
            f"the key is a systemd credential ({key}): remove its file under /etc/credstore.encrypted, then run this outside the unit",
        )
    salvage.alone(database_file(settings))
    durable.write_through(data / MARK, b"")
    durable.sync(data)
    secrets = [*forms, data / escrow.FILE, secret_file(settings), *sorted((data / "tls").rglob("*.key"))]
    gone = [str(one) for one in secrets if durable.shred(one, random)]
    rest = [*files(database_file(settings)), data / salvage.SALT_FILE, ballast_file(settings), *data.glob("damaged-*"), data / "tls"]
    for one in rest:
        if one.is_dir() and not one.is_symlink():
            shutil.rmtree(one)
        elif one.exists():
            one.unlink()
        else:
            continue
        gone.append(str(one))
    durable.sync(data)
    (data / MARK).unlink()
    durable.sync(data)
    return gone
