"""The process that is killed while it stores one renewed token after another.

    token_worker FOLDER COUNT [POINT N]

Prints the number of each token once it is stored; the file begins as one of an older shape.
"""

import contextlib
import os
import sys
from pathlib import Path

from gex_pipeline.feeds.oldtokens import Wrapped
from gex_pipeline.feeds.tokens import TokenStore
from gex_pipeline_tests.faults.points import die_at

BORN = 1_700_000_000


def token(number: int) -> Wrapped:
    """Return the token of a number, long enough for several blocks of a disk."""
    held = {
        "access_token": f"access-{number}-" + "a" * 9_000,
        "refresh_token": f"refresh-{number}",
        "token_type": "Bearer",
        "expires_at": BORN + number,
    }
    return {"creation_timestamp": BORN, "token": held}


def _say(number: int) -> None:
    """Tell the parent; the fault may strike this write as well."""
    while True:
        with contextlib.suppress(OSError):
            os.write(1, f"{number}\n".encode())
            return


def main() -> None:
    """Do as the command line says."""
    folder, count, *point = sys.argv[1:]
    if point:
        die_at(point[0], int(point[1]))
    store = TokenStore(Path(folder), env_back=Path(folder).parent / ".env.back")
    store.prepare()
    for number in range(1, int(count) + 1):
        store.write(token(number))
        while not store.save():  # the disk refused: tried again
            continue
        _say(number)


if __name__ == "__main__":
    main()
