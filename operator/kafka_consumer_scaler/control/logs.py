"""Structured logs: one JSON object a line, or text for people."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

from kafka_consumer_scaler.api.rules import one_line

LONGEST = 4096
"""Characters of a message that are shown."""
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def extras(record: logging.LogRecord) -> dict[str, Any]:
    """What the caller gave as `extra`."""
    return {key: value for key, value in vars(record).items() if key not in STANDARD}


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message and the caller's fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; control characters in foreign words come out escaped."""
        entry = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **extras(record),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str).replace("\x7f", "\\u007f")


class Text(logging.Formatter):
    """`12:00:03 info  ScaledUp ... namespace=shop scaler=orders`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; control characters in foreign words come out escaped."""
        fields = "".join(f" {key}={value!r}" for key, value in extras(record).items())
        message = one_line(record.getMessage(), LONGEST)
        head = f"{self.formatTime(record, '%H:%M:%S')} {record.levelname.lower():7} {message}{fields}"
        return f"{head}\n{self.formatException(record.exc_info)}" if record.exc_info else head


def set_up(log_format: str, level: str) -> None:
    """Log to stderr. Kopf tells of every object it sees; its warnings are enough."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if log_format == "json" else Text())
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("kopf").setLevel(logging.WARNING)
    # It runs in a thread, on purpose, and warns that it therefore gets no signals.
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)
