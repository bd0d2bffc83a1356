"""Who is compared: how each is set up, started and killed, and where its readings are counted."""

import contextlib
import json
import os
import re
import signal
import subprocess
import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

LINE = "Q{number:07d},{systolic:03d},{diastolic:03d},{mean:03d},{pulse:03d},0\n"
_NUMBER = re.compile(rb"Q(\d{7})")


@dataclass
class Sink:
    """A persistent subscriber on the broker's own port that counts numbered lines, also inside zlib."""

    port: int
    seen: set[int] = field(default_factory=set)
    repeated: int = 0

    def __post_init__(self) -> None:
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="sink", clean_session=False, protocol=MQTTProtocolVersion.MQTTv311)
        self.client.on_message = self._message
        self.client.on_connect = lambda client, *_: client.subscribe("#", 1)
        self.client.connect("127.0.0.1", self.port)
        self.client.loop_start()

    def _message(self, client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        if message.topic.startswith("v1/devices/me/rpc/request/"):  # ThingsBoard's gateway asks for its limits and waits for them
            answer = {"rateLimits": {}, "gatewayRateLimits": {}, "maxInflightMessages": 100, "maxPayloadSize": 65536}
            client.publish(message.topic.replace("request", "response"), json.dumps(answer), 1)
            return
        payload = message.payload
        with contextlib.suppress(zlib.error):
            payload = zlib.decompress(payload)
        for found in _NUMBER.findall(payload):
            number = int(found)
            self.repeated += number in self.seen
            self.seen.add(number)

    def close(self) -> None:
        """Enough."""
        self.client.disconnect()
        self.client.loop_stop()


class Product(ABC):
    """One gateway: reads `tty`, publishes to 127.0.0.1:`port`. Everything of it is in `folder`."""

    name = ""

    def __init__(self, folder: Path, tty: Path, port: int) -> None:
        self.folder, self.tty, self.port = folder, tty, port
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @abstractmethod
    def command(self) -> tuple[list[str], dict[str, str]]:
        """Command line and environment."""

    def start(self) -> None:
        """Run it in a session of its own."""
        words, env = self.command()
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(words, cwd=self.folder, env=os.environ | env, stdout=log, stderr=log, start_new_session=True)

    def kill(self, how: int = signal.SIGKILL) -> None:
        """End every process of it."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, how)
            self.process.wait(30)
            self.process = None

    def tree(self) -> list[int]:
        """The process ids it consists of."""
        assert self.process is not None
        group = self.process.pid
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                if entry.name.isdigit() and os.getpgid(int(entry.name)) == group:
                    found.append(int(entry.name))
        return found


class ThingsBoard(Product):
    """The ThingsBoard IoT gateway with its serial connector and SQLite storage, statistics off, its shipped rate limits."""

    name = "ThingsBoard gateway 3.8.5"

    def command(self) -> tuple[list[str], dict[str, str]]:
        """Its own console script with a folder of settings."""
        place = self.folder / "config"
        place.mkdir(exist_ok=True)
        main = {
            "thingsboard": {
                "host": "127.0.0.1", "port": self.port, "remoteConfiguration": False, "remoteShell": False, "qos": 1,
                "statistics": {"enable": False}, "security": {"type": "accessToken", "accessToken": "thu"},
                "reportStrategy": {"type": "ON_RECEIVED"}, "checkConnectorsConfigurationInSeconds": 60,
            },
            "storage": {"type": "sqlite", "data_file_path": "./data/", "messages_ttl_check_in_hours": 1, "messages_ttl_in_days": 7,
                        "max_read_records_count": 1000, "writing_batch_size": 1000, "batch_size": 1000},
            "grpc": {"enabled": False},
            "connectors": [{"type": "serial", "name": "serial", "configuration": "serial.json", "class": "SerialConnector"}],
        }  # fmt: skip
        device = {
            "name": "cuff", "type": "default", "port": str(self.tty), "baudrate": 115200, "delimiter": "\n",
            "converter": "SerialUplinkConverter", "downlink_converter": "SerialDownlinkConverter",
            "telemetry": [{"type": "string", "key": "line", "untilDelimiter": "\n"}], "attributes": [],
        }  # fmt: skip
        (place / "tb_gateway.json").write_text(json.dumps(main))
        (place / "serial.json").write_text(
            json.dumps({"name": "serial", "logLevel": "ERROR", "uplinkQueueSize": 100000, "devices": [device]})
        )
        (place / "logs.json").write_text(json.dumps({"version": 1, "disable_existing_loggers": False, "root": {"level": "ERROR"}}))
        (self.folder / "logs").mkdir(exist_ok=True)
        (self.folder / "data").mkdir(exist_ok=True)
        return [os.environ["TRAM_PEER_THINGSBOARD"]], {"TB_GW_CONFIG_DIR": str(place)}


class NodeRed(Product):
    """Node-RED: serial in (split on the line's end), a function, mqtt out QoS 1, MQTT 3.1.1, clean session off."""

    name = "Node-RED 4.1.15"

    def command(self) -> tuple[list[str], dict[str, str]]:
        """Its own script with a flow file."""
        flow = [
            {"id": "t", "type": "tab", "label": "t"},
            {"id": "p", "type": "serial-port", "serialport": str(self.tty), "serialbaud": "115200", "databits": 8, "parity": "none",
             "stopbits": 1, "waitfor": "", "dtr": "none", "rts": "none", "cts": "none", "dsr": "none", "newline": "\\n", "bin": "false",
             "out": "char", "addchar": "", "responsetimeout": "10000"},
            {"id": "b", "type": "mqtt-broker", "broker": "127.0.0.1", "port": str(self.port), "clientid": "nr", "autoConnect": True,
             "protocolVersion": "4", "keepalive": "60", "cleansession": False},
            {"id": "s", "type": "serial in", "z": "t", "serial": "p", "wires": [["f"]]},
            {"id": "f", "type": "function", "z": "t", "func": "return {payload: {ts: Date.now(), line: msg.payload}};", "outputs": 1,
             "wires": [["m"]]},
            {"id": "m", "type": "mqtt out", "z": "t", "topic": "thu/line", "qos": "1", "retain": "false", "broker": "b", "wires": []},
        ]  # fmt: skip
        (self.folder / "flows.json").write_text(json.dumps(flow))
        return [os.environ["TRAM_PEER_NODE_RED"], "-u", str(self.folder), "-p", "0", str(self.folder / "flows.json")], {}
