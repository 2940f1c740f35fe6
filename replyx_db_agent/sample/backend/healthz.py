"""GET /healthz: is the database up, and which Alembic revision is it at?

Run it with `python -m backend.healthz --port 8080`; port 0 takes a free one. The port is printed.
"""

import argparse
import json
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg

from backend.database.url import DatabaseUrlError, libpq_url

CONNECT_SECONDS = 3


def health() -> tuple[HTTPStatus, dict[str, str]]:
    """The answer; what PostgreSQL said stays out of it, since anybody may ask."""
    try:
        with psycopg.connect(libpq_url(), connect_timeout=CONNECT_SECONDS) as connection:
            heads = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except DatabaseUrlError:
        return _unavailable("DATABASE_URL is not set or is not a PostgreSQL URL")
    except psycopg.errors.UndefinedTable:
        return _unavailable("the database has no revision: run alembic upgrade head")
    except psycopg.Error:
        return _unavailable("the database does not answer")
    if len(heads) != 1:
        return _unavailable(f"the database has {len(heads)} revisions instead of one")
    return HTTPStatus.OK, {"status": "ok", "alembic_head": heads[0][0]}


def _unavailable(problem: str) -> tuple[HTTPStatus, dict[str, str]]:
    return HTTPStatus.SERVICE_UNAVAILABLE, {"status": "unavailable", "problem": problem}


class Healthz(BaseHTTPRequestHandler):
    """Answers GET /healthz in JSON and nothing else."""

    def do_GET(self) -> None:
        if self.path.partition("?")[0] == "/healthz":
            status, answer = health()
        else:
            status, answer = HTTPStatus.NOT_FOUND, {"status": "not found", "try": "/healthz"}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a probe comes every few seconds."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m backend.healthz", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    arguments = parser.parse_args()
    server = ThreadingHTTPServer((arguments.host, arguments.port), Healthz)
    print(server.server_port, flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


if __name__ == "__main__":
    main()
