"""A wire to a server that fails on purpose: replies lost, requests halved, silence."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal

Fault = Literal["", "cut_reply", "cut_half", "silence"]


class FaultProxy:
    """A proxy on a free port of 127.0.0.1; `fault` is what happens to connections from now on.

    cut_reply: the next request that writes arrives, its reply does not. cut_half: of the next such
    request half arrives. silence: nothing arrives any more, and nobody hangs up.
    """

    def __init__(self, server_port: int) -> None:
        self.port = 0
        self.fault: Fault = ""
        self.faults = 0
        """How often it struck."""
        self._server_port = server_port
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    def url_of(self, url: str) -> str:
        """Return a server's URL by way of the proxy."""
        return url.replace(f":{self._server_port}/", f":{self.port}/")

    def run(self, ready: Callable[[], object]) -> None:
        """Serve until stopped; the body of the proxy's thread."""
        self._loop.run_until_complete(self._serve(ready))
        self._loop.close()

    def stop(self) -> None:
        """End all connections."""
        self._loop.call_soon_threadsafe(self._stop.set)

    async def _serve(self, ready: Callable[[], object]) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        ready()
        await self._stop.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            far = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:
            writer.close()
            return
        try:
            await self._carry(reader, writer, *far)
        except (OSError, asyncio.CancelledError):
            return
        finally:
            self._tasks.discard(task)
            for end in (writer, far[1]):
                end.close()
                with suppress(OSError):
                    await end.wait_closed()

    async def _carry(
        self,
        near: asyncio.StreamReader,
        near_out: asyncio.StreamWriter,
        far: asyncio.StreamReader,
        far_out: asyncio.StreamWriter,
    ) -> None:
        back = asyncio.ensure_future(_pump(far, near_out, lambda: self.fault == "silence"))
        try:
            while data := await near.read(1 << 20):
                fault = self.fault
                if fault == "silence":
                    self.faults += 1
                    await self._stop.wait()
                    return
                if not fault or b"XADD" not in data:
                    far_out.write(data)
                    await far_out.drain()
                    continue
                self.fault, self.faults = "", self.faults + 1
                far_out.write(data if fault == "cut_reply" else data[: len(data) // 2])
                back.cancel()
                await far_out.drain()
                if fault == "cut_reply":
                    await far.read(1)  # the server has done it
                return
        finally:
            back.cancel()
            await asyncio.gather(back, return_exceptions=True)


async def _pump(
    source: asyncio.StreamReader, target: asyncio.StreamWriter, dumb: Callable[[], bool]
) -> None:
    while data := await source.read(1 << 20):
        if not dumb():
            target.write(data)
            await target.drain()
    target.close()


@contextmanager
def fault_proxy(server_port: int) -> Iterator[FaultProxy]:
    """Run a proxy before a server."""
    proxy, ready = FaultProxy(server_port), threading.Event()
    thread = threading.Thread(target=proxy.run, args=(ready.set,))
    thread.start()
    try:
        if not ready.wait(10):
            raise AssertionError("the proxy did not start")
        yield proxy
    finally:
        proxy.stop()
        thread.join()
