"""Users, and what is written in SQL around them."""

from alembic import op

revision = "202501010000"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE users (id bigserial PRIMARY KEY, email text NOT NULL)")
    op.execute("ALTER TABLE users ENABLE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY everybody ON users USING (true)")
    op.execute("CREATE VIEW people AS SELECT id, email FROM users")
    op.execute("CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    op.execute("CREATE STATISTICS both_of_users ON id, email FROM users")


def downgrade() -> None:
    op.execute("DROP FUNCTION one()")
    op.execute("DROP VIEW people")
    op.execute("DROP TABLE users")
