"""Cursors of paged lists: opaque to the user, checked when they come back."""

import base64
import json
from typing import Any

from service.errors import Invalid
from studies.fields import Problem

LARGEST = 2**31 - 1
"""Of a position's parts; PostgreSQL refuses a larger one with an error."""


def encode(*position: int) -> str:
    """The cursor behind a position."""
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def decode(cursor: str | None, parts: int) -> tuple[int, ...] | None:
    """The position a cursor stands for; None without one.

    Raises:
        Invalid: it is not one that this list gave out.
    """
    if cursor is None:
        return None
    try:
        position: Any = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if [type(part) for part in position] != [int] * parts or not all(0 <= part <= LARGEST for part in position):
            raise ValueError
    except (ValueError, TypeError, RecursionError):
        raise Invalid([Problem("cursor", "must be the `next` of an earlier page of this list")]) from None
    return tuple(position)
