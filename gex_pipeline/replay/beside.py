"""Work beside a loop: a thread whose failure is raised where somebody looks after it."""

import threading
from collections.abc import Callable


class Beside:
    """A thread whose failure is raised in the one that looks after it."""

    def __init__(self, work: Callable[[threading.Event], None]) -> None:
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._work = work
        self._thread = threading.Thread(target=self._run, name="engine")
        self._thread.start()

    def check(self) -> None:
        """Raise what ended the thread."""
        if self._failure is not None:
            raise self._failure

    def end(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._work(self._stop)
        except BaseException as error:  # noqa: BLE001 # raised again in `check`
            self._failure = error
