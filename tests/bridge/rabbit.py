"""A real RabbitMQ with its MQTT plugin, in a folder of its own on loopback, ended with the test that asked for it.

It is not among the servers that script/test installs: Erlang is 100 MB. Where it is absent the tests that need it are
skipped and say so; the nightly run has it.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests import servers
from tests.polling import until

SCRIPTS = Path("/usr/lib/rabbitmq/bin")


@dataclass
class Rabbit:
    """A running RabbitMQ. `mqtt` and `amqp` are its ports."""

    place: Path
    person: servers.Person
    mqtt: int
    amqp: int
    env: dict[str, str]
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        """Start it and wait until it speaks both languages. Its name server is ours too, so that nothing stays behind."""
        log = self.place / "log"
        while len(self.running) > 1:
            servers.stop(self.running.pop(), 9)
        epmd = servers.find("epmd") or "/usr/bin/epmd"
        if not self.running:
            port = self.env["ERL_EPMD_PORT"]
            self.running.append(
                servers.start(servers.as_person(self.person, [epmd, "-address", "127.0.0.1", "-port", port]), log, self.env)
            )
            until(lambda: servers.listens(int(port)), within=60, what="epmd")
        self.running.append(servers.start(self._command("rabbitmq-server"), log, self.env))
        server = self.running[-1]
        ready = lambda: servers.listens(self.mqtt) and servers.listens(self.amqp)  # noqa: E731 - a name for what is waited for
        until(lambda: server.poll() is not None or ready(), within=240, what="RabbitMQ on both ports")
        if server.poll() is not None:
            raise RuntimeError(f"RabbitMQ ended at once: {log.read_text(errors='replace')[-3000:]}")

    @property
    def alive(self) -> bool:
        """True while the server itself runs: behind its name server it is the second one."""
        return len(self.running) > 1 and self.running[-1].poll() is None

    def kill(self) -> None:
        """SIGKILL: a power cut of the broker. Its ports are free again when this returns."""
        servers.stop(self.running.pop(), 9)
        gone = lambda: not servers.listens(self.mqtt) and not servers.listens(self.amqp)  # noqa: E731 - a name for what is waited for
        until(gone, within=30, what="RabbitMQ's ports to be free")

    def control(self, *words: str) -> str:
        """What ``rabbitmqctl`` says."""
        done = subprocess.run(
            self._command("rabbitmqctl", "-q", *words), capture_output=True, text=True, env=self.env, timeout=180, check=True
        )
        return done.stdout

    def close(self) -> None:
        """End it, its name server too."""
        while self.running:  # by force: a polite word ends the shell in front of Erlang, and Erlang goes on alone
            servers.stop(self.running.pop(), 9)
        shutil.rmtree(self.place, ignore_errors=True)

    def _command(self, script: str, *words: str) -> Sequence[str]:
        return servers.as_person(self.person, [SCRIPTS / script, *words])


def rabbitmq() -> Rabbit:
    """A RabbitMQ that is not started yet; the test is skipped where there is none."""
    if not (SCRIPTS / "rabbitmq-server").exists():
        pytest.skip("RabbitMQ is not installed (apt-get install rabbitmq-server)")
    person = servers.unprivileged("rabbitmq")
    place = servers.folder(person, "rq")
    mqtt, amqp, dist, epmd = (servers.free_port() for _ in range(4))
    (place / "conf").write_text(
        f"mqtt.listeners.tcp.1 = 127.0.0.1:{mqtt}\nmqtt.allow_anonymous = true\nlog.console = true\nlog.file = false\n"
    )
    (place / "plugins").write_text("[rabbitmq_mqtt].\n")
    (place / "log").touch()
    for name in ("conf", "plugins", "log"):
        (place / name).chmod(0o666)
    env = {
        "PATH": os.environ.get("PATH", os.defpath), "HOME": str(place), "LANG": "C.UTF-8", "ERL_EPMD_PORT": str(epmd),
        "ERL_EPMD_ADDRESS": "127.0.0.1", "RABBITMQ_NODENAME": f"t{amqp}@localhost", "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(amqp), "RABBITMQ_DIST_PORT": str(dist), "RABBITMQ_MNESIA_BASE": str(place / "db"),
        "RABBITMQ_LOG_BASE": str(place), "RABBITMQ_CONFIG_FILE": str(place / "conf"), "RABBITMQ_PID_FILE": str(place / "pid"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(place / "plugins"), "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none",
        **{name: os.environ[name] for name in ("TRAM_TEST_RUN",) if name in os.environ},
    }  # fmt: skip
    return Rabbit(place, person, mqtt, amqp, env)
