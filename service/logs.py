"""Log lines on standard error: for a person to read, or as JSON for what collects them.

A line about a pack carries `study`, `pack` and `attempt`, one about a study `study`, so that what happened to either
can be looked up.
"""

import logging
import os
import sys
from typing import Any

import structlog
from structlog.typing import Processor

from service.errors import SetupError

LEVEL = "GOLDENBENCH_LOG"
"""Environment variable: the least level that is logged."""
FORMAT = "GOLDENBENCH_LOG_FORMAT"
"""Environment variable: `console` or `json`, one object for each line."""
LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("console", "json")
HANDLER = "goldenbench"
"""Name of our handler among those of the standard library's root logger."""


def configure_logs() -> None:
    """Send our own lines and the libraries' warnings to standard error, in one format.

    Call it once the libraries are imported: some set up handlers of their own, which are taken away from them.

    Raises:
        SetupError: an unknown level or format.
    """
    level = logging.getLevelNamesMapping()[_chosen(LEVEL, LEVELS, "warning").upper()]
    renderer = _renderer(_chosen(FORMAT, FORMATS, "console"))
    stamped: list[Processor] = [structlog.processors.add_log_level, structlog.processors.TimeStamper("iso")]
    structlog.configure(
        processors=[*stamped, *renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.set_name(HANDLER)
    handler.setLevel(max(level, logging.WARNING))
    remove_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    named = structlog.stdlib.add_logger_name
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*stamped, named], processors=[remove_meta, *renderer], use_get_message=True
        )
    )
    _take_over(handler)


def _chosen(variable: str, known: tuple[str, ...], otherwise: str) -> str:
    value = os.environ.get(variable, otherwise).lower()
    if value not in known:
        raise SetupError(f"{variable} must be one of {', '.join(known)}, not {value[:40]!r}")
    return value


def _renderer(form: str) -> list[Processor]:
    """What makes a line of an event; neither shows the local variables of a traceback, passwords among them."""
    if form == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    plain: Any = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]


def _take_over(handler: logging.Handler) -> None:
    """Make every logger of the standard library end in one handler."""
    root = logging.getLogger()
    for name, logger in root.manager.loggerDict.items():
        if isinstance(logger, logging.Logger) and logger.handlers and not logger.propagate:
            logging.getLogger(name).handlers.clear()
            logger.propagate = True
    for old in [one for one in root.handlers if one.get_name() == HANDLER]:
        root.removeHandler(old)
    root.addHandler(handler)
