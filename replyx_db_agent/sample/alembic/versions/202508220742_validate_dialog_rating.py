"""Validate the check on the rating of dialogs.

VALIDATE reads the whole table but takes only SHARE UPDATE EXCLUSIVE: reads and writes go on. The
way back makes the check NOT VALID again, as the revision before left it.

Revision ID: 202508220742
Revises: 202507301820
Create Date: 2025-08-22 07:42:00+00:00
"""

from alembic import op

revision = "202508220742"
down_revision = "202507301820"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '15min'")
    op.execute("ALTER TABLE dialogs VALIDATE CONSTRAINT ck_dialogs_rating_range")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(
        "ALTER TABLE dialogs DROP CONSTRAINT ck_dialogs_rating_range, "
        "ADD CONSTRAINT ck_dialogs_rating_range CHECK (rating >= 1 AND rating <= 5) NOT VALID"
    )
