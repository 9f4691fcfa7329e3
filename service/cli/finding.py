"""What `goldenbench doctor` says of one thing."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    state: Literal["good", "note", "bad"]
    """`note`: not as good as it could be, but nothing is broken."""
    told: str
