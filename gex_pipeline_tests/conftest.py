"""What every test stands on: one numeric thread, the real chains if they are there, `.env` kept."""

import hashlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from gex_pipeline_tests import canary

ROOT = Path(__file__).parents[1]

# Before any test imports numpy: the library reads these once. The reason is in gex_pipeline.cli.
for library in ("OPENBLAS", "OMP", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

settings.register_profile("patient", deadline=None)  # a busy machine is no failure
settings.load_profile("patient")


@pytest.fixture(scope="session")
def samples() -> Path:
    """Folder of real chains; the test is skipped where GEX_SAMPLES names none."""
    folder = os.environ.get("GEX_SAMPLES", "")
    if not folder:
        pytest.skip("GEX_SAMPLES is not set: it names the folder of real chains")
    if not Path(folder).is_dir():
        pytest.fail(f"GEX_SAMPLES names {folder}, which is no folder. Correct or unset it.")
    return Path(folder)


@pytest.fixture(scope="session", autouse=True)
def drawing_leaves_nothing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Matplotlib keeps its list of fonts there, and not in the user's home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPLCONFIGDIR", str(tmp_path_factory.mktemp("matplotlib")))
        yield


@pytest.fixture(scope="session", autouse=True)
def env_file_is_kept() -> Iterator[None]:
    """Nothing that the tests run writes the user's `.env`."""
    before = _digest(ROOT / ".env")
    yield
    assert _digest(ROOT / ".env") == before, ".env was changed by the tests; nothing may write it"


@pytest.fixture(scope="session", autouse=True)
def secrets_stay_secret(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No secret of the run is in a log, or in a file of the run that is no token's own."""
    listener = canary.Listener()
    logging.getLogger().addHandler(listener)
    yield
    logging.getLogger().removeHandler(listener)
    found = [*listener.leaks, *canary.leaks(tmp_path_factory.getbasetemp())]
    assert not found, f"secrets of the run stand in {found}"


def _digest(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None
