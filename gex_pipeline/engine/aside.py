"""Work beside a loop: a thread whose end, by failure too, ends all that shares its `stop`."""

import threading
from collections.abc import Callable
from typing import Self


class Aside:
    """A thread inside a `with`; behind it the thread has ended, and what ended it is raised."""

    def __init__(
        self, work: Callable[[threading.Event], None], stop: threading.Event, name: str
    ) -> None:
        self._work, self._stop = work, stop
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._failure is not None and kind is None:
            raise self._failure

    def _run(self) -> None:
        try:
            self._work(self._stop)
        except BaseException as error:  # noqa: BLE001 # raised again in the thread that waits for it
            self._failure = error
        finally:
            self._stop.set()
