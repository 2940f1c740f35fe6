"""Find or make this checkout's virtual environment; print where caches go and its Python.

The environment is `.venv` in a checkout that is yours, or one that works there already;
otherwise a private one in your cache folder, so nothing of yours ends up in another
person's checkout. Run by scripts/install; standard library only.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
LOCK = CHECKOUT / "requirements.lock"

# Written last, so that an environment whose making was interrupted is noticed. One without
# any stamp was made by hand and is left alone.
STAMP = "made-by-scripts-install"
BEING_MADE = "being made\n"


def main() -> int:
    """Print the folder for caches, then the Python of an environment that is ready."""
    try:
        caches = next(cache_beside(venv) for venv in places() if mine(cache_beside(venv)))
        venv = find() or make_one()
    except subprocess.CalledProcessError as step:
        say(f"Stopped, exit code {step.returncode}: {' '.join(map(str, step.cmd))}")
        say("It needs a package index, and a requirements.lock that has all of pyproject.toml.")
        say("The next run starts over.")
        return 1
    except OSError as problem:
        say(f"Stopped: {problem}")
        return 1
    print(caches, venv / "bin" / "python", sep="\n")
    return 0


def places() -> Iterator[Path]:
    """The environments that this checkout may use, best first."""
    yield CHECKOUT / ".venv"
    yield cache_folder() / hashlib.sha256(str(CHECKOUT).encode()).hexdigest()[:12] / "venv"


def cache_beside(venv: Path) -> Path:
    return venv.with_name(".cache")


def find() -> Path | None:
    return next((venv for venv in places() if ready(venv)), None)


def make_one() -> Path:
    venv = next((venv for venv in places() if makeable(venv)), None)
    if venv is None:
        raise PermissionError("no folder for a virtual environment; set XDG_CACHE_HOME to one")
    with locked(cache_beside(venv) / "install.lock") as lock:
        if not ready(venv):
            make(venv, lock)
    return venv


def ready(venv: Path) -> bool:
    """Whether the environment is complete, up to date, and runs for this user."""
    try:
        return (venv / STAMP).read_text() == stamp(venv)
    except (OSError, subprocess.CalledProcessError):
        return False


def stamp(venv: Path) -> str:
    """What the environment was made from; its own place too, as environments cannot be moved."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    parts = [
        LOCK.read_text(),
        json.dumps([project["build-system"], project["project"], project["tool"]["hatch"]]),
        Path(__file__).read_text(),
        str(CHECKOUT),
        str(venv),
        output(venv / "bin" / "python", "-I", "-c", "import sys; print(sys.version)"),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest() + "\n"


def makeable(venv: Path) -> bool:
    ours = not venv.exists() or not any(venv.iterdir()) or (venv / STAMP).exists()
    return ours and mine(venv) and mine(cache_beside(venv) / "install.lock")


def mine(path: Path) -> bool:
    """Whether the path, or the nearest folder above it that exists, is this user's to write."""
    while not os.path.exists(path):  # noqa: PTH110 - Path.exists raises below a closed folder
        path = path.parent
    return path.stat().st_uid == os.geteuid() and os.access(path, os.W_OK)


def make(venv: Path, lock: int) -> None:
    say(f"Making {venv} (the first time takes about a minute) ...")
    if venv.exists():
        shutil.rmtree(venv)
    venv.mkdir(parents=True, exist_ok=True)
    (venv / STAMP).write_text(BEING_MADE)
    run(lock, sys.executable, "-I", "-m", "venv", venv)
    pip = (venv / "bin" / "python", "-I", "-m", "pip", "install", "-qq")
    run(lock, *pip, "--no-deps", "--requirement", LOCK)
    # With no index this also proves that the lock holds all that pyproject.toml asks for.
    offline = ("--no-index", "--no-build-isolation", "--constraint", LOCK)
    run(lock, *pip, *offline, "--editable", f"{CHECKOUT}[test,dev]")
    (venv / STAMP).write_text(stamp(venv))


def run(lock: int, *command: str | Path) -> None:
    """Run a step; it inherits the lock, which so outlives this process if that is killed."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    environment |= {"PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    subprocess.run(
        command, check=True, cwd=CHECKOUT, env=environment, stdout=sys.stderr, pass_fds=[lock]
    )


def output(*command: str | Path) -> str:
    return subprocess.run(command, check=True, text=True, capture_output=True).stdout


def cache_folder() -> Path:
    """The first folder for caches that is this user's: `sudo` may leave another's HOME."""
    home = os.path.expanduser("~")  # noqa: PTH111 - Path's own raises where there is no home
    for base in (os.environ.get("XDG_CACHE_HOME", ""), f"{home}/.cache"):
        folder = Path(base) / "replyx-db-agent"
        if folder.is_absolute() and mine(folder):
            return folder
    return temporary_cache_folder()


def temporary_cache_folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"replyx-db-agent-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or not mine(folder):
        raise PermissionError(f'"{folder}" belongs to another user; set XDG_CACHE_HOME')
    return folder


@contextmanager
def locked(path: Path) -> Iterator[int]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another run is making the virtual environment; waiting for it ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
