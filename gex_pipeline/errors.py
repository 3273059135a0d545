"""Every deliberate error of the project: one tree, each message a fact and its cure.

GexError
├─ BenchInvalidError       a bench whose figures mean nothing
├─ HotStoreError           the hot store cannot be started or reached
├─ TapeError               the tape in the hot store is not the one that we write
├─ SpoolError              the spool cannot be used
│  ├─ SpoolHeldError       another process owns it
│  └─ SpoolFullError       neither disk nor memory takes more
├─ LakeError               the chain of a tape's parts is broken
│  ├─ LakeDiskError        the disk did not confirm a commit
│  ├─ LakeFileError        a file does not hold what it should
│  ├─ LakeVersionError     a newer release wrote a part of it
│  └─ LakeDamagedError     a file of it is not what was written
├─ LeaseHeldError          another process runs the service
├─ SessionHeldError        another process runs the replay of that id
├─ ServiceError            a service that does not start, or does not stay
├─ SimulatorError          the simulator's folder cannot be used
│  ├─ SimulatorHeldError   another simulator owns it
│  └─ SimulatorStateError  its saved clock cannot be read
├─ LibraryError            a vendor's library that works in another way than the known one
├─ FeedError               a source that fails for now
│  ├─ FeedClosedError      the stream's connection is of no more use
│  ├─ FeedTakenError       another program took the vendor's one stream
│  └─ SignInError          only a person can go on                exit code 3
│     └─ ConsentError      the consent page's answer signs nobody in
├─ UnavailableError        an answer that cannot be given now, with the reason
└─ InputError              what was given cannot be used            exit code 2
   ├─ ChainFileError       not a chain file that we read
   ├─ ScriptError          nothing that can happen to the simulated market
   ├─ MomentError          nothing says when the quotes were taken
   ├─ ContractError        not an option contract's symbol
   ├─ SymbolError          not a symbol that we know
   ├─ NotServedError       a symbol without figures here
   │  ├─ NoIndexError      a future that follows no index with options
   │  └─ NotFrontError     a futures contract that is not the front one
   ├─ NoDataError          a symbol of which nothing has arrived
   ├─ LakeRootError        a place that day files cannot go to
   ├─ ReplayError          nothing in the lake to be replayed
   ├─ SessionError         a replay that cannot do what it is asked
   │  ├─ NoSessionError    no replay of that id
   │  └─ SessionOverError  it has ended
   ├─ NotTakenError        a stream that is asked back and was not taken
   ├─ DeclinedError        something that a running service does not do, and why
   ├─ TooOftenError        something that is asked for too often
   ├─ ApiKeyError          no API key of that id
   ├─ KeyFileError         a key file that cannot be read
   ├─ PortError            an address that cannot be listened on
   ├─ CalendarError        a date outside the trading calendar
   ├─ CodecError           bytes that are not one of our events
   ├─ FrameError           bytes that are not one of our frames
   ├─ ConventionError      no convention, scope or setting of that name
   ├─ NoLakeError          a folder without a lake
   ├─ NoTableError         a table that the lake does not have
   ├─ BenchError           the benches are not installed
   └─ SettingsError        environment that does not make valid settings
"""

from collections.abc import Iterable, Sequence
from typing import Final


class GexError(Exception):
    """Root of all errors that the project raises on purpose; `exit_code` is the command's."""

    exit_code = 1


class BenchInvalidError(GexError):
    """The run measured something, but not what the bench compares."""

    def __init__(self, fact: str) -> None:
        super().__init__(f"This run does not count: {fact}. Run it again on an idle machine.")


class SimulatorError(GexError):
    """The simulator's folder cannot be used."""


class SimulatorHeldError(SimulatorError):
    """One simulator at a time owns a folder."""

    def __init__(self, folder: str) -> None:
        super().__init__(
            f"Another simulator is running on {folder}."
            " Stop it first, or choose another folder by GEX_DATA_DIR."
        )


class SimulatorStateError(SimulatorError):
    """The saved clock is not one of ours."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(
            f"The simulator's clock in {path} cannot be read ({problem})."
            " Remove that file: a new session then opens at 09:31."
        )


class UnavailableError(GexError):
    """An answer that cannot be given now; `reason` is one word for programs."""

    def __init__(self, reason: str, fact: str, cure: str) -> None:
        self.reason = reason
        super().__init__(f"{fact} {cure}".rstrip())


class LakeError(GexError):
    """What lies in the lake is no unbroken chain; nothing is added to it until that is mended."""

    def __init__(self, tape: str, problem: str) -> None:
        super().__init__(
            f"The parts of tape {tape} are no unbroken chain: {problem}. Nothing was skipped."
            " Put back what is missing, or move what lies beyond it out of lake/_intraday."
        )


class LakeVersionError(LakeError):
    """A newer release wrote this part of the lake; an older one would misread it."""

    def __init__(self, file: str, version: int, ours: int) -> None:
        GexError.__init__(
            self,
            f"{file} is of lake schema {version}, and this release knows {ours} at most."
            " Update gex-pipeline to the release that wrote it.",
        )


class LakeDamagedError(LakeError):
    """A damaged file was met while its rows were being given out."""

    def __init__(self, files: Sequence[str]) -> None:
        GexError.__init__(
            self,
            f"The answer is cut short by a damaged file: {'; '.join(files)}."
            " Ask again with every file checked first (gex sql --check): it is left out then, and"
            " named.",
        )


class LakeDiskError(LakeError):
    """The disk refused to keep what was committed; nothing is deleted on the strength of it."""

    def __init__(self, folder: str, reason: str) -> None:
        GexError.__init__(
            self,
            f"The disk did not confirm a commit in {folder} ({reason}). The tape and the spool keep"
            " everything from here on. Check the disk (dmesg), then start the machine again:"
            " what is on disk then is what counts.",
        )


class LakeFileError(LakeError):
    """A file of the lake does not hold what it should; nothing was built on it."""

    def __init__(self, file: str, problem: str) -> None:
        GexError.__init__(
            self,
            f"{file}: {problem}. Nothing was committed from it, nothing was removed."
            " Check the disk, then rebuild the part from the spool: gex repair",
        )


class ServiceError(GexError):
    """A process that we start does not do its work."""

    def __init__(self, service: str, fact: str, log: str) -> None:
        super().__init__(f"{service} {fact}. Its own words stand at the end of {log}.")


class LeaseHeldError(GexError):
    """Another process runs the service, or has taken it over."""

    def __init__(self, service: str) -> None:
        super().__init__(f"Another {service} holds the lease. Stop that one first.")


class HotStoreError(GexError):
    """The server of the hot store cannot be started, adopted or reached."""

    def __init__(self, fact: str, cure: str) -> None:
        super().__init__(f"The hot store is not usable: {fact}. {cure}")


class TapeError(GexError):
    """What stands on the tape is not what our spool holds; going on would mix two owners."""

    def __init__(self, tape: str, fact: str) -> None:
        super().__init__(
            f"The tape {tape} was written by somebody else: {fact}. See that one process alone"
            " writes it, then restart that one: it goes on under a number of its own."
        )


class SpoolError(GexError):
    """The spool folder cannot be used as it is."""


class SpoolHeldError(SpoolError):
    """Another process owns the spool folder."""

    def __init__(self, folder: str) -> None:
        super().__init__(
            f"The spool {folder} belongs to a process that runs. Stop that process first."
        )


class SpoolFullError(SpoolError):
    """Neither the disk nor the memory set aside takes another frame."""

    def __init__(self, folder: str, reason: str) -> None:
        super().__init__(
            f"The spool {folder} cannot be written ({reason}) and its reserve in memory is full."
            " Free disk space or repair the disk."
        )


class LibraryError(GexError):
    """A library that a source needs is installed in a version that works in another way."""

    def __init__(self, fact: str, cure: str) -> None:
        super().__init__(f"{fact}. {cure}.")


class FeedError(GexError):
    """A source fails for now; what asked for it tries again."""

    AGAIN: Final = "It is tried again by itself."

    def __init__(self, reason: str, cure: str = AGAIN) -> None:
        self.reason = reason
        self.cure = cure
        super().__init__(f"{reason}. {cure}")


class FeedClosedError(FeedError):
    """The stream's connection is of no more use; a new one is opened."""


class FeedTakenError(FeedError):
    """Another program opened the vendor's one stream; ours does not fight for it."""

    def __init__(self, said: str) -> None:
        super().__init__(
            f"Schwab gave the stream to another program ({said})",
            "A user has one stream: stop that program, then: gex control reconnect streamer.",
        )


class SignInError(FeedError):
    """The vendor knows us no more; only a person can sign in again."""

    exit_code = 3

    def __init__(self, fact: str, cure: str = "Sign in again: gex auth login") -> None:
        super().__init__(fact, cure)


class ConsentError(SignInError):
    """What came back from the vendor's consent page does not sign anybody in."""


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


class ScriptError(InputError):
    """What should happen to the simulated market is none of what can."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"The simulator's script cannot be used: {problem}."
            " docs/commands.md lists what can happen."
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


class RequestError(InputError):
    """A question that the vendor would refuse; it is not asked."""

    def __init__(self, fact: str, cure: str) -> None:
        super().__init__(f"{fact}. {cure}.")


class ChainSymbolError(RequestError):
    """Something that Schwab has no option chain of."""

    def __init__(self, symbol: str, proxy: str | None) -> None:
        future = symbol.startswith((".", "/"))
        fact = f"Schwab has no option chain of {symbol}"
        if future:
            fact = f"Schwab has no chain of futures options, and so none of {symbol}"
        cure = "Name a share, fund or index instead"
        if proxy:
            cure = f"Name {proxy} instead: its levels are shown at the prices of {symbol} too"
        super().__init__(fact, cure)


class UnknownSymbolError(InputError):
    """A symbol that is well spelt and that the vendor does not know."""

    def __init__(self, symbol: str, source: str) -> None:
        super().__init__(
            f"{source} knows no {symbol}. Look up its name there; an option that has expired or is"
            " not listed yet has no quote."
        )


class SwitchedOffError(InputError):
    """Something that a setting switches on, and it is off."""

    def __init__(self, what: str, setting: str) -> None:
        super().__init__(f"{what} is switched off. Set {setting} and start serving again.")


class NotServedError(InputError):
    """The symbol is one, but no figures of it are computed here."""

    def __init__(self, symbol: str, served: tuple[str, ...], *, index: str = "") -> None:
        missing = f"{index}, whose levels {symbol} shows," if index else symbol
        super().__init__(
            f"{missing} is not served here; {', '.join(served)} are."
            f" Add {index or 'it'} to GEX_SYMBOLS and start again."
        )


class OfIndexError(InputError):
    """Something that is answered of an index and not at the prices of its futures."""

    def __init__(self, what: str, symbol: str, index: str) -> None:
        super().__init__(f"The {what} of {symbol} is that of {index}. Ask for {index}.")


class NoIndexError(NotServedError):
    """A future or view that no index with options stands a few points from."""

    def __init__(self, symbol: str, known: tuple[str, ...]) -> None:
        InputError.__init__(
            self, f"There are no levels of {symbol}. Ask for one of {', '.join(known)}."
        )


class NotFrontError(NotServedError):
    """A futures contract whose basis is not measured, because it is not the front one."""

    def __init__(self, contract: str, root: str, front: str | None) -> None:
        stands = f"{root} is {front} now" if front else f"nobody said what {root} is"
        InputError.__init__(
            self, f"{contract} is not the front contract: {stands}. Ask for {root}."
        )


class NoDataError(InputError):
    """Nothing of the symbol is in the hot store."""

    def __init__(self, what: str, symbol: str) -> None:
        super().__init__(
            f"No {what} of {symbol} has arrived."
            " Streamed are the symbols of GEX_SYMBOLS with their futures, from the open on."
        )


class NotRecordedError(NoDataError):
    """The lake does not hold the moment that is asked for."""

    def __init__(self, symbol: str, moment: str, held: str) -> None:
        super(NoDataError, self).__init__(
            f"The lake has no figures of {symbol} as of {moment}: {held}. Ask for a moment in it;"
            " what is newer comes with the next archive step."
        )


class InstantError(InputError):
    """The text names no moment of a market."""

    def __init__(self, text: str, first: str, last: str) -> None:
        super().__init__(
            f"{text[:40]!r} is no moment from {first} to {last}. Write an ISO time, New York's"
            " without an offset, as in 2026-11-20T10:00; or UTC nanoseconds."
        )


class TooMuchError(InputError):
    """The answer would have more rows than are given at once."""

    def __init__(self, most: int) -> None:
        super().__init__(
            f"The answer has more than {most:,} rows. Ask for a shorter time or a wider interval."
        )


class NotTakenError(InputError):
    """The stream is asked for again, and nobody took it."""

    def __init__(self) -> None:
        super().__init__("No other program has the stream. There is nothing to take back.")


class DeclinedError(InputError):
    """A running service was asked for something and does not do it; the words are its own."""


class TooOftenError(InputError):
    """Something was asked for more often than is sensible."""

    def __init__(self, what: str, retry_after_s: int) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(f"{what} were begun too often. Wait {retry_after_s} s and begin again.")


class ApiKeyError(InputError):
    """There is no API key of that id."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"There is no key {key_id!r}. List the keys: gex keys list")


class KeyFileError(InputError):
    """The file of the API keys is damaged or out of reach."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"{path} cannot be read ({reason}). Restore it from a copy, or remove it and make"
            " new keys: gex keys create"
        )


class PortError(InputError):
    """The address cannot be listened on."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(
            f"Cannot listen on {host}:{port} ({reason}). Choose another address: --host, --port."
        )


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


class FrameError(InputError):
    """The bytes are no frame of a tape."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"This is no frame of a tape: {reason}.")


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
        super().__init__("\n".join(problems))


class LakeRootError(InputError):
    """Day files cannot go where GEX_LAKE_ROOT says."""

    def __init__(self, root: str) -> None:
        super().__init__(
            f"GEX_LAKE_ROOT is {root}, and day files go to a mounted folder only: object stores"
            " are not written yet. Name an absolute path, or leave it unset."
        )


class QueryError(InputError):
    """The lake cannot answer this."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The lake cannot answer this: {reason}. It takes one SELECT over its tables, as in:"  # noqa: S608 # an example for a person
            ' gex sql "select count(*) from trades"'
        )


class NoLakeError(InputError):
    """A folder without a lake in it."""

    def __init__(self, root: str, simulated: str | None) -> None:
        cure = (
            f"The simulated one is in {simulated}."
            if simulated
            else "Name the folder that holds lake/: GEX_DATA_DIR, or its sim/ for a simulated run."
        )
        super().__init__(f"There is no lake in {root}. {cure}")


class NoTableError(InputError):
    """A table that the lake does not have."""

    def __init__(self, name: str, tables: Iterable[str]) -> None:
        super().__init__(f"The lake has no table {name}. It has {', '.join(tables)}.")


class StartError(InputError):
    """What was asked for would not start what was meant."""

    def __init__(self, fact: str, cure: str) -> None:
        super().__init__(f"{fact[0].upper()}{fact[1:]}. {cure}.")


class ReplayError(InputError):
    """The lake holds nothing of what is to be replayed."""

    def __init__(
        self, day: str, dates: tuple[str, ...], symbols: tuple[str, ...], place: str = "lake"
    ) -> None:
        held = f"It holds {dates[0]} to {dates[-1]}" if dates else "It holds nothing yet"
        super().__init__(
            f"The {place} has no tape of {day} that feeds {', '.join(symbols)}. {held}."
            " Choose another date, or other --symbols."
        )


class SessionError(InputError):
    """There is no replay of that id, or it does not take part."""

    def __init__(self, fact: str, cure: str) -> None:
        super().__init__(f"{fact} {cure}")


class NoSessionError(SessionError):
    """There is no replay of that id."""

    def __init__(self, session: str, known: tuple[str, ...]) -> None:
        there = f"There are: {', '.join(known)}." if known else "There is none at the moment."
        super().__init__(
            f"There is no replay {session!r}. {there}", "Start one: gex replay 2026-11-20"
        )


class SessionOverError(SessionError):
    """The replay has ended; nobody is there to do anything."""

    def __init__(self, session: str, day: str) -> None:
        super().__init__(
            f"The replay {session} runs no more.",
            f"Start it again: gex replay {day} --session {session}",
        )


class SessionHeldError(GexError):
    """Another process runs the replay of that id."""

    def __init__(self, session: str) -> None:
        super().__init__(
            f"The replay {session} runs already. Stop it first (gex control stop {session}),"
            " or choose another id: --session"
        )
