"""Looks that an extension costs, and the state of a race."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("gb_studies", sa.Column("looks", sa.Integer(), server_default="1", nullable=False))
    op.add_column("gb_studies", sa.Column("race_runs", sa.Integer(), nullable=True))
    op.add_column("gb_cells", sa.Column("dropped_after", sa.Integer(), nullable=True))
