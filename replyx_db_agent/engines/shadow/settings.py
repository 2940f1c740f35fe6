"""The configuration of the shadow server: fast, closed to everybody without a password."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from replyx_db_agent.engines.shadow.lease import Folder

PORT = 5432

_FIXED = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0777",  # the folder is closed, and every connection has a password
    "max_connections": "100",
    "shared_buffers": "128MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "512MB",
    "max_locks_per_transaction": "512",  # a schema of a thousand tables in one transaction
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track": "all",
    # Nothing here has to survive a power cut.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "1d",
    # Plans and statistics change only when somebody asks for it.
    "autovacuum": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "datestyle": "iso, mdy",
    "default_text_search_config": "pg_catalog.english",
    "lc_messages": "C",
    # The passwords are random: many iterations would only make connecting slow.
    "scram_iterations": "1",
    # Errors of statements stay out of the log: they contain rows.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_checkpoints": "off",
}


def write(folder: Folder, socket_folder: Path) -> None:
    """Write postgresql.conf and pg_hba.conf beside the data; the server may only read them."""
    hba, configuration = folder.path / "pg_hba.conf", folder.path / "postgresql.conf"
    settings = _FIXED | {
        "data_directory": str(folder.data),
        "hba_file": str(hba),
        "unix_socket_directories": str(socket_folder),
        "extension_control_path": f"{folder.extensions}:$system",
        "dynamic_shared_memory_type": _shared_memory_type(),
    }
    lines = [f"{name} = {_quoted(value)}\n" for name, value in settings.items()]
    for file, text in ((hba, "local all all scram-sha-256\n"), (configuration, "".join(lines))):
        file.unlink(missing_ok=True)
        file.write_text(text, encoding="utf-8")
        file.chmod(0o644)


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _shared_memory_type() -> str:
    """Parallel index builds need room that /dev/shm often lacks in a container."""
    shm = Path("/dev/shm")
    small = sys.platform == "linux" and (not shm.is_dir() or shutil.disk_usage(shm).free < 2**30)
    return "mmap" if small else "posix"
