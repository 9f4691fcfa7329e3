"""What goldenbench is told; the service imports this too, so it is where its SQLite disk can be made full."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from studies.datasets.registry import DatasetInfo
from studies.models.registry import ModelInfo

PAGES = "CHAOS_SQLITE_PAGES"
"""Environment variable: a file that says how many pages SQLite may have, while it exists."""
UNLIMITED = 0xFFFFFFFE

MODEL = ModelInfo(
    name="chaos-linear",
    title="One linear layer that takes its time, and kills its worker where it is told to",
    factory="chaos_plugin.network:Linear",
    learnables_28x28x10=28 * 28 * 10 + 10,
    source="written for the chaos tests",
)
DATASET = DatasetInfo(
    name="chaos-spots",
    title="120 images of 4 x 4 with a bright spot (computed)",
    source="computed by chaos_plugin.spots",
    licence="CC0 1.0",
    image_shape=(4, 4),
    classes=3,
    images=120,
    is_paper_data=False,
    note="not the paper's data: computed spots",
    grouped=False,
    maker="chaos_plugin.spots:make",
)
BROKEN = replace(DATASET, name="chaos-nothing", title="images that cannot be had", maker="chaos_plugin.spots:refuse")


def _limit_pages(connection: Any, _record: Any, _proxy: Any) -> None:
    """SQLite keeps the limit per connection, so it is set whenever one is taken from the pool."""
    file = Path(os.environ[PAGES])
    pages = int(file.read_text()) if file.exists() else UNLIMITED
    connection.execute(f"PRAGMA max_page_count={pages}")


if PAGES in os.environ:
    sa.event.listen(sa.engine.Engine, "checkout", _limit_pages)
