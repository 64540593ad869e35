"""What does the bot say about itself, and what may it never say?

Never logged, counted or put into an alert: what a person wrote, a name, a birth date, a token, a phone's identifier of a
chat.  Events carry our own numbers (delivery, escalation, enrolment) and names of kinds.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()

SENT = Counter("nudgebot_deliveries", "Deliveries by kind and how they ended", ["kind", "outcome"], registry=REGISTRY)
PLANNED = Counter("nudgebot_nudges_planned", "Nudges planned by what was chosen", ["what"], registry=REGISTRY)
INBOUND = Counter("nudgebot_inbound", "Updates taken in by kind", ["kind"], registry=REGISTRY)
QUARANTINED = Counter("nudgebot_inbound_quarantined", "Updates that could not be handled", registry=REGISTRY)
DISTRESS = Counter(
    "nudgebot_distress",
    "Messages the screen answered, by category and severity",
    ["category", "severity"],
    registry=REGISTRY,
)
LAST_POLL = Gauge("nudgebot_last_good_poll_seconds", "When Telegram last answered getUpdates", registry=REGISTRY)
JOB_SECONDS = Histogram("nudgebot_job_seconds", "How long each tick took", ["job"], registry=REGISTRY)

_TOKEN = re.compile(r"\d{6,}:[A-Za-z0-9_-]{20,}")  # without \b: in an address it follows the letters "bot"


class Redacting(logging.Formatter):
    """Takes tokens out of every line, tracebacks too: libraries print addresses, and ours carry the token."""

    def format(self, record: logging.LogRecord) -> str:
        return _TOKEN.sub("<token>", super().format(record))


def _redact(_: object, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    return {key: _TOKEN.sub("<token>", value) if isinstance(value, str) else value for key, value in event.items()}


def set_up_logging(level: str = "INFO") -> None:
    """Log lines to standard error: an event name and fields.

    The libraries that print request addresses or whole updates stay at WARNING: httpx shows the token at INFO, and
    python-telegram-bot prints people's words when parsing fails.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Redacting())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in (
        "httpx",
        "httpcore",
        "telegram",
        "aiohttp",
        "apscheduler",
        "aiosqlite",
        "sqlalchemy",
        "uvicorn",
        "alembic",
    ):
        logging.getLogger(name).setLevel(logging.WARNING)
    # PTB prints a whole update, people's words included, at CRITICAL when parsing fails; ours is parsed elsewhere.
    logging.getLogger("telegram.ext").setLevel(logging.CRITICAL + 1)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _redact,
            structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def log() -> Any:
    """The logger of events; `log().info("delivery.sent", delivery=7)`.  Ids and kinds only."""
    return structlog.get_logger()
