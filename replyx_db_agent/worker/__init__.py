"""What runs inside the interpreter of the user's project: standard library, alembic, sqlalchemy."""
