"""A log as lines of JSON, for programs that collect them: one object a line, secrets masked.

Times are those of RFC 3339, in UTC; the JSON is that of RFC 8259, in ASCII.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from softphone.diagnostics.redact import mask


def log_line(
    *,
    level: str,
    logger: str,
    message: str,
    created: float | None = None,
    exception: str | None = None,
    hint: str = "",
) -> str:
    """One line without its end; `created` is seconds since 1970 (else now), `hint` advice."""
    time = datetime.now(UTC) if created is None else datetime.fromtimestamp(created, UTC)
    fields = {
        "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": level,
        "logger": logger,
        "message": mask(message),
        "exception": None if exception is None else mask(exception),
    }
    if hint:
        fields["hint"] = mask(hint)
    return json.dumps(fields)


def exception_text(record: logging.LogRecord) -> str | None:
    """The traceback of a record; None without one."""
    found = record.exc_info
    if not found or found[0] is None:
        return None
    return logging.Formatter().formatException(found)


class JsonFormatter(logging.Formatter):
    """Formats each record as one JSON object on a line: time, level, logger, message, exception.

    Secrets are masked, in exceptions and their texts, too.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON without secrets."""
        return log_line(
            created=record.created,
            level=record.levelname.lower(),
            logger=record.name,
            message=record.getMessage(),
            exception=exception_text(record),
        )
