"""Say what is wrong with the contents of a wheel: python scripts/wheel_contents.py WHEEL."""

import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

CHECKOUT = Path(__file__).resolve().parent.parent
SHIPPED = "replyx_db_agent/_shipped"
NEVER_EMPTY = (
    f"{SHIPPED}/prompts",
    f"{SHIPPED}/tools",
    "replyx_db_agent/sample",
    "replyx_db_agent/templates",
)
LEFTOVERS = {"__pycache__", ".venv", ".git", ".replyx-db-agent"} | {
    f".{tool}" for tool in ("cache", "mypy_cache", "pytest_cache", "ruff_cache")
}


def main() -> int:
    with ZipFile(sys.argv[1]) as wheel:
        names = set(wheel.namelist())
        problems = [*missing(names), *unwanted(names), *places(wheel)]
    for problem in problems:
        print(problem)
    print(f"{len(names)} files in the wheel, {len(problems)} problems")
    return 1 if problems else 0


def missing(names: set[str]) -> Iterator[str]:
    """Every file of the checkout that users need must be there."""
    wanted = {f"{SHIPPED}/agent.md"}
    for folder, pattern in (("prompts", "**/*"), ("tools", "*.json")):
        wanted |= shipped(CHECKOUT, f"{folder}/{pattern}", SHIPPED)
    for folder in ("sample", "templates"):
        wanted |= shipped(CHECKOUT / "replyx_db_agent", f"{folder}/**/*", "replyx_db_agent")
    for name in sorted(wanted - names):
        yield f"missing: {name}"
    for folder in NEVER_EMPTY:
        if not any(name.startswith(f"{folder}/") for name in names):
            yield f"nothing in: {folder}"


def shipped(root: Path, pattern: str, inside: str) -> set[str]:
    found = (path.relative_to(root) for path in root.glob(pattern) if path.is_file())
    return {f"{inside}/{path.as_posix()}" for path in found if not LEFTOVERS & set(path.parts)}


def unwanted(names: set[str]) -> Iterator[str]:
    for name in sorted(names):
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            yield f"a path outside: {name}"
        if LEFTOVERS & set(path.parts) or path.suffix == ".pyc":
            yield f"a leftover: {name}"
        if not path.parts[0].startswith("replyx_db_agent") or path.name.startswith("test_"):
            yield f"not part of the package: {name}"


def places(wheel: ZipFile) -> Iterator[str]:
    """No file may name a folder of the machine that built it."""
    folders = [f"{folder}/".encode() for folder in (CHECKOUT, Path.home()) if folder.name]
    for name in wheel.namelist():
        text = wheel.read(name)
        if any(folder in text for folder in folders):
            yield f"names a folder of this machine: {name}"


if __name__ == "__main__":
    sys.exit(main())
