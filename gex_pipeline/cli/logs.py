"""Log lines of a service, on standard error: text for a terminal, JSON for a collector."""

import json
import logging
import sys

_QUIET = ("httpx", "httpcore", "websockets", "schwab", "asyncio")
"""Libraries whose own stories nobody asked for below a warning."""


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON."""
        fields = {
            "ts": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)


def log_to_stderr(level: str, form: str) -> None:
    """Send the log there; `form` is text, json or auto: text on a terminal, json elsewhere."""
    handler = logging.StreamHandler()
    as_text = form == "text" or (form == "auto" and sys.stderr.isatty())
    text = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    handler.setFormatter(text if as_text else JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
