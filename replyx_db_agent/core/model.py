"""The nouns of the domain: operations, statements, facts and hazards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

Direction = Literal["upgrade", "downgrade"]


class HazardKind(StrEnum):
    """What goes wrong. A rule explains one way to meet it."""

    LOSES_DATA = "LOSES_DATA"
    BREAKS_RUNNING_CODE = "BREAKS_RUNNING_CODE"
    BLOCKS_READS = "BLOCKS_READS"
    BLOCKS_WRITES = "BLOCKS_WRITES"
    REWRITES_TABLE = "REWRITES_TABLE"
    LONG_SCAN = "LONG_SCAN"
    FAILS_ON_DATA = "FAILS_ON_DATA"
    IRREVERSIBLE = "IRREVERSIBLE"
    SILENT_DATA_CHANGE = "SILENT_DATA_CHANGE"
    SLOWS_QUERIES = "SLOWS_QUERIES"
    AUTHORIZATION = "AUTHORIZATION"
    MALFORMED = "MALFORMED"
    UNKNOWN = "UNKNOWN"


class Risk(StrEnum):
    """How much a hazard matters. A note is never counted as an alarm."""

    NOTE = "note"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


# ---- operations: what one statement does, one or several per statement --------------------------
# `table` and other names are qualified only when the statement qualifies them.


@dataclass(frozen=True)
class CreateTable:
    """CREATE TABLE (also AS, PARTITION OF); `columns` are pairs (name, type as format_type prints).

    `primary_key` is true as well where it may come along: PARTITION OF, INHERITS, LIKE.
    `references` are the tables its foreign keys name, which are locked too.
    """

    table: str
    columns: tuple[tuple[str, str], ...] = ()
    primary_key: bool = True
    temporary: bool = False
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class DropTable:
    """DROP TABLE."""

    table: str
    cascade: bool = False


@dataclass(frozen=True)
class Truncate:
    """TRUNCATE."""

    table: str
    cascade: bool = False


@dataclass(frozen=True)
class RenameTable:
    """ALTER TABLE ... RENAME TO."""

    table: str
    new_name: str


@dataclass(frozen=True)
class AddColumn:
    """ALTER TABLE ... ADD COLUMN; `constraints` are the inline ones (references, unique, check).

    `generated_as` says how a `generated` column is made: stored, virtual or identity.
    """

    table: str
    column: str
    type: str
    not_null: bool = False
    default: str | None = None
    generated: bool = False
    constraints: tuple[str, ...] = ()
    generated_as: Literal["stored", "virtual", "identity"] | None = None


@dataclass(frozen=True)
class DropColumn:
    """ALTER TABLE ... DROP COLUMN."""

    table: str
    column: str
    cascade: bool = False


@dataclass(frozen=True)
class RenameColumn:
    """ALTER TABLE ... RENAME COLUMN."""

    table: str
    column: str
    new_name: str


@dataclass(frozen=True)
class AlterColumnType:
    """ALTER COLUMN ... TYPE; `old_type` as format_type prints it, when the catalogue was read.

    `expression` is what USING says.
    """

    table: str
    column: str
    new_type: str
    old_type: str | None = None
    using: bool = False
    expression: str | None = None


@dataclass(frozen=True)
class SetNotNull:
    """ALTER COLUMN ... SET NOT NULL."""

    table: str
    column: str


@dataclass(frozen=True)
class DropNotNull:
    """ALTER COLUMN ... DROP NOT NULL."""

    table: str
    column: str


@dataclass(frozen=True)
class SetDefault:
    """ALTER COLUMN ... SET DEFAULT (`default` None: DROP DEFAULT)."""

    table: str
    column: str
    default: str | None = None


@dataclass(frozen=True)
class AddConstraint:
    """ALTER TABLE ... ADD CONSTRAINT; `kind` is foreign key, check, unique, primary key, ..."""

    table: str
    kind: Literal["foreign key", "check", "unique", "primary key", "exclude", "not null"]
    name: str | None = None
    not_valid: bool = False
    using_index: bool = False
    referenced_table: str | None = None
    columns: tuple[str, ...] = ()
    expression: str | None = None


@dataclass(frozen=True)
class ValidateConstraint:
    """ALTER TABLE ... VALIDATE CONSTRAINT."""

    table: str
    name: str


@dataclass(frozen=True)
class DropConstraint:
    """ALTER TABLE ... DROP CONSTRAINT."""

    table: str
    name: str
    cascade: bool = False


@dataclass(frozen=True)
class CreateIndex:
    """CREATE INDEX; `columns` are pairs (column or expression, operator class or None).

    `options` are those of WITH (lists, m, ...); `only` is ON ONLY, `where` a partial predicate.
    """

    table: str
    name: str | None
    method: str = "btree"
    concurrently: bool = False
    if_not_exists: bool = False
    unique: bool = False
    columns: tuple[tuple[str, str | None], ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    only: bool = False
    where: str | None = None


@dataclass(frozen=True)
class DropIndex:
    """DROP INDEX."""

    name: str
    concurrently: bool = False
    if_exists: bool = False
    cascade: bool = False


@dataclass(frozen=True)
class DropObject:
    """DROP of any other kind: `kind` as PostgreSQL names it in lower case (type, view, schema).

    `table` is the one a trigger, rule or policy belongs to.
    """

    kind: str
    name: str
    cascade: bool = False
    table: str | None = None


@dataclass(frozen=True)
class CreateObject:
    """CREATE of any other kind that changes nothing that exists (type, view, schema, sequence)."""

    kind: str
    name: str


@dataclass(frozen=True)
class InsertRows:
    """INSERT (also COPY FROM); `reads` are the tables its rows come from."""

    table: str
    reads: tuple[str, ...] = ()


@dataclass(frozen=True)
class ChangeRows:
    """UPDATE, DELETE or MERGE; `whole_table` when no condition narrows it down.

    `reads` are the other tables that the statement names.
    """

    verb: Literal["UPDATE", "DELETE", "MERGE"]
    table: str
    whole_table: bool = False
    reads: tuple[str, ...] = ()


@dataclass(frozen=True)
class SetVariable:
    """SET, SET LOCAL or RESET of a run-time setting."""

    name: str
    value: str | None = None
    local: bool = False


@dataclass(frozen=True)
class Comment:
    """COMMENT ON."""

    target: str


@dataclass(frozen=True)
class TransactionControl:
    """BEGIN, COMMIT, ROLLBACK, SAVEPOINT."""

    word: str


@dataclass(frozen=True)
class Read:
    """SELECT, SHOW or EXPLAIN that calls no function by name."""


@dataclass(frozen=True)
class AlterOther:
    """Any other known ALTER (or similar); `what` names it in PostgreSQL's words.

    `table` is the table it touches, `name` what is no table (a schema, a type, a function).
    """

    what: str
    table: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class HiddenStatement:
    """DO, CALL or a function call: what runs inside is not in the text."""

    what: str


@dataclass(frozen=True)
class Unknown:
    """A statement the parser does not model, or cannot read. Never assumed safe."""

    reason: str


Operation = (
    CreateTable
    | DropTable
    | Truncate
    | RenameTable
    | AddColumn
    | DropColumn
    | RenameColumn
    | AlterColumnType
    | SetNotNull
    | DropNotNull
    | SetDefault
    | AddConstraint
    | ValidateConstraint
    | DropConstraint
    | CreateIndex
    | DropIndex
    | DropObject
    | CreateObject
    | InsertRows
    | ChangeRows
    | SetVariable
    | Comment
    | TransactionControl
    | Read
    | AlterOther
    | HiddenStatement
    | Unknown
)


def object_name(operation: Operation) -> str:
    """Return the name a person would use for what the operation touches (`users.email`)."""
    table = getattr(operation, "table", None)
    column = getattr(operation, "column", None)
    if table and column:
        return f"{table}.{column}"
    name = getattr(operation, "name", None) or getattr(operation, "target", None)
    return str(name or table or "")


@dataclass(frozen=True)
class Statement:
    """One SQL statement as a revision emitted it, where, and what it does.

    `file` is relative to the project; `line` is 1-based. `autocommit` is true inside
    Alembic's autocommit_block. `parameters` says whether values were bound (never which).
    Statements with the same `transaction` number, autocommit ones apart, share a transaction.
    """

    sql: str
    operations: tuple[Operation, ...]
    file: str | None = None
    line: int | None = None
    autocommit: bool = False
    parameters: bool = False
    transaction: int = 0


@dataclass(frozen=True)
class Facts:
    """What is known about the world a statement runs in.

    `new_tables`: made earlier in the same run, so empty of rows and unknown to running code.
    `column_types`: (table, column) -> type before the run, as format_type prints it.
    `settings`: run-time settings in force when the statement starts (lock_timeout, ...).
    `added`: object names that this revision's own upgrade added (a downgrade may drop them).
    `new_columns`, `new_objects`: columns and other objects made earlier in the same run.
    `index_tables`: the table of each index, as far as it is known.
    `proved_not_null`: columns that a validated constraint already keeps free of NULL.
    """

    direction: Direction = "upgrade"
    server_version_num: int = 180000
    new_tables: frozenset[str] = frozenset()
    in_transaction: bool = True
    column_types: Mapping[tuple[str, str], str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    added: frozenset[str] = frozenset()
    new_columns: frozenset[tuple[str, str]] = frozenset()
    new_objects: frozenset[str] = frozenset()
    index_tables: Mapping[str, str] = field(default_factory=dict)
    proved_not_null: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True)
class Hazard:
    """One reason a statement is dangerous, and the way out.

    `evidence` says where the finding comes from (the statement's text, or what PostgreSQL did).
    """

    rule: str
    kind: HazardKind
    risk: Risk
    object: str
    message: str
    instead: str
    file: str | None = None
    line: int | None = None
    evidence: str = "statement"
