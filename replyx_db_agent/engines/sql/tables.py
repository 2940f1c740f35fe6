"""CREATE TABLE, ALTER TABLE and CREATE INDEX as operations of the domain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

from replyx_db_agent.core.model import (
    AddColumn,
    AddConstraint,
    AlterColumnType,
    AlterOther,
    CreateIndex,
    CreateTable,
    DropColumn,
    DropConstraint,
    DropNotNull,
    Operation,
    SetDefault,
    SetNotNull,
    Unknown,
    ValidateConstraint,
)
from replyx_db_agent.engines.sql.tree import (
    Deparse,
    Node,
    cascades,
    constant,
    name_of,
    object_kind,
    relation,
    strings,
    type_name,
    unwrap,
    word,
)

ConstraintKind = Literal["foreign key", "check", "unique", "primary key", "exclude", "not null"]

_CONSTRAINTS: dict[str, ConstraintKind] = {
    "CONSTR_FOREIGN": "foreign key",
    "CONSTR_CHECK": "check",
    "CONSTR_UNIQUE": "unique",
    "CONSTR_PRIMARY": "primary key",
    "CONSTR_EXCLUSION": "exclude",
    "CONSTR_NOTNULL": "not null",
}
_INLINE = {
    "CONSTR_FOREIGN": "references",
    "CONSTR_CHECK": "check",
    "CONSTR_UNIQUE": "unique",
    "CONSTR_PRIMARY": "primary key",
}
_SERIAL = {"serial": "integer", "bigserial": "bigint", "smallserial": "smallint"}

_OTHER_COMMANDS = {
    "AT_SetExpression": "ALTER COLUMN ... SET EXPRESSION",
    "AT_DropExpression": "ALTER COLUMN ... DROP EXPRESSION",
    "AT_SetStatistics": "ALTER COLUMN ... SET STATISTICS",
    "AT_SetOptions": "ALTER COLUMN ... SET (options)",
    "AT_ResetOptions": "ALTER COLUMN ... RESET (options)",
    "AT_SetStorage": "ALTER COLUMN ... SET STORAGE",
    "AT_SetCompression": "ALTER COLUMN ... SET COMPRESSION",
    "AT_AlterConstraint": "ALTER CONSTRAINT",
    "AT_AlterColumnGenericOptions": "ALTER COLUMN ... OPTIONS",
    "AT_ChangeOwner": "OWNER TO",
    "AT_ClusterOn": "CLUSTER ON",
    "AT_DropCluster": "SET WITHOUT CLUSTER",
    "AT_SetLogged": "SET LOGGED",
    "AT_SetUnLogged": "SET UNLOGGED",
    "AT_DropOids": "SET WITHOUT OIDS",
    "AT_SetAccessMethod": "SET ACCESS METHOD",
    "AT_SetTableSpace": "SET TABLESPACE",
    "AT_SetRelOptions": "SET (options)",
    "AT_ResetRelOptions": "RESET (options)",
    "AT_EnableTrig": "ENABLE TRIGGER",
    "AT_EnableAlwaysTrig": "ENABLE ALWAYS TRIGGER",
    "AT_EnableReplicaTrig": "ENABLE REPLICA TRIGGER",
    "AT_DisableTrig": "DISABLE TRIGGER",
    "AT_EnableTrigAll": "ENABLE TRIGGER ALL",
    "AT_DisableTrigAll": "DISABLE TRIGGER ALL",
    "AT_EnableTrigUser": "ENABLE TRIGGER USER",
    "AT_DisableTrigUser": "DISABLE TRIGGER USER",
    "AT_EnableRule": "ENABLE RULE",
    "AT_EnableAlwaysRule": "ENABLE ALWAYS RULE",
    "AT_EnableReplicaRule": "ENABLE REPLICA RULE",
    "AT_DisableRule": "DISABLE RULE",
    "AT_AddInherit": "INHERIT",
    "AT_DropInherit": "NO INHERIT",
    "AT_AddOf": "OF",
    "AT_DropOf": "NOT OF",
    "AT_ReplicaIdentity": "REPLICA IDENTITY",
    "AT_EnableRowSecurity": "ENABLE ROW LEVEL SECURITY",
    "AT_DisableRowSecurity": "DISABLE ROW LEVEL SECURITY",
    "AT_ForceRowSecurity": "FORCE ROW LEVEL SECURITY",
    "AT_NoForceRowSecurity": "NO FORCE ROW LEVEL SECURITY",
    "AT_GenericOptions": "OPTIONS",
    "AT_AttachPartition": "ATTACH PARTITION",
    "AT_DetachPartition": "DETACH PARTITION",
    "AT_DetachPartitionFinalize": "DETACH PARTITION ... FINALIZE",
    "AT_AddIdentity": "ALTER COLUMN ... ADD GENERATED AS IDENTITY",
    "AT_SetIdentity": "ALTER COLUMN ... SET GENERATED",
    "AT_DropIdentity": "ALTER COLUMN ... DROP IDENTITY",
}


def create_table(node: Node, deparse: Deparse) -> Iterator[Operation]:
    """CREATE TABLE."""
    elements = [unwrap(element) for element in node.table_elts]
    columns = [element for element in elements if element.DESCRIPTOR.name == "ColumnDef"]
    constraints = [element for element in elements if element.DESCRIPTOR.name == "Constraint"]
    constraints += [unwrap(c) for column in columns for c in column.constraints]
    copied = any(element.DESCRIPTOR.name == "TableLikeClause" for element in elements)
    kinds = {word(constraint, "contype") for constraint in constraints}
    parents = bool(node.inh_relations) or node.HasField("partbound")
    yield CreateTable(
        relation(node.relation),
        columns=tuple((column.colname, _stored_type(column)) for column in columns),
        primary_key="CONSTR_PRIMARY" in kinds or copied or parents or bool(_of_type(node)),
        temporary=node.relation.relpersistence == "t",
        references=tuple(dict.fromkeys(_partners(constraints))),
    )


def _of_type(node: Node) -> bool:
    """Say whether it is CREATE TABLE ... OF type, whose columns are not in the text."""
    return bool(node.HasField("of_typename")) and not node.table_elts


def _partners(constraints: list[Node]) -> Iterator[str]:
    """Yield the tables that foreign keys refer to."""
    for constraint in constraints:
        if word(constraint, "contype") == "CONSTR_FOREIGN":
            yield relation(constraint.pktable)


def _stored_type(column: Node) -> str:
    """Return the type the catalogue will show: serial is an integer with a default."""
    written = type_name(column.type_name)
    return _SERIAL.get(written, written)


def create_index(node: Node, deparse: Deparse) -> Iterator[Operation]:
    """CREATE INDEX."""
    yield CreateIndex(
        relation(node.relation),
        node.idxname or None,
        method=node.access_method or "btree",
        concurrently=node.concurrent,
        if_not_exists=node.if_not_exists,
        unique=node.unique,
        columns=tuple(_index_column(item.index_elem, deparse) for item in node.index_params),
        options=tuple(_option(item.def_elem) for item in node.options),
        only=not node.relation.inh,
        where=deparse(node.where_clause) if node.HasField("where_clause") else None,
    )


def _index_column(element: Node, deparse: Deparse) -> tuple[str, str | None]:
    """Return a pair: column or expression, operator class."""
    name = element.name or deparse(element.expr)
    return name, ".".join(strings(element.opclass)) or None


def _option(element: Node) -> tuple[str, str]:
    return element.defname, constant(element.arg) or name_of(element.arg)


def alter_table(node: Node, deparse: Deparse) -> Iterator[Operation]:
    """ALTER TABLE, one operation per subcommand; also ALTER INDEX, VIEW, SEQUENCE, TYPE."""
    kind = object_kind(node, "objtype")
    name = relation(node.relation)
    for item in node.cmds:
        command = item.alter_table_cmd
        subtype = word(command, "subtype")
        handler = _COMMANDS.get(subtype) if kind in ("table", "foreign table") else None
        if handler:
            yield handler(name, command, deparse)
        else:
            yield _other(kind, name, command, subtype)


def _other(kind: str, name: str, command: Node, subtype: str) -> Operation:
    """Name a subcommand that has no operation of its own."""
    words = _OTHER_COMMANDS.get(subtype) or _ELSEWHERE.get(subtype)
    if words is None:
        return Unknown(f"ALTER {kind.upper()} with a subcommand that is not known ({subtype})")
    if subtype == "AT_DetachPartition" and getattr(command, "def").partition_cmd.concurrent:
        words += " CONCURRENTLY"
    what = f"ALTER {kind.upper()} ... {words}"
    if kind in ("table", "foreign table", "materialized view", "view"):
        return AlterOther(what, table=name)
    return AlterOther(what, name=name)


_ELSEWHERE = {
    "AT_AddColumn": "ADD ATTRIBUTE",
    "AT_DropColumn": "DROP ATTRIBUTE",
    "AT_AlterColumnType": "ALTER ATTRIBUTE ... TYPE",
    "AT_ColumnDefault": "ALTER COLUMN ... SET DEFAULT",
}


def _definition(command: Node) -> Any:
    """Return what `def` holds: a ColumnDef, a Constraint, an expression."""
    return unwrap(getattr(command, "def"))


def _add_column(table: str, command: Node, deparse: Deparse) -> Operation:
    column = _definition(command)
    constraints = {word(c.constraint, "contype"): c.constraint for c in column.constraints}
    generated = _generated(constraints)
    default = constraints.get("CONSTR_DEFAULT")
    return AddColumn(
        table,
        column.colname,
        type_name(column.type_name),
        not_null="CONSTR_NOTNULL" in constraints or "CONSTR_PRIMARY" in constraints,
        default=deparse(default.raw_expr) if default is not None else None,
        generated=generated is not None,
        constraints=tuple(words for kind, words in _INLINE.items() if kind in constraints),
        generated_as=generated,
    )


def _generated(constraints: dict[str, Node]) -> Literal["stored", "virtual", "identity"] | None:
    """Say how a generated column is made."""
    if "CONSTR_IDENTITY" in constraints:
        return "identity"
    made = constraints.get("CONSTR_GENERATED")
    if made is None:
        return None
    return "stored" if made.generated_kind == "s" else "virtual"


def _alter_type(table: str, command: Node, deparse: Deparse) -> Operation:
    column = _definition(command)
    using = deparse(column.raw_default) if column.HasField("raw_default") else None
    new_type = type_name(column.type_name)
    return AlterColumnType(table, command.name, new_type, using=using is not None, expression=using)


def _set_default(table: str, command: Node, deparse: Deparse) -> Operation:
    has_default = command.HasField("def")
    default = deparse(getattr(command, "def")) if has_default else None
    return SetDefault(table, command.name, default)


def _add_constraint(table: str, command: Node, deparse: Deparse) -> Operation:
    made = _definition(command)
    kind = _CONSTRAINTS.get(word(made, "contype"))
    if kind is None:
        return Unknown(f"ALTER TABLE ADD CONSTRAINT of a kind that is not known, on {table}")
    return AddConstraint(
        table,
        kind,
        name=made.conname or None,
        not_valid=made.skip_validation,
        using_index=bool(made.indexname),
        referenced_table=relation(made.pktable) if kind == "foreign key" else None,
        columns=tuple(strings(made.fk_attrs if kind == "foreign key" else made.keys)),
        expression=deparse(made.raw_expr) if made.HasField("raw_expr") else None,
    )


_COMMANDS: dict[str, Callable[[str, Node, Deparse], Operation]] = {
    "AT_AddColumn": _add_column,
    "AT_AlterColumnType": _alter_type,
    "AT_ColumnDefault": _set_default,
    "AT_AddConstraint": _add_constraint,
    "AT_DropColumn": lambda table, c, _: DropColumn(table, c.name, cascades(c)),
    "AT_SetNotNull": lambda table, c, _: SetNotNull(table, c.name),
    "AT_DropNotNull": lambda table, c, _: DropNotNull(table, c.name),
    "AT_ValidateConstraint": lambda table, c, _: ValidateConstraint(table, c.name),
    "AT_DropConstraint": lambda table, c, _: DropConstraint(table, c.name, cascades(c)),
}
