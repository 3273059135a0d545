"""What a script makes of the streamer's requests and of its connections."""

from collections.abc import Iterator

from gex_pipeline.simulator.act import Act
from gex_pipeline.simulator.frames import FAILED, Frame, Request, answer_frame
from gex_pipeline.simulator.mishaps import (
    Asked,
    Deny,
    Echo,
    Evict,
    Mute,
    Notice,
    Refuse,
    Tear,
)
from gex_pipeline.simulator.script import Script
from gex_pipeline.simulator.services import ADMIN


class Faults:
    """Asked by conversations and connections; without an act of theirs all is as usual."""

    def __init__(self, script: Script) -> None:
        self._script = script

    def denies(self, ts_ns: int) -> bool:
        """Whether a sign-in is refused."""
        return self._script.runs(Deny, ts_ns)

    def loses(self, request: Request, ts_ns: int) -> bool:
        """Whether a request is neither answered nor carried out."""
        return any(_means(act, request) for act in self._script.running(Mute, ts_ns))

    def refusal(self, request: Request, ts_ns: int) -> Refuse | None:
        """Return what a request is answered with; None: as usual."""
        acts = self._script.running(Refuse, ts_ns)
        return next((act for act in acts if _means(act, request)), None)

    def answers(self, frame: Frame, ts_ns: int) -> Iterator[Frame]:
        """Yield an answer, as often as it is sent."""
        if self._script.runs(Echo, ts_ns):
            yield Frame(frame.data, frame.ts_ns)
        yield frame

    def strikes(self, after_ns: int, until_ns: int) -> Iterator[Act]:
        """Yield what hits the connection of the moment, in order: notices and tears."""
        return self._script.begun((Notice, Evict, Tear), after_ns, until_ns)


def refused(request: Request, act: Refuse, ts_ns: int) -> Iterator[Frame]:
    """Yield the answers of a refusal."""
    second = FAILED.get(request.command) if act.twice else None
    yield answer_frame(request, act.code, ts_ns, last=act.closes() and second is None)
    if second is not None:
        yield answer_frame(request, second, ts_ns, last=act.closes())


def _means(act: Asked, request: Request) -> bool:
    if act.service and act.service != request.service:
        return False
    if act.command:
        return act.command == request.command
    return bool(act.service) or request.service != ADMIN
