"""What can happen to the market besides the usual, and the JSON of all that can happen."""

import datetime
from typing import Final, get_args

import msgspec

from gex_pipeline.errors import ScriptError
from gex_pipeline.simulator.act import Act
from gex_pipeline.simulator.mishaps import Mishap


class Jump(Act, frozen=True):
    """All prices move by a percentage; options follow after a delay. At its end they move back."""

    percent: float
    delay_s: float = 0.0


class Freeze(Act, frozen=True):
    """No quote changes any more; heartbeats go on."""


class Halt(Act, frozen=True):
    """Nothing is said of these indexes, funds or futures any more."""

    symbols: tuple[str, ...]


class Basis(Act, frozen=True):
    """These futures cost so many points more."""

    symbols: tuple[str, ...]
    points: float


class Roll(Act, frozen=True):
    """The next contract of these futures becomes the front one."""

    symbols: tuple[str, ...] = ("/ES", "/MES", "/NQ", "/MNQ")


class Contracts(Act, frozen=True):
    """Calls and puts of one expiry and root."""

    symbol: str
    expiry: datetime.date
    root: str
    strikes: tuple[float, ...] = ()


class Enlist(Contracts, frozen=True):
    """These are listed from then on, until they expire; `deliverable` shares each: adjusted."""

    deliverable: float = 100.0


class Delist(Contracts, frozen=True):
    """These are listed no more; without strikes, none of that expiry and root."""


AnyAct = Jump | Freeze | Halt | Basis | Roll | Enlist | Delist | Mishap
VERBS: Final = tuple(kind.__name__.lower() for kind in get_args(AnyAct))


def read_script(data: bytes) -> list[AnyAct]:
    """Return the acts of a script's JSON.

    Raises:
        ScriptError: it is no list of acts.
    """
    try:
        return msgspec.json.decode(data, type=list[AnyAct])
    except msgspec.MsgspecError as error:
        raise ScriptError(str(error)) from error


def read_act(verb: str, data: bytes) -> AnyAct:
    """Return the one act of a verb whose other fields are a JSON object; b"": none.

    Raises:
        ScriptError: they are not that verb's.
    """
    try:
        fields = msgspec.json.decode(data or b"{}", type=dict[str, object])
        act: AnyAct = msgspec.convert(fields | {"verb": verb}, type=AnyAct)
    except msgspec.MsgspecError as error:
        raise ScriptError(str(error)) from error
    return act
