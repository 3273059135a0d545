"""A wire to a server that can be cut at the worst moment."""

import socket
import threading
from types import TracebackType


class Wire:
    """A proxy on a free port; `cut_next` breaks the next connection that sends an XADD."""

    def __init__(self, server_port: int) -> None:
        self.cuts = 0
        self._server_port = server_port
        self._fault = ""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> "Wire":
        self._spawn(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def url_of(self, url: str) -> str:
        """The URL of the server, through the wire."""
        port = self._listener.getsockname()[1]
        return url.replace(f":{self._server_port}/", f":{port}/")

    def cut_next(self, fault: str) -> None:
        """Lose the "reply" to the next XADD, or the second half of its "request"."""
        self._fault = fault

    def _spawn(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                near, _ = self._listener.accept()
            except TimeoutError:
                continue
            self._spawn(self._carry, near)

    def _carry(self, near: socket.socket) -> None:
        far = socket.create_connection(("127.0.0.1", self._server_port))
        with near, far:
            near.settimeout(0.05)
            far.settimeout(0.05)
            lose_reply = False
            while not self._stop.is_set():
                request = _receive(near)
                if request == b"":
                    return
                if request and self._fault and b"XADD" in request:
                    fault, self._fault = self._fault, ""
                    self.cuts += 1
                    if fault == "request":
                        far.sendall(request[: len(request) // 2])
                        return
                    lose_reply = True
                if request:
                    far.sendall(request)
                reply = _receive(far)
                if reply == b"" or (reply and lose_reply):
                    return
                if reply:
                    near.sendall(reply)


def _receive(end: socket.socket) -> bytes | None:
    """Return what came, b"" at the end, None if nothing came."""
    try:
        return end.recv(1 << 16)
    except TimeoutError:
        return None
    except OSError:
        return b""
