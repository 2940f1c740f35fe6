"""Errors meant to be read: what happened, and what to do about it."""

from __future__ import annotations


class DbAgentError(Exception):
    """Base of every error this package raises on purpose: `problem` and what to do `instead`."""

    def __init__(self, problem: str, *, instead: str) -> None:
        super().__init__(f"{problem} {instead}")
        self.problem = problem
        self.instead = instead


class InvalidInput(DbAgentError):
    """The caller can correct the arguments, the configuration or the project's files."""


class GuardrailRefusal(DbAgentError):
    """A guardrail (G1-G10) forbids it; `guardrail` names which."""

    def __init__(self, guardrail: str, problem: str, *, instead: str) -> None:
        super().__init__(problem, instead=instead)
        self.guardrail = guardrail


class EnvironmentProblem(DbAgentError):
    """The machine or a server does not let us: PostgreSQL is down, the disk is full ..."""


class Cancelled(Exception):
    """The caller withdrew the call; whatever was running has been ended."""
