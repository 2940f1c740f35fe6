import ast
import importlib.util
import json
import re
import string
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from mcp import Client

import replyx_db_agent
from replyx_db_agent import __version__
from replyx_db_agent.cli import cli
from replyx_db_agent.core.model import Risk
from replyx_db_agent.core.report import Outcome
from replyx_db_agent.cycle.answer import phrases
from replyx_db_agent.rules import RULES
from replyx_db_agent.server import build
from replyx_db_agent.tools.registry import TOOLS

ROOT = Path(__file__).parents[2]
PACKAGE = Path(replyx_db_agent.__file__).parent
SOURCES = sorted(p for p in PACKAGE.rglob("*.py") if "sample" not in p.parts)
MOST_BYTES = 24_000
FOR_PEOPLE = {"serve", "trust"}

# The keys that the code puts together from a closed set.
MADE_UP = {
    "part.": ("summary", "ddl", "alembic", "docs", "perf", "rollback", "next"),
    "risk.": tuple(str(risk) for risk in Risk if risk is not Risk.NOTE),
    "rollback.": get_args(Outcome),
}


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def served():
    async with Client(build(ROOT)) as client:
        return {tool.name: tool for tool in (await client.list_tools()).tools}


# ---- tools ---------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_the_registry_is_what_is_served_and_documented(served):
    names = set(TOOLS)
    assert set(served) == names
    assert {p.stem for p in (ROOT / "tools").glob("*")} == names
    assert {p.stem for p in (ROOT / "docs/tools").glob("*")} == names
    modules = {p.stem for p in (PACKAGE / "tools").glob("*.py")} - {"__init__", "registry"}
    assert modules == names
    assert all((ROOT / f"tests/tools/test_{name}.py").is_file() for name in names)


def test_every_tool_is_a_command_and_the_others_are_for_people():
    assert set(cli.commands) == {tool.command for tool in TOOLS.values()} | FOR_PEOPLE


def test_every_argument_of_a_tool_can_be_given_on_the_command_line():
    for tool in TOOLS.values():
        contract = json.loads((ROOT / f"tools/{tool.name}.json").read_text("utf-8"))
        options = {parameter.name for parameter in cli.commands[tool.command].params}
        assert set(contract["inputSchema"]["properties"]) <= options, tool.name
        assert {"project", "as_json"} <= options, tool.name


@pytest.mark.anyio
async def test_the_hints_are_those_of_the_registry(served):
    for tool in TOOLS.values():
        hints = served[tool.name].annotations
        given = (hints.read_only_hint, hints.destructive_hint, hints.idempotent_hint)
        assert given == (tool.read_only, tool.destructive, tool.idempotent), tool.name
        assert hints.open_world_hint is False
        assert served[tool.name].title == hints.title == tool.title


def test_the_hints_are_as_designed():
    reading = {"inspect_diff", "check_revision", "run_stairway", "explain_query"}
    assert {t.name for t in TOOLS.values() if t.read_only} == reading
    assert {t.name for t in TOOLS.values() if t.destructive} == {"apply_revision"}
    again = reading | {"write_docs", "apply_revision"}
    assert {t.name for t in TOOLS.values() if t.idempotent} == again


@pytest.mark.anyio
async def test_every_tool_has_a_shallow_output_schema_with_typed_fields(served):
    for name, tool in served.items():
        schema = tool.output_schema
        assert schema, name
        assert {"answer", "refusal", "notes"} <= set(schema["properties"]), name
        assert set(schema["required"]) == set(schema["properties"]), name
        for key, field in schema["properties"].items():
            assert {"type", "anyOf", "enum"} & set(field), f"{name}: {key} has no type"
            assert "properties" not in json.dumps(field), f"{name}: {key} is not shallow"


@pytest.mark.anyio
async def test_every_tool_and_argument_is_described(served):
    for name, tool in served.items():
        assert len(tool.description or "") > 80, name
        for key, field in tool.input_schema["properties"].items():
            assert field.get("description"), f"{name}: {key}"


@pytest.mark.anyio
async def test_the_list_of_tools_is_small_on_the_wire():
    async with Client(build(ROOT)) as client:
        listed = await client.list_tools()
    wire = listed.model_dump_json(by_alias=True, exclude_none=True)
    assert len(wire.encode()) < MOST_BYTES


def test_the_generated_files_are_fresh():
    spec = importlib.util.spec_from_file_location("regen", ROOT / "scripts/regen.py")
    regen = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(regen)
    wanted = dict(regen.outputs())
    stale = [p.name for p, t in wanted.items() if not p.exists() or p.read_text("utf-8") != t]
    assert stale == [], "run scripts/fmt"
    folders = {path.parent for path in wanted} - {ROOT / "docs"}
    left_over = {p for folder in folders for p in folder.glob("*.*")} - wanted.keys()
    assert left_over == set()


def test_every_rule_has_a_page():
    files = {p.stem.replace("_", "-") for p in (PACKAGE / "rules").glob("[!_]*.py")}
    assert files == set(RULES)
    assert {p.stem for p in (ROOT / "docs/rules").glob("*.md")} - {"README"} == files


# ---- phrases -------------------------------------------------------------------------------------


def blanks(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def said():
    """Every `say(key, name=...)` of the code: the possible keys, its file, the values' names."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "say":
                given = {keyword.arg for keyword in node.keywords}
                yield f"{path.name}:{node.lineno}", keys_of(node.args[0]), given


def keys_of(node):
    """The phrases that an expression can name; none when only its values are known elsewhere."""
    if isinstance(node, ast.Constant):
        return [node.value]
    if isinstance(node, ast.IfExp):
        return [*keys_of(node.body), *keys_of(node.orelse)]
    if isinstance(node, ast.JoinedStr):
        start = node.values[0].value
        return [f"{start}{end}" for end in MADE_UP[start]]
    return []


def named():
    """Every text in the code that is, or begins as, a phrase's key."""
    parts = {key.partition(".")[0] for key in phrases("en")}
    found = {f"{start}{end}" for start, ends in MADE_UP.items() for end in ends}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                part, _, key = node.value.partition(".")
                if part in parts and re.fullmatch(r"[a-z_-]+", key) and key not in ("md", "py"):
                    found.add(node.value)
    return found


def test_both_languages_have_the_same_phrases_with_the_same_blanks():
    ru, en = phrases("ru"), phrases("en")
    assert ru.keys() == en.keys()
    assert {k for k in ru if blanks(ru[k]) != blanks(en[k])} == set()


def test_every_phrase_in_use_exists_and_no_other():
    assert named() == set(phrases("en"))


def test_every_phrase_is_given_what_fills_its_blanks():
    for where, keys, given in said():
        for key in keys:
            assert blanks(phrases("en")[key]) <= given, f"{where}: {key}"


# ---- texts ---------------------------------------------------------------------------------------

LOOKS_LIKE_A_TOOL = re.compile(
    r"\b(?:inspect|draft|check|run|explain|advise|tune|write|apply|roll|record)_"
    r"(?:diff|revision|squash|release|stairway|backfill|query|indexes|vector_index|docs|back|task)\b"
)


@pytest.mark.parametrize("language", ["en", "ru"])
def test_the_prompts_of_a_language_name_only_real_tools(language):
    texts = sorted((ROOT / f"prompts/{language}").glob("*"))
    assert texts
    for path in texts:
        strange = set(LOOKS_LIKE_A_TOOL.findall(path.read_text("utf-8"))) - set(TOOLS)
        assert strange == set(), path.name


def test_both_languages_have_the_same_prompts():
    names = [{p.name for p in (ROOT / f"prompts/{one}").glob("*")} for one in ("en", "ru")]
    assert names[0] == names[1]


@pytest.mark.anyio
@pytest.mark.parametrize("language", ["ru", "en"])
async def test_the_prompts_are_served_in_the_projects_language(tmp_path, language):
    (tmp_path / "replyx-db-agent.toml").write_text(f'language = "{language}"\n')
    files = {p.stem: p.read_text("utf-8") for p in (ROOT / "prompts" / language).glob("*.md")}
    async with Client(build(tmp_path)) as client:
        served = {p.name: p for p in (await client.list_prompts()).prompts}
        filled = await client.get_prompt("draft", {"message": "add nickname"})
    assert set(served) == set(files)
    assert all(p.description for p in served.values())
    assert "add nickname" in filled.messages[0].content.text


def test_the_agent_names_every_tool_and_no_other():
    text = (ROOT / "agent.md").read_text("utf-8")
    assert set(LOOKS_LIKE_A_TOOL.findall(text)) == set(TOOLS)


def test_the_version_is_the_top_entry_of_the_changelog():
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    found = re.search(r"^## \[?v?(\d+\.\d+\.\d+)", text, re.MULTILINE)
    assert found
    assert found[1] == __version__


def test_no_file_of_the_package_has_a_path_or_an_address_of_one_machine():
    machine = re.compile(
        r"/(?:Users|home|root|work|mnt)/|\b(?:\d{1,3}\.){3}\d{1,3}\b|[A-Z]:\\+Users"
    )
    allowed = {"127.0.0.1", "10.0.0.0"}  # this machine, whichever it is; where made-up rows lie
    for path in sorted(p for p in PACKAGE.rglob("*") if p.is_file() and p.suffix != ".pyc"):
        assert set(machine.findall(path.read_text("utf-8"))) <= allowed, path.name


# ---- start-up ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("replyx_db_agent.server", ["alembic", "sqlalchemy", "postgast", "psycopg"]),
        ("replyx_db_agent.cli", ["mcp", "pydantic", "rich", "alembic", "sqlalchemy", "psycopg"]),
        ("replyx_db_agent.tools.registry", ["replyx_db_agent.cycle", "replyx_db_agent.engines"]),
    ],
)
def test_importing_it_does_not_import_what_is_heavy(module, heavy):
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        (sys.executable, "-c", code), capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = {name for name in done.stdout.split() for one in heavy if is_part_of(name, one)}
    assert loaded == set()


def is_part_of(module, package):
    return module == package or module.startswith(f"{package}.")


def test_every_file_that_the_guides_name_is_there():
    texts = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    named = {
        (text.name, path)
        for text in texts
        for path in re.findall(
            r"`((?:core|rules|engines|cycle|worker|tools|templates)/[\w./]+)`",
            text.read_text("utf-8"),
        )
    }
    assert named
    missing = {(name, path) for name, path in named if not (PACKAGE / path).exists()}
    assert missing - {("architecture.md", "tools/new_tool.py")} == set()
