"""Which pictures there are, and in which forms."""

from typing import Literal

Kind = Literal["heatmap", "curves", "ridge"]
Form = Literal["svg", "png"]
MEDIA_TYPES: dict[Form, str] = {"svg": "image/svg+xml", "png": "image/png"}
