"""Every deliberate error of the project: one tree, each message a fact and its cure.

GexError
├─ BenchInvalidError       a bench whose figures mean nothing
└─ InputError              what was given cannot be used            exit code 2
   ├─ ChainFileError       not a chain file that we read
   ├─ MomentError          nothing says when the quotes were taken
   ├─ ContractError        not an option contract's symbol
   ├─ SymbolError          not a symbol that we know
   ├─ CalendarError        a date outside the trading calendar
   ├─ CodecError           bytes that are not one of our events
   ├─ ConventionError      no convention, scope or setting of that name
   ├─ BenchError           the benches are not installed
   └─ SettingsError        environment that does not make valid settings
"""


class GexError(Exception):
    """Root of all errors that the project raises on purpose; `exit_code` is the command's."""

    exit_code = 1


class BenchInvalidError(GexError):
    """The run measured something, but not what the bench compares."""

    def __init__(self, fact: str) -> None:
        super().__init__(f"This run does not count: {fact}. Run it again on an idle machine.")


class InputError(GexError):
    """What the caller gave cannot be used."""

    exit_code = 2


class ChainFileError(InputError):
    """The file is not an option chain that we can read."""

    def __init__(self, found: str) -> None:
        super().__init__(
            "Expected a Cboe quote table (CSV or .dat), a Cboe option JSON or a Schwab chain JSON"
            f" with at least one usable row; found {found}."
        )


class MomentError(InputError):
    """Nothing says, in a form that we read, when the quotes were taken."""

    def __init__(self, fact: str) -> None:
        super().__init__(
            f"{fact} Say when its quotes were taken, New York time: --as-of 2024-01-05T16:15"
        )


class ContractError(InputError):
    """The text names no option contract."""

    def __init__(self, text: str, expected: str) -> None:
        super().__init__(f"{text!r} is not an option contract. Expected {expected}.")


class SymbolError(InputError):
    """The text names no instrument."""

    def __init__(self, text: str, expected: str) -> None:
        super().__init__(f"{text!r} is not a symbol. Expected {expected}.")


class CalendarError(InputError):
    """The date lies outside the years that the trading calendar covers."""

    def __init__(self, day: str, first: str, last: str) -> None:
        super().__init__(
            f"{day} is outside the trading calendar ({first} to {last})."
            " Regenerate gex_pipeline/market/holidays.py for more years."
        )


class CodecError(InputError):
    """The bytes are no event of ours."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"These bytes are not an event of this version: {reason}.")


class ConventionError(InputError):
    """No convention, scope or choice of that name."""

    def __init__(self, kind: str, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"{kind} {name!r} is unknown. Known: {', '.join(known)}.")


class BenchError(InputError):
    """The benches are not part of the installed package."""

    def __init__(self) -> None:
        super().__init__(
            "The benches' peers and workloads are not installed."
            " Run it in a checkout of the project: make install, then .venv/bin/gex bench engine."
        )


class SettingsError(InputError):
    """The environment does not make valid settings."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))
