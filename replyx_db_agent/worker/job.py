"""One job: a forked process that answers the host's commands about one project."""

from __future__ import annotations

import faulthandler
import functools
import os
import random
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, TextIO

from alembic.runtime.migration import MigrationContext, RevisionStep
from sqlalchemy.exc import DBAPIError

from replyx_db_agent.worker import generate, raw, redirect, revisions
from replyx_db_agent.worker.channel import Channel
from replyx_db_agent.worker.climb import Climb, run_environment
from replyx_db_agent.worker.paths import ProjectRoot
from replyx_db_agent.worker.problems import (
    NotPlanned,
    Problem,
    describe,
    driver_error,
    message_of,
    place_of,
    refused,
    sqlstate_of,
)
from replyx_db_agent.worker.reads import Reads, distrust_bytecode
from replyx_db_agent.worker.recorder import Recorder


class HungUp(BaseException):
    """The host closed the session; env.py's transaction is rolled back on the way out."""


def run(settings: dict[str, Any], descriptors: list[int]) -> None:
    """Become the job in this forked process, answer until the host is done, and exit."""
    status = 1
    try:
        channel = _settle(settings, descriptors)
        Job(settings, channel).serve()
        status = 0
    except Exception:  # noqa: BLE001 - the host shows the last line
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
        os._exit(status)


def _settle(settings: dict[str, Any], descriptors: list[int]) -> Channel:
    """Put everything in place before the first line of the project runs."""
    channel, out, err = descriptors
    os.set_inheritable(channel, False)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, standard in ((nothing, 0), (out, 1), (err, 2)):
        os.dup2(source, standard)
        os.close(source)
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__ = _text(1), _text(2)  # type: ignore[assignment,misc]
    faulthandler.register(signal.SIGUSR1, file=2, all_threads=False)
    os.umask(0o077)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_AS, settings["memory_limit_mb"] * 1024 * 1024)
    redirect.scrub_environment(
        settings["environment"], settings["database_url"], settings["url_schemes"]
    )
    os.chdir(settings["root"])
    sys.argv = ["alembic"]
    entries = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    sys.path[:0] = [os.path.abspath(entry) for entry in entries]  # noqa: PTH100 - after chdir
    sys.path_importer_cache.clear()
    random.seed()
    return Channel(channel)


def _text(descriptor: int) -> TextIO:
    """Open a standard stream anew: the parent's own objects remember what it wrote to."""
    return open(descriptor, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)


def _limit(kind: int, wanted: int) -> None:
    with suppress(ValueError, OSError):
        hard = resource.getrlimit(kind)[1]
        wanted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(kind, (wanted, wanted))


class Job:
    """Answers one command after the other; a command that fails leaves the next one possible."""

    def __init__(self, settings: dict[str, Any], channel: Channel) -> None:
        self._settings = settings
        self._channel = channel
        self._root = ProjectRoot(settings["root"])
        self._reads = Reads(self._root)
        self._recorder = Recorder(self._root)
        self._target = redirect.Target(settings["database_url"], settings["lock_timeout"])
        self._climb: Climb | None = None
        self._pending: dict[str, Any] | None = None
        self._finished = False

    def serve(self) -> None:
        """Install the layers, then answer until the host hangs up."""
        distrust_bytecode(self._root)
        raw.hear_drivers(self._recorder)
        redirect.redirect_engines(self._target)
        redirect.redirect_drivers(self._target)
        self._recorder.listen()
        while True:
            command = self._channel.receive()
            if command is None:
                return
            try:
                answer = {"ok": self._answer(command)}
            except HungUp:
                return
            except BaseException as error:  # noqa: BLE001 - anything may come out of foreign code
                answer = self._failure(error)
            self._channel.send(answer)

    def _answer(self, command: dict[str, Any]) -> Any:
        do = command["do"]
        if do == "history":
            return revisions.history(*self._project(), self._root)
        if do == "open":
            return self._open()
        if do == "create_models":
            return self._look(generate.create_models)
        if do == "autogenerate":
            return self._look(generate.autogenerate)
        if do == "loaded":
            return self._loaded()
        raise Problem(
            f"'{do}' needs an open session.",
            instead="Call open() first; after finish() or a failed step begin a new session.",
        )

    def _project(self) -> tuple[Any, Any]:
        config = revisions.configuration(self._settings["ini"], self._root)
        self._reads.add(config.config_file_name)
        return config, revisions.scripts(config, self._root)

    def _look(self, work: Any) -> Any:
        """Run env.py with no step at all, and `work` where the steps would be."""
        found = []

        def nothing(_heads: Any, context: MigrationContext) -> Iterator[RevisionStep]:
            found.append(work(context))
            return iter(())

        run_environment(*self._project(), nothing, dont_mutate=True)
        if not found:
            raise Problem(
                "env.py caught an error inside run_migrations() and went on.",
                instead="Let env.py pass errors on; Alembic relies on them to roll back.",
            )
        return found[0]

    def _open(self) -> Any:
        config, script = self._project()

        def steps(_heads: Any, context: MigrationContext) -> Iterator[RevisionStep]:
            self._climb = Climb(context, script)
            self._channel.send({"ok": self._climb.opened})
            return self._led(self._climb)

        self._finished, self._pending = False, None
        run_environment(config, script, steps, dont_mutate=self._settings["purpose"] == "read")
        if self._pending is not None and self._recorder.error is not None:
            return self._step_result(self._step_error(self._recorder.error))
        return self._loaded()

    def _led(self, climb: Climb) -> Iterator[RevisionStep]:
        """Yield the steps the host asks for, and answer its questions between them."""
        while not self._finished:
            command = self._channel.receive()
            if command is None:
                raise HungUp
            if command["do"] == "step":
                yield from self._one_step(climb, command)
            elif command["do"] == "finish":
                self._finished = True
            else:
                self._channel.send(self._between(climb, command))

    def _between(self, climb: Climb, command: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"ok": self._asked(climb, command)}
        except DBAPIError as error:
            return self._failure(refused(error))
        except Exception as error:  # noqa: BLE001 - a question that fails must not end the run
            return self._failure(error)

    def _asked(self, climb: Climb, command: dict[str, Any]) -> Any:
        do = command["do"]
        if do == "query":
            return climb.query(command["sql"], command["parameters"], rows=command["rows"])
        if do == "execute":
            return self._executed(climb, command["sql"])
        if do == "current":
            return climb.heads()
        if do == "autogenerate":
            with climb.between_steps():
                return generate.autogenerate(climb.context)
        raise Problem(f"'{do}' is not possible here.", instead="Call finish() first.")

    def _executed(self, climb: Climb, sql: str) -> dict[str, Any]:
        self._may_step()
        error = None
        try:
            climb.execute(sql, self._recorder)
        except DBAPIError as failure:
            error = self._step_error(failure)
        return {"direction": "downgrade", "revision": "", **self._step_result(error)}

    def _one_step(self, climb: Climb, command: dict[str, Any]) -> Iterator[RevisionStep]:
        try:
            self._may_step()
            step: Any = climb.step(command["direction"], command["revision"])
        except Exception as error:  # noqa: BLE001 - as in _between
            self._channel.send(self._failure(error))
            return
        self._recorder.prepare(command["allowed"])
        step.migration_fn = self._recorder.around(step.migration_fn)
        if command.get("inspect"):
            step.migration_fn = self._inspected(climb, step.migration_fn)
        self._pending = {"direction": command["direction"], "revision": step.revision.revision}
        yield step
        climb.stepped(command["direction"], step.revision.revision)
        result = self._step_result(None)
        self._pending = None
        self._channel.send({"ok": result})

    def _inspected(self, climb: Climb, migration: Callable[..., Any]) -> Callable[..., Any]:
        """Return the migration with a pause at its end, in its transaction, for the host to look.

        The host's "stop" rolls the step back like a statement that is not planned (G10).
        """

        @functools.wraps(migration)
        def inspected(*arguments: Any, **words: Any) -> None:
            migration(*arguments, **words)
            self._channel.send({"ok": {"paused": True}})
            while True:
                command = self._channel.receive()
                if command is None:
                    raise HungUp
                if command["do"] == "proceed":
                    return
                if command["do"] == "stop":
                    self._recorder.error = NotPlanned(command["problem"])
                    raise self._recorder.error
                try:
                    answer: dict[str, Any] = {"ok": climb.look(command["sql"])}
                except Exception as error:  # noqa: BLE001 - as in _between
                    answer = {"problem": describe(error, self._root, 0)}
                self._channel.send(answer)

        return inspected

    def _may_step(self) -> None:
        if self._settings["purpose"] == "read":
            raise Problem(
                "A session that reads takes no step.", instead="Begin one for a rehearsal."
            )

    def _step_result(self, error: dict[str, Any] | None) -> dict[str, Any]:
        return {
            **(self._pending or {}),
            "statements": self._recorder.statements,
            "seconds": self._recorder.seconds,
            "error": error,
        }

    def _step_error(self, error: BaseException) -> dict[str, Any]:
        place = place_of(error, self._root)
        planned = isinstance(error, NotPlanned)
        index = len(self._recorder.statements) if planned else self._recorder.failing
        return {
            "type": type(driver_error(error)).__name__,
            "message": message_of(error),
            "sqlstate": sqlstate_of(error),
            "statement": index,
            "file": place.file,
            "line": place.line,
            "source": place.source,
        }

    def _failure(self, error: BaseException) -> dict[str, Any]:
        """Answer with a step's result when a step was under way, else with the problem."""
        if self._pending is not None:
            result = self._step_result(self._step_error(self._recorder.error or error))
            self._pending = None
            return {"ok": result}
        return {"problem": describe(error, self._root, self._settings["memory_limit_mb"])}

    def _loaded(self) -> dict[str, Any]:
        return {"files": self._reads.files()}
