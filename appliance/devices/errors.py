"""What goes wrong between the box and a device: every kind is an OSError, so whoever meets one waits and tries again."""


class DeviceError(OSError):
    """The device or its line cannot be used now: wait and try again. `port` is which one."""

    def __init__(self, port: str, text: str) -> None:
        super().__init__(f"{port}: {text}")
        self.port = port


class PortAbsentError(DeviceError):
    """There is no such port: the adapter is not plugged in."""


class PortUsedError(DeviceError):
    """The port is used by another program."""
