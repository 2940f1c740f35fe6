"""A call that is withdrawn."""

from __future__ import annotations

import pytest

from replyx_db_agent.core.cancel import Cancel
from replyx_db_agent.core.errors import Cancelled


def test_a_callback_runs_once_when_the_call_is_withdrawn() -> None:
    cancel, heard = Cancel(), []
    cancel.on_cancel(lambda: heard.append("one"))
    assert not cancel.is_set()
    cancel.check()
    cancel.set()
    cancel.set()
    assert heard == ["one"]
    assert cancel.is_set()
    with pytest.raises(Cancelled):
        cancel.check()


def test_a_callback_that_comes_too_late_runs_at_once() -> None:
    cancel, heard = Cancel(), []
    cancel.set()
    cancel.on_cancel(lambda: heard.append("late"))()
    assert heard == ["late"]


def test_a_callback_that_was_taken_back_does_not_run() -> None:
    cancel, heard = Cancel(), []
    forget = cancel.on_cancel(lambda: heard.append("one"))
    forget()
    forget()
    cancel.set()
    assert heard == []
