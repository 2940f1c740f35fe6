"""Alembic's configuration and revisions, read without running env.py."""

from __future__ import annotations

import inspect
import os
from argparse import Namespace
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from replyx_db_agent.worker.paths import ProjectRoot
from replyx_db_agent.worker.problems import Problem


def configuration(ini: str, root: ProjectRoot) -> Config:
    """Return the configuration as `alembic upgrade head` in the project's folder has it."""
    words: dict[str, Any] = {
        "cmd_opts": Namespace(
            config=ini,
            name="alembic",
            x=None,
            raiseerr=False,
            quiet=False,
            verbose=False,
            sql=False,
            tag=None,
            revision="head",
            cmd=(command.upgrade, ["revision"], ["sql", "tag"]),
        )
    }
    if "toml_file" in inspect.signature(Config.__init__).parameters:
        words["toml_file"] = str(root.path / "pyproject.toml")
    return Config(str(root.path / ini), **words)


def scripts(config: Config, root: ProjectRoot) -> ScriptDirectory:
    """Return the script directory, with every revision file loaded."""
    if not _option(config, "script_location"):
        raise Problem(
            f"'{root.name(config.config_file_name or 'alembic.ini')}' has no script_location.",
            instead="Write `script_location = alembic` (the folder of env.py) under [alembic].",
        )
    script = ScriptDirectory.from_config(config)
    root.versions = tuple(root.name(str(path)) + os.sep for path in version_folders(script))
    script.revision_map.heads  # noqa: B018 - loads the files
    return script


def _option(config: Config, name: str) -> Any:
    read = getattr(config, "get_alembic_option", config.get_main_option)
    return read(name)


def version_folders(script: ScriptDirectory) -> list[str]:
    """Return the folders that hold the revisions, as Alembic found them."""
    found = script._version_locations
    return [os.path.realpath(path) for path in found]


def history(config: Config, script: ScriptDirectory, root: ProjectRoot) -> dict[str, Any]:
    """Return every revision, newest first, and where they are kept."""
    heads = script.get_heads()
    return {
        "revisions": [
            {
                "revision": one.revision,
                "down_revisions": list(_names(one.down_revision)),
                "path": root.name(one.path),
                "doc": (one.doc or "").partition("\n")[0],
                "is_head": one.revision in heads,
                "branch_labels": sorted(one.branch_labels or ()),
                "depends_on": list(one._resolved_dependencies),
            }
            for one in script.walk_revisions()
        ],
        "heads": sorted(heads),
        "bases": sorted(script.get_bases()),
        "script_location": root.name(str(script.dir)),
        "versions": [root.name(path) for path in version_folders(script)],
        "version_table": _option(config, "version_table") or "alembic_version",
        "file_template": script.file_template,
    }


def _names(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)
