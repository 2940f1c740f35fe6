"""The models of the database and the way to it."""
