"""`python -m replyx_db_agent` is the command line."""

from replyx_db_agent.cli import main

main()
