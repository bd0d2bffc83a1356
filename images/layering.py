"""The declared layers of an image, checked, and the steps that build it. Nothing here touches anything but the declarations.

A target (``targets/*.toml``) names its architecture and its layers; a layer (``layers/*.toml``) its packages, files, commands and
variables, and the variables of the roles that are run inside; a values file gives variables. What is unknown, missing or out of
bounds is a `WrongImage` with key, value, what was expected and an example, before anything is built.
"""

import hashlib
import json
import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SUITES = ("trixie",)
PROVISIONING = HERE.parent / "provisioning"
LAYER_KEYS = {"summary": str, "packages": list, "early": list, "files": list, "commands": list, "variables": dict, "roles": dict}
VARIABLE_KEYS = {"type": str, "form": str, "low": int, "high": int, "default": object, "example": str, "doc": str}
TYPES = ("text", "whole", "file", "table")
PACKAGE = r"[a-z0-9][a-z0-9+.-]+|\{\w+\}"
DISK = "7472616d"
"""The disk's number in its partition table ("tram"): a slot is found by its place, so an update needs no label of its own."""
EMULATED = {"arm64": "cortex-a72"}
"""What qemu-user is to play (a Pi 4's processor). Its own choice computes every signed return address of Debian's programs in full."""
HOST = "image"
"""The name of the image in the inventory its roles are run with."""


class WrongImage(ValueError):  # noqa: N818 - what a person hears
    """A declaration that cannot be followed: `file`, `key`, `value`, what was `expected`, an `example`."""

    def __init__(self, file: str, key: str, value: object, expected: str, example: str) -> None:
        super().__init__(f"{file}: {key} = {value!r}: expected {expected}, for example {example}")
        self.file, self.key, self.value, self.expected, self.example = file, key, value, expected, example


@dataclass(frozen=True)
class Layer:
    """One checked layer. `early` is run before the packages are set up, `commands` after the roles; `roles` are the roles' variables."""

    name: str
    packages: tuple[str, ...]
    early: tuple[str, ...]
    files: tuple[Mapping[str, str], ...]
    commands: tuple[str, ...]
    variables: Mapping[str, Mapping[str, Any]]
    roles: Mapping[str, Any]


@dataclass(frozen=True)
class Image:
    """One checked image: all it takes to write down the steps."""

    target: str
    architecture: str
    suite: str
    layers: tuple[Layer, ...]
    values: Mapping[str, str]


def read_toml(file: Path) -> dict[str, Any]:
    """A file's tables; WrongImage where it is no TOML."""
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WrongImage(file.name, "file", str(error), "a file in TOML", 'hostname = "tram-0001"') from error


def _shape(file: str, where: str, found: Mapping[str, Any], keys: Mapping[str, type]) -> None:
    for key, value in found.items():
        if key not in keys:
            raise WrongImage(file, f"{where}{key}", value, "one of " + ", ".join(sorted(keys)), sorted(keys)[0])
        if not isinstance(value, keys[key]) or (keys[key] is int and isinstance(value, bool)):
            raise WrongImage(file, f"{where}{key}", value, f"a {keys[key].__name__}", "see images/layers/partitions.toml")


def layer(file: Path) -> Layer:
    """The checked layer in a file."""
    found, name = read_toml(file), file.name
    _shape(name, "", found, LAYER_KEYS)
    if not found.get("summary"):
        raise WrongImage(name, "summary", found.get("summary"), "a sentence: what the layer is for", '"The first ssh"')
    for one in found.get("packages", []):
        if not isinstance(one, str) or not re.fullmatch(PACKAGE, one):
            raise WrongImage(name, "packages", one, "the name of a Debian package", '"chrony"')
    variables = found.get("variables", {})
    for key, one in variables.items():
        _variable(name, key, one)
    for one in found.get("files", []):
        _file(name, one)
    for key in ("packages", "early", "commands", "roles"):
        said = found.get(key, [])
        for one in said.values() if isinstance(said, dict) else said:
            _known(name, key, one, variables)
    lists = {key: tuple(found.get(key, [])) for key in ("packages", "early", "files", "commands")}
    return Layer(name.removesuffix(".toml"), **lists, variables=variables, roles=found.get("roles", {}))


def _known(file: str, key: str, text: object, variables: Mapping[str, Any]) -> None:
    for used in _named(text) if isinstance(text, str) else ():
        if used not in variables:
            example = "{" + min(variables, default="hostname") + "}"
            raise WrongImage(file, key, text, "only variables that the layer declares", example)


def _named(text: str) -> list[str]:
    """The variables a command names: ``{name}``, but not the shell's ``${name}``."""
    return re.findall(r"(?<!\$)\{(\w+)\}", text)


def filled(text: str, values: Mapping[str, str]) -> str:
    """A command with the values in their places."""
    return re.sub(r"(?<!\$)\{(\w+)\}", lambda found: values[found[1]], text)


def _variable(file: str, key: str, one: Any) -> None:
    where = f"variables.{key}."
    if not isinstance(one, dict) or not re.fullmatch("[a-z][a-z0-9_]{0,30}", key):
        raise WrongImage(file, f"variables.{key}", one, "a table under a name in lower-case letters", "[variables.root_mb]")
    _shape(file, where, one, VARIABLE_KEYS)
    if one.get("type") not in TYPES:
        raise WrongImage(file, where + "type", one.get("type"), "one of " + ", ".join(TYPES), '"whole"')
    needed = ["doc", "example", *(["low", "high"] if one["type"] == "whole" else ["form"] if one["type"] == "text" else [])]
    for each in needed:
        if each not in one:
            raise WrongImage(file, where + each, None, "this key: nobody can use a variable without it", f"{each} = …")
    if "default" in one:
        checked(file, key, one["default"], one)


def _file(file: str, one: Any) -> None:
    good = isinstance(one, dict) and set(one) == {"from", "to", "mode"} and all(isinstance(each, str) for each in one.values())
    example = '{ from = "fstab", to = "etc/fstab", mode = "0644" }'
    if not good:
        raise WrongImage(file, "files", one, "from, to and mode", example)
    if one["to"].startswith("/") or ".." in one["to"].split("/"):
        raise WrongImage(file, "files.to", one["to"], "a path inside the image without .. and without a leading /", example)
    if not re.fullmatch("0[0-7]{3}", one["mode"]):
        raise WrongImage(file, "files.mode", one["mode"], "four octal digits", example)
    if "/" in one["from"] or not (HERE / "files" / one["from"]).is_file():
        raise WrongImage(file, "files.from", one["from"], "the name of a file in images/files", example)


def checked(file: str, key: str, value: Any, one: Mapping[str, Any]) -> str:
    """A variable's value as it goes into commands; WrongImage where it is not one."""
    if one["type"] == "whole":
        good = isinstance(value, int) and not isinstance(value, bool) and one["low"] <= value <= one["high"]
        expected = f"a whole number from {one['low']} to {one['high']}"
    elif one["type"] == "table":
        good, expected = _is_table(value), "a table as JSON, without a single quote"
    elif one["type"] == "text":
        good, expected = isinstance(value, str) and bool(re.fullmatch(one["form"], value)), f"text of the form {one['form']}"
    else:
        good = isinstance(value, str) and "'" not in value and Path(value).is_absolute() and Path(value).is_file()
        expected = "the whole path of a file that exists"
    if not good:
        raise WrongImage(file, key, value, expected, one["example"])
    return str(value)


def _is_table(value: object) -> bool:
    try:
        return isinstance(value, str) and "'" not in value and isinstance(json.loads(value), dict)
    except ValueError:
        return False


def image(target: str, suite: str, values: Mapping[str, Any], said: str = "values") -> Image:
    """The checked image; `said` is the name of the file the values come from."""
    names = sorted(one.stem for one in (HERE / "targets").glob("*.toml"))
    if target not in names:
        raise WrongImage("command line", "target", target, "one of " + ", ".join(names), names[-1])
    if suite not in SUITES:
        raise WrongImage("command line", "--suite", suite, "one of " + ", ".join(SUITES), SUITES[0])
    found = read_toml(HERE / "targets" / f"{target}.toml")
    layers = tuple(layer(HERE / "layers" / f"{name}.toml") for name in found["layers"])
    declared = {key: one for each in layers for key, one in each.variables.items()}
    fixed = found.get("values", {})
    for key, value in values.items():
        if key not in declared or key in fixed:
            free = sorted(set(declared) - set(fixed))
            raise WrongImage(said, key, value, "one of " + ", ".join(free), free[0])
        checked(said, key, value, declared[key])
    made, values = {}, {**values, **fixed}
    for key, one in declared.items():
        if key not in values and "default" not in one:
            raise WrongImage(said, key, None, f"a value: {one['doc']}", f"{key} = {one['example']}")
        made[key] = checked(said, key, values.get(key, one.get("default")), one)
    if bool(made.get("pi_mirror")) != bool(made.get("pi_keyring")):
        raise WrongImage(
            said, "pi_keyring", made["pi_keyring"], "the archive's key, together with pi_mirror", declared["pi_keyring"]["example"]
        )
    return Image(target, found["architecture"], suite, layers, made)


# --- the roles --------------------------------------------------------------------------------------------------------------------------


def roles_of(one: Image) -> dict[str, Any]:
    """The roles' variables with the values in them: a number stays a number, a table a table. Empty: no role is run."""
    found: dict[str, Any] = {}
    for each in one.layers:
        for key, said in each.roles.items():
            found[key] = _role_value(said, each, one.values) if isinstance(said, str) else said
    return found


def _role_value(said: str, each: Layer, values: Mapping[str, str]) -> object:
    whole = re.fullmatch(r"\{(\w+)\}", said)
    kind = each.variables[whole[1]]["type"] if whole else "text"
    text = filled(said, values)
    return int(text) if kind == "whole" else json.loads(text) if kind == "table" else text


def packages_of(one: Image) -> list[str]:
    """Debian's packages: the layers', and those the roles ask for by default, so that no role fetches anything while it runs."""
    asked = [filled(name, one.values) for each in one.layers for name in each.packages]
    if roles_of(one):
        import yaml  # type: ignore[import-untyped]  # comes with ansible-core, without types

        site = yaml.safe_load((PROVISIONING / "site.yml").read_text("utf-8"))[0]["vars"]["site_roles"]
        for role in site["all"] + site["station"]:
            said = yaml.safe_load((PROVISIONING / "roles" / role / "defaults/main.yml").read_text("utf-8"))
            asked += said.get(f"{role}_packages") or []
    return list(dict.fromkeys(asked))


# --- the steps --------------------------------------------------------------------------------------------------------------------------


def table(one: Image) -> str:
    """The partition table, as sfdisk takes it (sizes and starts in sectors of 512 bytes). MBR: the Pi's firmware reads it everywhere."""
    lines, start = ["label: dos", f"label-id: 0x{DISK}"], 8192
    for kind, size in (("c, bootable", "firmware_mb"), ("83", "root_mb"), ("83", "root_mb"), ("83", "data_mb")):
        sectors = int(one.values[size]) * 2048
        lines.append(f"start={start}, size={sectors}, type={kind}")
        start += sectors
    return "\n".join(lines) + "\n"


def starts(one: Image) -> list[int]:
    """Where each partition starts, in bytes."""
    return [int(found) * 512 for found in re.findall(r"start=(\d+)", table(one))]


def steps(one: Image, out: Path, keep: Path | None = None) -> Iterator[tuple[str, str]]:
    """What builds the image: a title and a shell command each, in order. $ROOT is the root's folder, $OUT the image.

    With `keep`, a folder, Debian's packages as they were set up are kept there as a tar, and taken from there the next time.
    """
    root, files = out.with_suffix(".root"), HERE / "files"
    yield "clear", f"rm -rf {shlex.quote(str(root))} && export ROOT={shlex.quote(str(root))} OUT={shlex.quote(str(out))}"
    if one.architecture in EMULATED:
        yield "processor, where it is emulated", f'export QEMU_CPU="${{QEMU_CPU:-{EMULATED[one.architecture]}}}"'
    yield "packages", _packages(one, keep)
    if roles_of(one):
        yield from _roles(one)
        if roles_of(one).get("hardening_check") is False:
            yield "allow-list", _allow_list()
    for each in one.layers:
        for part in each.files:
            source = shlex.quote(str(files / part["from"]))
            yield f"{each.name}: {part['to']}", f'install -D -m {part["mode"]} {source} "$ROOT/{part["to"]}"'
        for command in each.commands:
            yield f"{each.name}: command", filled(command, one.values)
    if roles_of(one):
        yield "units", _units()
    listed = 'dpkg-query --admindir="$ROOT/var/lib/dpkg" -Wf \'${Package}\\t${Version}\\t${Architecture}\\n\' >"$OUT.packages"'
    yield "list of packages", listed
    yield "SBOM", f'{shlex.quote(str(HERE / "sbom"))} "$OUT.packages" "$ROOT$(readlink "$ROOT/opt/tram/current")" >"$OUT.cdx.json"'
    yield from _disk(one)
    # A build that was cut off leaves no list that could be signed.
    sums = 'sha256sum "$b" "$b.packages" "$b.cdx.json" >"$b.sha256.new" && mv "$b.sha256.new" "$b.sha256"'
    yield "checksums", f'(cd "$(dirname "$OUT")" && b=$(basename "$OUT") && {sums})'


def _packages(one: Image, keep: Path | None) -> str:
    source = f"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {one.values['mirror']} {one.suite} main non-free-firmware"
    early = "\n".join(filled(command, one.values) for each in one.layers for command in each.early)
    hook = f"--essential-hook={shlex.quote('ROOT=$1; export ROOT; ' + early)}"
    sources = shlex.quote(source)
    if one.values.get("pi_mirror"):
        sources += " " + shlex.quote(f"deb [signed-by={one.values['pi_keyring']}] {one.values['pi_mirror']} {one.suite} main")
    command = (
        f"mmdebstrap --mode=root --variant=minbase --architectures={one.architecture} --include={','.join(packages_of(one))} "
        "--dpkgopt=path-exclude='/usr/share/man/*' --dpkgopt=path-exclude='/usr/share/locale/*' --dpkgopt=path-exclude='/usr/share/doc/*' "
        f"--dpkgopt=path-include='/usr/share/doc/*/copyright' {hook} {one.suite} {{}} {sources}"
    )
    if keep is None:
        return command.format('"$ROOT"')
    kept = shlex.quote(str(keep / f"{one.suite}-{hashlib.sha256(command.encode()).hexdigest()[:16]}.tar"))
    unpack = f'mkdir -p "$ROOT" && tar -C "$ROOT" --numeric-owner --xattrs --xattrs-include="*" -xf {kept}'
    return f"[ -e {kept} ] || {{ {command.format(kept + '.new.tar')} && mv {kept}.new.tar {kept}; }}; {unpack}"


def _roles(one: Image) -> Iterator[tuple[str, str]]:
    """site.yml in the root's folder: the same roles that come over ssh to a box that stands."""
    how = {"ansible_connection": "tram_root", "ansible_become": False, "ansible_remote_tmp": "/root/.ansible/tmp"}
    said = {"stations": {"hosts": {HOST: {**how, **roles_of(one)}}}}
    text = shlex.quote(json.dumps(said, ensure_ascii=False, sort_keys=True))
    ansible = shlex.quote(str(HERE.parent / ".venv/bin/ansible-playbook"))
    plugin, settings = shlex.quote(str(HERE / "connection")), shlex.quote(str(PROVISIONING / "ansible.cfg"))
    way = f'ANSIBLE_HOME="$OUT.ansible" ANSIBLE_CONNECTION_PLUGINS={plugin} ANSIBLE_CONFIG={settings}'
    play = f'{way} {ansible} -i "$OUT.inventory.json" -e "ansible_host=$ROOT" site.yml </dev/null >"$OUT.roles.log" 2>&1'
    yield "inventory", f'printf %s {text} >"$OUT.inventory.json"'
    yield "roles", f'(cd {shlex.quote(str(PROVISIONING))} && {play}) || {{ tail -n 40 "$OUT.roles.log" >&2; exit 1; }}'
    yield "roles: tidy", 'rm -rf "$OUT.ansible" "$OUT.inventory.json"'


def _allow_list() -> str:
    """nft's own look at the allow-list, by the machine that builds and in a network of its own: a role could not have it in there."""
    drawn = 'sed "s|\\"/etc/nftables.d/|\\"$ROOT/etc/nftables.d/|" "$ROOT/etc/nftables.conf"'
    return f'{drawn} >"$OUT.nft"\nunshare --net nft --check --file "$OUT.nft"\nrm "$OUT.nft"'


def _units() -> str:
    """systemd's own look at the order of its units: where it finds a circle it would leave something out at every start."""
    how = "systemd-nspawn --quiet --keep-unit --register=no --private-network --resolv-conf=off --timezone=off --link-journal=no"
    how += " ${QEMU_CPU:+--setenv=QEMU_CPU}"
    look = f'SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 {how} --console=pipe -D "$ROOT" systemd-analyze --man=no verify default.target'
    return f"if {look} 2>&1 </dev/null | grep 'ordering cycle' >&2; then exit 1; fi"


def _disk(one: Image) -> Iterator[tuple[str, str]]:
    """Partitions without loop devices: every file system is made from a folder, at its place in the file."""
    firmware, first, second, data = starts(one)
    values = one.values
    whole = data // (1 << 20) + int(values["data_mb"])
    yield "partition table", f'rm -f "$OUT" && truncate -s {whole}M "$OUT" && printf %s {shlex.quote(table(one))} | sfdisk -q "$OUT"'
    yield (
        "firmware",
        # Each in a line of its own: sh -e does not end at what fails before an &&, and a partition that is too small would pass.
        (
            f'rm -f "$OUT.vfat"\ntruncate -s {values["firmware_mb"]}M "$OUT.vfat"\nmkfs.vfat -F32 -n FIRMWARE "$OUT.vfat" >/dev/null\n'
            'mcopy -s -i "$OUT.vfat" "$ROOT"/boot/firmware/* ::/\n'
            f'dd if="$OUT.vfat" of="$OUT" bs=1M seek={firmware >> 20} conv=notrunc,sparse status=none\n'
            'rm -r "$OUT.vfat" "$ROOT"/boot/firmware/*'
        ),
    )
    yield "root A", f'mke2fs -q -F -t ext4 -L root -d "$ROOT" -E offset={first} "$OUT" {values["root_mb"]}M'
    yield "root B (empty: the first update fills it)", f'mke2fs -q -F -t ext4 -E offset={second} "$OUT" {values["root_mb"]}M'
    yield "data", f'mke2fs -q -F -t ext4 -L data -E offset={data} "$OUT" {values["data_mb"]}M'
