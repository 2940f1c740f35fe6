"""The host side of the worker: finds the project, starts its interpreter, opens sessions."""

from replyx_db_agent.engines.project.answers import (
    EmittedStatement,
    History,
    Loaded,
    Opened,
    RenderedOperation,
    RevisionInfo,
    StepError,
    StepResult,
)
from replyx_db_agent.engines.project.folder import Project
from replyx_db_agent.engines.project.session import Session
from replyx_db_agent.engines.project.worker import Worker, worker_for

__all__ = [
    "EmittedStatement",
    "History",
    "Loaded",
    "Opened",
    "Project",
    "RenderedOperation",
    "RevisionInfo",
    "Session",
    "StepError",
    "StepResult",
    "Worker",
    "worker_for",
]
