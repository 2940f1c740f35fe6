"""The embedded PostgreSQL for rehearsals: its life, its server, its databases."""

from replyx_db_agent.engines.shadow.databases import ShadowDatabase
from replyx_db_agent.engines.shadow.server import ShadowServer

__all__ = [
    "ShadowDatabase",
    "ShadowServer",
]
