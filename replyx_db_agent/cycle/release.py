"""Makes the release plan for one environment."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from replyx_db_agent.core.call import Call
from replyx_db_agent.core.errors import InvalidInput
from replyx_db_agent.core.guardrails import STATE_FOLDER, Approval, EnvironmentKind
from replyx_db_agent.core.model import InsertRows, Read
from replyx_db_agent.core.plan import Plan, PlannedRevision
from replyx_db_agent.core.rollback_plan import commands
from replyx_db_agent.cycle.judge import Judgement, findings, judge_rehearsal
from replyx_db_agent.cycle.load import OpenProject, shared_server
from replyx_db_agent.cycle.prove import may_go, standing
from replyx_db_agent.cycle.rehearse import Climb, Rehearsal, climb
from replyx_db_agent.engines import catalog, pins, postgres, sql
from replyx_db_agent.engines.postgres import ServerIdentity
from replyx_db_agent.engines.project import EmittedStatement, RevisionInfo

SEVERAL_RUNS = "env.py called run_migrations()"
"""How the worker's note begins when env.py runs its migrations more than once."""


@dataclass(frozen=True)
class Site:
    """A configured environment as it is now. `url` never leaves the process."""

    name: str
    kind: EnvironmentKind
    approval: Approval
    configuration_hash: str
    url: str
    url_env: str

    def __repr__(self) -> str:
        return f"Site({self.name!r}, {self.kind!r})"


@dataclass(frozen=True)
class Prepared:
    """A plan, what its rehearsal showed, and whether the environment counts as local."""

    site: Site
    plan: Plan
    climbed: Climb | None
    judgements: tuple[Judgement, ...]
    local: bool

    @property
    def revisions(self) -> tuple[RevisionInfo, ...]:
        """The revisions to apply, in order."""
        return tuple(r.revision for r in self.climbed.rehearsals) if self.climbed else ()


def is_local(call: Call, kind: EnvironmentKind, identity: ServerIdentity) -> bool:
    """Say whether an environment counts as local.

    Its kind must be local *and* the database lie on our embedded server, or a person must have
    pinned it: a tunnel to production also looks like localhost.
    """
    if kind != "local":
        return False
    ours = shared_server(call).is_ours(identity.system_identifier)
    return ours or pins.is_trusted(identity)


def prepare(project: OpenProject, site: Site, target: RevisionInfo) -> Prepared:
    """Rehearse what is pending on the environment and make the plan of it.

    Raises:
        GuardrailRefusal: a destructive revision lacks its plan or its rehearsal (G1, G2).
        InvalidInput: the database stands where this project has no revision, or it fails up.
    """
    version = project.server.version_num  # first: it may be the very server that the URL names
    project.call.tell(f'Asking "{site.name}" where it stands')
    with postgres.connect(site.url, name=site.url_env) as connection:
        identity = postgres.identity(connection)
        start = catalog.versions(postgres.rows_of(connection), project.history.version_table)
    pending = _pending(project, start, target)
    climbed = climb(project, pending) if pending else None
    if climbed:
        _runs_once(climbed)
    rehearsals = climbed.rehearsals if climbed else ()
    judgements = tuple(judge_rehearsal(r, version) for r in rehearsals)
    for rehearsal, judgement in zip(rehearsals, judgements, strict=True):
        _may_run(project, rehearsal, judgement)
    plan = Plan(
        environment=site.name,
        kind=site.kind,
        system_identifier=identity.system_identifier,
        database=identity.database,
        direction="upgrade",
        start=start,
        revisions=tuple(
            _planned(project, r, j) for r, j in zip(rehearsals, judgements, strict=True)
        ),
        configuration_hash=site.configuration_hash,
    )
    return Prepared(site, plan, climbed, judgements, is_local(project.call, site.kind, identity))


def _pending(
    project: OpenProject, start: Sequence[str], target: RevisionInfo
) -> tuple[RevisionInfo, ...]:
    known = {r.revision for r in project.history.revisions}
    if strange := [v for v in start if v not in known]:
        raise InvalidInput(
            f'The database stands at revision "{strange[0]}", which this project does not have.',
            instead="Switch to the branch that has it, or check that the URL is the right one.",
        )
    line = project.since(None, target)
    done = {r.revision for v in start for r in (*project.ancestors(v), project.revision(v))}
    return tuple(r for r in line if r.revision not in done)


def _may_run(project: OpenProject, rehearsal: Rehearsal, judgement: Judgement) -> None:
    revision = rehearsal.revision.revision
    may_go(project, rehearsal, judgement.destructive)
    if rehearsal.outcome == "fails-up" and rehearsal.error:
        raise InvalidInput(
            f'Revision "{revision}" does not go up: {rehearsal.error.message}.',
            instead="Check it with check_revision and mend it.",
        )


def _runs_once(climbed: Climb) -> None:
    """Refuse an env.py that runs its migrations for several targets: only one would be served."""
    if said := [line for line in climbed.loaded.stdout if line.startswith(SEVERAL_RUNS)]:
        raise InvalidInput(
            f"{said[0]} Applied like this, the other targets (tenants, databases) would stay "
            "as they are.",
            instead="Let env.py serve one target a run, named by a variable of [worker] env, or "
            "apply with your own deploy.",
        )


def _planned(project: OpenProject, rehearsal: Rehearsal, judgement: Judgement) -> PlannedRevision:
    info = rehearsal.revision
    known = standing(project, info.revision)
    section = known.section
    return PlannedRevision(
        revision=info.revision,
        path=info.path,
        file_hash=project.workspace.hashes([info.path])[info.path],
        section_hash=known.evidence.section if known.evidence else "",
        statements=tuple(s.sql for s in rehearsal.upgrade),
        values=tuple(_bound(s) for s in rehearsal.upgrade),
        hazards=tuple(f"{h.kind} {h.rule} {h.object}" for h in findings(judgement.hazards)),
        way_back=tuple(c.text for c in commands(section)) if section else (),
    )


def _bound(statement: EmittedStatement) -> str | None:
    """Return the digest of the values to be bound, None where new rows may bring their own."""
    harmless = all(isinstance(o, InsertRows | Read) for o in sql.operations(statement.sql))
    return None if harmless else statement.values


def question(prepared: Prepared) -> str:
    """Return what the person is asked: the plan's hash and what it does, nothing measured."""
    plan = prepared.plan
    lines = [
        f'Apply plan {plan.hash} to environment "{plan.environment}" ({plan.kind}), database '
        f'"{plan.database}"?',
        f"It stands at {', '.join(plan.start) or 'base'}. Revisions: "
        + ", ".join(r.revision for r in plan.revisions),
    ]
    for revision in plan.revisions:
        lines += [f"- {hazard}" for hazard in revision.hazards]
        lines += [f"- way back: {command}" for command in revision.way_back]
    lines.append("Not checked: whether code that is running still uses what goes away (G3).")
    return "\n".join(lines)


def note_release(
    project: OpenProject, prepared: Prepared, *, verified: bool, approved: bool
) -> None:
    """Keep what was released where, for the record and the checklist."""
    now = datetime.now(UTC)
    plan = prepared.plan
    name = f"{now.strftime('%Y%m%dT%H%M%S%f')}-{plan.hash[:12]}"
    text = json.dumps(
        {
            "at": now.isoformat(timespec="seconds"),
            "plan": plan.hash,
            "approved_by_a_person": approved,
            "verified": verified,
            **{k: v for k, v in asdict(plan).items() if k in ("environment", "kind", "start")},
            "local": prepared.local,
            "revisions": [r.revision for r in plan.revisions],
            "files": {r.path: r.file_hash for r in plan.revisions},
        },
        indent=1,
    )
    project.workspace.write(f"{STATE_FOLDER}/releases/{name}.json", text + "\n")
