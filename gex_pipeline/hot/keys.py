"""Names in the hot store: one namespace, every key of a subject in one hash slot."""

import msgspec

DAY_S = 86_400
SNAPSHOT_TTL_S = 4 * DAY_S
"""Of `gex:` and `chain:`: a closed market still has an answer after a long weekend."""
MARKET_TTL_S = 4 * DAY_S
"""Of `last:`, `ticks:`, `depth:` and `gexring:`."""
OPTIONS_TTL_S = 3_600
"""Of `options:`, whose deltas are minutes old."""
STATUS_TTL_S = DAY_S
CLOCK_TTL_S = 30 * DAY_S
RATE_TTL_S = 120
USAGE_TTL_S = 40 * DAY_S


class Keys(msgspec.Struct, frozen=True):
    """The keys and channels of one namespace.

    `prefix` is "" live, "sim:" simulated and "replay:<id>:" replayed. Symbols are canonical. The
    two channels of market data have names of their own, which stand behind the prefix.
    """

    prefix: str = ""
    tick_name: str = "market_data:ticks"
    level2_name: str = "market_data:level2"

    def tape(self, tape: str) -> str:
        """Stream of frames, id `<epoch>-<last seq>`; a tape is `<source>.<calendar>`."""
        return f"{self.prefix}tape:{{{tape}}}"

    def last(self, symbol: str) -> str:
        """Hash of the newest `trade` and `quote`, JSON."""
        return f"{self.prefix}last:{{{symbol}}}"

    def ticks(self, symbol: str) -> str:
        """Stream of the trades and quotes of a symbol that is no option."""
        return f"{self.prefix}ticks:{{{symbol}}}"

    def options(self, symbol: str) -> str:
        """Stream of the option quotes of an underlying."""
        return f"{self.prefix}options:{{{symbol}}}"

    def depth(self, symbol: str) -> str:
        """Newest level-2 book, JSON."""
        return f"{self.prefix}depth:{{{symbol}}}"

    def chain(self, symbol: str) -> str:
        """Option chain of an underlying with its tape positions."""
        return f"{self.prefix}chain:{{{symbol}}}"

    def gex(self, symbol: str, scope: str) -> str:
        """Newest exposure snapshot of a scope; the channel of the same name carries each."""
        return f"{self.prefix}gex:{{{symbol}}}:{scope}"

    def gexring(self, symbol: str) -> str:
        """Stream of vectors per strike."""
        return f"{self.prefix}gexring:{{{symbol}}}"

    def basis(self, symbol: str) -> str:
        """Newest basis of an index's futures, JSON; the channel of the same name carries each."""
        return f"{self.prefix}basis:{{{symbol}}}"

    def resume(self, tape: str) -> str:
        """Position on a tape behind which the engine, started again, reads on."""
        return f"{self.prefix}resume:{{{tape}}}"

    def confidence(self, symbol: str) -> str:
        """Stream of an underlying's changes of confidence level, as they were published."""
        return f"{self.prefix}confidence:{{{symbol}}}"

    def clock(self) -> str:
        """Hash of the namespace's market clock."""
        return f"{self.prefix}clock"

    def mode(self) -> str:
        """Mode marker: real or simulated."""
        return f"{self.prefix}mode"

    def instance(self) -> str:
        """Which checkout the server belongs to."""
        return f"{self.prefix}instance"

    def status(self, service: str) -> str:
        """Hash of a service's heartbeat and counters."""
        return f"{self.prefix}status:{service}"

    def lease(self, service: str) -> str:
        """Owner of a service: `<fencing number>:<owner token>`."""
        return f"{self.prefix}lease:{{{service}}}"

    def fence(self, service: str) -> str:
        """Newest fencing number that a service's lease was given."""
        return f"{self.prefix}lease:{{{service}}}:fence"

    def wanted(self, service: str) -> str:
        """Hash: what of a service should run."""
        return f"{self.prefix}wanted:{service}"

    def control(self, service: str) -> str:
        """Stream of requests to a service and their answers."""
        return f"{self.prefix}control:{service}"

    def signin(self, once: str) -> str:
        """Address that a person pasted to finish a sign-in, until the streamer takes it."""
        return f"{self.prefix}signin:{once}"

    def session(self) -> str:
        """What a replay says of itself, JSON; the channel of the same name carries each word."""
        return f"{self.prefix}session"

    def apikey(self, key_id: str) -> str:
        """Hash of an API key: digest, scopes, life."""
        return f"{self.prefix}apikey:{key_id}"

    def rate(self, key_id: str) -> str:
        """Requests of an API key that count against its limit."""
        return f"{self.prefix}rate:{key_id}"

    def usage(self, key_id: str) -> str:
        """Use of an API key."""
        return f"{self.prefix}usage:{key_id}"

    def alerts(self) -> str:
        """Stream of alerts."""
        return f"{self.prefix}alerts"

    @property
    def ticks_channel(self) -> str:
        """Channel of TickEvents, one JSON object a message."""
        return f"{self.prefix}{self.tick_name}"

    @property
    def level2_channel(self) -> str:
        """Channel of Level2Events, one JSON object a message."""
        return f"{self.prefix}{self.level2_name}"
