"""The door's port: TLS, a few threads, and nobody stays longer than a request takes.

The standard library's WSGI server with what it lacks: TLS shaken in the connection's own thread, so that one slow hand
does not hold the others up, a limit on threads, and an end to every connection.
"""

import logging
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

THREADS = 16
"""Connections at once; the next ones are closed, and a box tries again later."""
SILENT = 10.0
"""Seconds that one read or write may wait: a handshake over 600 ms and 20 kbit/s takes about 4."""
LIFE = 30.0
"""Seconds a connection may last in all."""


class Caller(WSGIRequestHandler):
    """One connection. Refusals of HTTP itself are answered plainly, and nothing a caller says reaches a log."""

    protocol_version = "HTTP/1.0"
    server_version = "tram"
    sys_version = ""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name the library gave it
        """Nothing: addresses and paths are the caller's words."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """A refusal of HTTP itself is the caller's fault, whatever the library calls it (505 for a version nobody has)."""
        del message, explain
        self.wfile.write(f"HTTP/1.0 {400 if code >= 500 else code} Refused\r\nContent-Length: 0\r\n\r\n".encode())

    def address_string(self) -> str:
        """The address as it is: a name would have to be asked for."""
        return str(self.client_address[0])


class DoorServer(ThreadingMixIn, WSGIServer):
    """Listens from the moment it is made; `serve_forever` serves, `shutdown` from another thread ends that."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self,
        address: tuple[str, int],
        app: Callable[..., Iterable[bytes]],
        context: ssl.SSLContext,
        log: logging.Logger,
        *,
        threads: int = THREADS,
        silent: float = SILENT,
        life: float = LIFE,
    ) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self._context, self._log, self._silent, self._life = context, log, silent, life
        self._slots = threading.BoundedSemaphore(threads)
        self._open: dict[socket.socket, float] = {}
        self._lock = threading.Lock()
        super().__init__(address, Caller)
        self.set_app(app)

    def server_bind(self) -> None:
        """As the library's, without asking a name server who we are."""
        socket.socket.bind(self.socket, self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for it, while there is one left."""
        if not self._slots.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """The connection's own thread; its place is free again at the end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """TLS, one request, and the end."""
        request.settimeout(self._silent)
        with self._context.wrap_socket(request, server_side=True, do_handshake_on_connect=False) as line:
            with self._lock:
                self._open[line] = time.monotonic() + self._life
            try:
                line.do_handshake()
                Caller(line, client_address, self)
            finally:
                with self._lock:
                    self._open.pop(line, None)

    def service_actions(self) -> None:
        """Twice a second: whoever has been here too long is shown out."""
        now = time.monotonic()
        with self._lock:
            late = [line for line, until in self._open.items() if now > until]
        for line in late:
            try:
                line.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has just gone by itself

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the library's signature
        """A caller who breaks off, is silent or speaks no TLS is no news; anything else is a bug and is written down."""
        error = sys.exception()
        if not isinstance(error, OSError):
            self._log.error("the door broke", exc_info=error)


def context_of(cert: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.2 or better with the door's certificate. OSError (ssl.SSLError among them) when a file cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert, key)
    return context
