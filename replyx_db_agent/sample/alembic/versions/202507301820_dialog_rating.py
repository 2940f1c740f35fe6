"""Add the rating that a customer gives when a dialog closes.

Nullable and without a default, so no row is touched. The check comes NOT VALID in the same
statement: no row can break it, but proving that needs a scan, which the next revision makes
without blocking anyone.

Revision ID: 202507301820
Revises: 202507081515
Create Date: 2025-07-30 18:20:00+00:00
"""

from alembic import op

revision = "202507301820"
down_revision = "202507081515"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(
        "ALTER TABLE dialogs ADD COLUMN rating smallint, "
        "ADD CONSTRAINT ck_dialogs_rating_range CHECK (rating >= 1 AND rating <= 5) NOT VALID"
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_column("dialogs", "rating")
