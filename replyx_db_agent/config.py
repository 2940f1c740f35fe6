"""The configuration: replyx-db-agent.toml or [tool.replyx-db-agent] of pyproject.toml."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from replyx_db_agent.core.errors import EnvironmentProblem, InvalidInput
from replyx_db_agent.core.guardrails import Approval, EnvironmentKind
from replyx_db_agent.core.plan import hash_of
from replyx_db_agent.cycle.load import Settings
from replyx_db_agent.engines.redact import secrets_of

FILE = "replyx-db-agent.toml"
Language = Literal["ru", "en"]
DEFAULT_APPROVAL: dict[EnvironmentKind, Approval] = {
    "local": "none",
    "staging": "elicitation",
    "production": "signed",
}


@dataclass(frozen=True)
class Environment:
    """A named database: where its URL comes from (never the URL itself), its kind, who approves."""

    name: str
    url_env: str
    kind: EnvironmentKind
    approval: Approval

    def url(self) -> str:
        """Return the URL from the environment variable."""
        if url := os.environ.get(self.url_env):
            return url
        raise EnvironmentProblem(
            f'Environment "{self.name}" takes its URL from "{self.url_env}", which is not set.',
            instead=f"Set {self.url_env}=postgresql://... for this process.",
        )


@dataclass(frozen=True)
class WorkerSettings:
    """How the project's own code is run: interpreter, variables, limits in seconds and MB."""

    python: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    time_limit: float = 120.0
    memory_limit_mb: int = 4096

    @property
    def hash(self) -> str:
        """SHA-256 of what changes the outcome of a run: the interpreter and the variables."""
        return hash_of({"python": self.python, "env": dict(self.env)})


@dataclass(frozen=True)
class Config:
    """The frozen configuration of one project. `root` is absolute, links resolved."""

    root: Path
    language: Language = "en"
    alembic_ini: str = "alembic.ini"
    record_folder: str = "TASK/agents/db-migrations"
    hot_queries: str = "scripts/hot_queries"
    worker: WorkerSettings = field(default_factory=WorkerSettings)
    environments: Mapping[str, Environment] = field(default_factory=dict)

    def environment(self, name: str) -> Environment:
        """Return the named environment; an unknown one is refused."""
        if found := self.environments.get(name):
            return found
        known = ", ".join(f'"{n}"' for n in self.environments) or "none"
        raise InvalidInput(
            f'There is no environment "{name}" (known: {known}).',
            instead=f"Add [environments.{name}] with url_env and kind to {FILE}.",
        )

    @property
    def environments_hash(self) -> str:
        """SHA-256 of the environments' configuration, as the release plan names it."""
        return hash_of({name: vars(e) for name, e in self.environments.items()})

    def settings(self) -> Settings:
        """Return the configuration as the plain values that `cycle` takes."""
        return Settings(
            root=self.root,
            alembic_ini=self.alembic_ini,
            python=self.worker.python,
            env=self.worker.env,
            time_limit=self.worker.time_limit,
            memory_limit_mb=self.worker.memory_limit_mb,
            worker_hash=self.worker.hash,
            record_folder=self.record_folder,
            hot_queries=self.hot_queries,
            language=self.language,
            secret_names=self.secret_names(),
            secrets=self.secrets(),
        )

    def secret_names(self) -> tuple[str, ...]:
        """Return the variables that hold an environment's URL."""
        return tuple(dict.fromkeys(["DATABASE_URL", *(e.url_env for e in self._all())]))

    def secrets(self) -> tuple[str, ...]:
        """Return the values that must appear in no output."""
        urls = (os.environ.get(name) for name in self.secret_names())
        return tuple(dict.fromkeys((*filter(None, urls), *secrets_of(os.environ))))

    def _all(self) -> tuple[Environment, ...]:
        return tuple(self.environments.values())


def load(root: Path) -> Config:
    """Read the configuration of the project in `root`.

    Raises:
        InvalidInput: the folder does not exist, or a file or value is not understood.
    """
    if not root.is_dir():
        raise InvalidInput(
            f'The project folder "{root}" does not exist.',
            instead="Pass the folder that holds alembic.ini (--project DIR).",
        )
    root = root.resolve()
    source, table = _table(root)
    try:
        return _config(root, table)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise InvalidInput(
            f'"{source}" has a value that is not understood: {error}.',
            instead="See docs/configuration.md for the keys and their types.",
        ) from error


def _table(root: Path) -> tuple[str, dict[str, Any]]:
    for name, keys in ((FILE, ()), ("pyproject.toml", ("tool", "replyx-db-agent"))):
        path = root / name
        if not path.is_file():
            continue
        try:
            table: Any = tomllib.loads(path.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InvalidInput(
                f'"{name}" is not valid TOML: {error}.', instead="Mend that line."
            ) from error
        for key in keys:
            table = table.get(key, {}) if isinstance(table, dict) else {}
        if table:
            return name, table
    return FILE, {}


_KEYS = {"language", "alembic_ini", "record_folder", "hot_queries", "worker", "environments"}


def _config(root: Path, table: dict[str, Any]) -> Config:
    _only("the top level", table, _KEYS)
    plain: dict[str, Any] = {k: _text(k, table[k]) for k in _KEYS & table.keys() - _NESTED}
    if plain.get("language", "en") not in get_args(Language):
        raise ValueError(f'language = "{plain["language"]}" (known: "ru", "en")')
    for key in ("record_folder", "hot_queries"):
        if ".." in Path(plain.get(key, "")).parts or Path(plain.get(key, "")).is_absolute():
            raise ValueError(f'{key} = "{plain[key]}" leads out of the project')
    folder = plain.get("record_folder", "").strip("/")
    if folder:
        plain["record_folder"] = folder
    return Config(
        root=root,
        worker=_worker(_table_of("[worker]", table.get("worker", {}))),
        environments=_environments(table.get("environments")),
        **plain,
    )


def _worker(table: dict[str, Any]) -> WorkerSettings:
    _only("[worker]", table, {"python", "env", "time_limit", "memory_limit_mb"})
    found: dict[str, Any] = dict(table)
    env = _table_of("env of [worker]", table.get("env", {}))
    found["env"] = {name: str(value) for name, value in env.items()}
    if "python" in table:
        found["python"] = _text("python of [worker]", table["python"])
    for name in {"time_limit", "memory_limit_mb"} & table.keys():
        found[name] = _positive(f"{name} of [worker]", table[name])
    return WorkerSettings(**found)


_NESTED = {"worker", "environments"}


def _environments(tables: object) -> dict[str, Environment]:
    if tables is None:
        return {"local": Environment("local", "DATABASE_URL", "local", "none")}
    return {
        name: _environment(name, _table_of(f"[environments.{name}]", table))
        for name, table in _table_of("[environments]", tables).items()
    }


def _environment(name: str, table: dict[str, Any]) -> Environment:
    _only(f"[environments.{name}]", table, {"url_env", "kind", "approval"})
    kind: Any = table.get("kind")
    if kind not in get_args(EnvironmentKind):
        raise ValueError(f'[environments.{name}] kind = "{kind}" (local, staging or production)')
    approval = table.get("approval", DEFAULT_APPROVAL[kind])
    if approval not in get_args(Approval):
        known = ", ".join(get_args(Approval))
        raise ValueError(f'[environments.{name}] approval = "{approval}" ({known})')
    if "url_env" not in table:
        raise ValueError(f"[environments.{name}] has no url_env")
    found: EnvironmentKind = kind
    url_env = _text("url_env", table["url_env"])
    if not url_env.isidentifier():  # a URL perhaps: not repeated
        raise ValueError(
            f"[environments.{name}] url_env must be the name of an environment variable"
        )
    return Environment(name, url_env, found, approval)


def _only(where: str, table: Mapping[str, Any], known: set[str]) -> None:
    if unknown := sorted(table.keys() - known):
        raise ValueError(f'{where} has an unknown key "{unknown[0]}" (known: {sorted(known)})')


def _table_of(where: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where} must be a table, it is {value!r}")
    return value


def _positive(key: str, value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise ValueError(f"{key} must be a number above 0, it is {value!r}")
    return value


def _text(key: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key} must be text, it is {value!r}")
    return value
