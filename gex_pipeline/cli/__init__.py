"""The `gex` command: composition root. A command's module is imported only when it runs."""

import os
import sys
from typing import Final, NoReturn

from gex_pipeline.cli.group import LazyCommand, LazyGroup, quiet_pipe

COMMANDS: Final = {
    "up": LazyCommand("gex_pipeline.cli.up", "up", "Start everything and keep it running."),
    "engine": LazyCommand("gex_pipeline.cli.engine", "engine", "Exposure from the live tape."),
    "levels": LazyCommand("gex_pipeline.cli.levels", "levels", "Exposure and levels of a chain."),
    "sql": LazyCommand("gex_pipeline.cli.sql", "sql", "One query over the committed data."),
    "verify": LazyCommand(
        "gex_pipeline.cli.verify", "verify_date", "Close the ledger of a session date."
    ),
    "repair": LazyCommand(
        "gex_pipeline.cli.repair", "repair_lake", "Build damaged parts again from the spool."
    ),
    "retention": LazyCommand(
        "gex_pipeline.cli.retention", "retention", "Report or remove day files past their time."
    ),
    "stream": LazyCommand("gex_pipeline.cli.stream", "stream", "Stream market data onto the tape."),
    "simulate": LazyCommand(
        "gex_pipeline.cli.simulate", "simulate", "Run a simulated market that speaks Schwab."
    ),
    "replay": LazyCommand("gex_pipeline.cli.replay", "replay", "A recorded session again."),
    "control": LazyCommand(
        "gex_pipeline.cli.control", "control", "Pause, resume, seek, step, speed or stop a replay."
    ),
    "serve": LazyCommand("gex_pipeline.cli.serve", "serve", "The API and the page."),
    "auth": LazyCommand(
        "gex_pipeline.cli.auth", "auth", "Sign in at Schwab; see that the sign-in lives."
    ),
    "open": LazyCommand("gex_pipeline.cli.open", "open_page", "A link that opens the page once."),
    "keys": LazyCommand("gex_pipeline.cli.keys", "keys", "Make, list and revoke API keys."),
    "doctor": LazyCommand("gex_pipeline.cli.doctor", "doctor", "Check settings and installation."),
    "bench": LazyCommand("gex_pipeline.cli.bench", "bench", "Measure against the stated limits."),
}

gex: Final = LazyGroup(
    name="gex",
    lazy_commands=COMMANDS,
    help="Live gamma exposure (GEX) that says how sure it is.\n\nExample: gex levels chain.csv",
)


def main() -> NoReturn:
    """Run the command line and exit.

    Exit codes: 0 done, 1 the answer is bad, 2 wrong usage or input, 3 needs a person.
    """
    _pin_numeric_threads()
    with quiet_pipe():
        try:
            gex.main(prog_name="gex")
        finally:
            sys.stdout.flush()
    raise AssertionError("click's main always exits")


def _pin_numeric_threads() -> None:
    """Keep numeric libraries on one thread, unless the user chose another number.

    Our arrays are small. With two BLAS threads on two busy cores, a profile took 40 times as long,
    because each thread waits for the other to be scheduled. Must run before numpy is imported.
    """
    for library in ("OPENBLAS", "OMP", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
