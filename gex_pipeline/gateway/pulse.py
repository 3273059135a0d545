"""The API's sign of life: its lease and its status, once a second, in a thread of its own."""

import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from gex_pipeline.gateway.cache import STORE_ERRORS
from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.lease import Lease, Status

SERVICE: Final = "serving"
BEAT_S: Final = 1.0
LEASE_MS: Final = 10_000


class Pulse:
    """Beats while it holds the lease.

    A second API of the same namespace answers as well as the first and leaves the status to it: it
    reads, so nothing is lost, and it takes the lease over when the first one goes.
    """

    def __init__(self, url: str, keys: Keys, fields: Callable[[], dict[str, Any]]) -> None:
        self._client = connect(url)
        self._fields = fields
        self._lease = Lease(self._client, keys, SERVICE, secrets.token_hex(8), LEASE_MS)
        self._status = Status(self._client, keys, SERVICE)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def __enter__(self) -> "Pulse":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        with suppress(*STORE_ERRORS):  # then it lapses by itself
            if self._lease.fence is not None:
                self._lease.release()
        self._client.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            with suppress(*STORE_ERRORS):  # the store restarts: lease and status come back
                if self._lease.renew() or self._lease.acquire() is not None:
                    self._status.beat(self._fields())
            self._stop.wait(BEAT_S)
