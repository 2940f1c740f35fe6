"""Turns differences into revisions that are safe to run: a form for every kind of change."""
