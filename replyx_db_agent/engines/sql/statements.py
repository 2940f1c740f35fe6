"""One parsed statement as operations of the domain, tables and indexes apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from replyx_db_agent.core.model import (
    AlterOther,
    ChangeRows,
    Comment,
    CreateObject,
    CreateTable,
    DropIndex,
    DropObject,
    DropTable,
    HiddenStatement,
    InsertRows,
    Operation,
    Read,
    RenameColumn,
    RenameTable,
    SetVariable,
    TransactionControl,
    Truncate,
    Unknown,
)
from replyx_db_agent.engines.sql.functions import called, effects_of_calls
from replyx_db_agent.engines.sql.tables import alter_table, create_index, create_table
from replyx_db_agent.engines.sql.tree import (
    Deparse,
    Node,
    cascades,
    constant,
    name_of,
    named,
    object_kind,
    qualified,
    relation,
    strings,
    tables_read,
    unwrap,
    word,
)

Verb = Literal["UPDATE", "DELETE", "MERGE"]
_VERBS: dict[str, Verb] = {"UpdateStmt": "UPDATE", "DeleteStmt": "DELETE", "MergeStmt": "MERGE"}


def statement(node: Node, deparse: Deparse) -> Iterable[Operation]:
    """Return what one statement does; what has no entry below is unknown."""
    tree = unwrap(node)
    kind = node.WhichOneof("node")
    if kind in _HANDLERS:
        return _HANDLERS[kind](tree, deparse)
    words = kind.removesuffix("_stmt").replace("_", " ")
    return (Unknown(f"no operation describes this kind of statement ({words})"),)


# ---- rows ----------------------------------------------------------------------------------------


def _query(tree: Node, deparse: Deparse) -> Iterator[Operation]:
    """SELECT, INSERT, UPDATE, DELETE, MERGE with all that hides in WITH, and calls of functions."""
    found = [*_rows(tree), *_select_into(tree), *effects_of_calls(tree)]
    yield from found or [Read()]


def _rows(tree: Node) -> Iterator[Operation]:
    """Yield the changes of rows in a tree, those inside WITH first."""
    kinds = {"InsertStmt", *_VERBS}
    for cte in named(tree, "CommonTableExpr"):
        inner = unwrap(cte.ctequery)
        if inner.DESCRIPTOR.name in kinds:
            yield _row_change(inner)
    if tree.DESCRIPTOR.name in kinds:
        yield _row_change(tree)


def _row_change(tree: Node) -> Operation:
    """Read one INSERT, UPDATE, DELETE or MERGE."""
    table = relation(tree.relation)
    reads = tuple(name for name in tables_read(tree) if name != table)
    verb = _VERBS.get(tree.DESCRIPTOR.name)
    if verb is None:
        return InsertRows(table, reads)
    return ChangeRows(verb, table, _is_whole_table(tree, verb), reads)


def _is_whole_table(tree: Node, verb: Verb) -> bool:
    """Say whether no condition narrows the change down."""
    if verb == "MERGE" or not tree.HasField("where_clause"):
        return verb != "MERGE"
    return _always_true(tree.where_clause)


def _always_true(condition: Node) -> bool:
    """Recognise `true`, `1 = 1`, `id IS NOT NULL` and their AND and OR."""
    node = unwrap(condition)
    reader = _TRUTHS.get(node.DESCRIPTOR.name)
    return reader(node) if reader else False


def _bool_expr(node: Node) -> bool:
    truths = [_always_true(argument) for argument in node.args]
    kind = word(node, "boolop")
    return all(truths) if kind == "AND_EXPR" else any(truths) and kind == "OR_EXPR"


def _equal_constants(node: Node) -> bool:
    same = constant(node.lexpr) is not None and constant(node.lexpr) == constant(node.rexpr)
    return same and strings(node.name) == ["="]


def _id_is_not_null(node: Node) -> bool:
    """`id IS NOT NULL`: a key is never NULL."""
    fields = getattr(unwrap(node.arg), "fields", ())
    names = [name_of(field) for field in fields]
    return word(node, "nulltesttype") == "IS_NOT_NULL" and names[-1:] == ["id"]


_TRUTHS: dict[str, Callable[[Node], bool]] = {
    "A_Const": lambda node: constant(node) in ("true", "t"),
    "TypeCast": lambda node: constant(node) in ("true", "t"),
    "BoolExpr": _bool_expr,
    "A_Expr": _equal_constants,
    "NullTest": _id_is_not_null,
}


def _select_into(tree: Node) -> Iterator[Operation]:
    for into in named(tree, "IntoClause"):
        temporary = into.rel.relpersistence == "t"
        yield CreateTable(relation(into.rel), primary_key=False, temporary=temporary)


def _create_table_as(tree: Node, deparse: Deparse) -> Iterator[Operation]:
    """CREATE TABLE AS, CREATE MATERIALIZED VIEW."""
    target = tree.into.rel
    if object_kind(tree, "objtype") == "materialized view":
        yield CreateObject("materialized view", relation(target))
    else:
        temporary = target.relpersistence == "t"
        yield CreateTable(relation(target), primary_key=False, temporary=temporary)
    yield from _rows(unwrap(tree.query))
    yield from effects_of_calls(tree.query)


def _copy(tree: Node, deparse: Deparse) -> Iterator[Operation]:
    if tree.is_program:
        way = "FROM" if tree.is_from else "TO"
        yield Unknown(f"COPY {way} PROGRAM runs a command on the server")
    elif tree.is_from:
        yield InsertRows(relation(tree.relation))
    elif tree.filename:
        yield Unknown("COPY TO a file writes on the server's disk")
    elif tree.HasField("query"):
        yield from statement(tree.query, deparse)
    else:
        yield Read()


def _truncate(tree: Node, deparse: Deparse) -> Iterator[Operation]:
    for item in tree.relations:
        yield Truncate(relation(item.range_var), cascades(tree))


def _explain(tree: Node, deparse: Deparse) -> Iterator[Operation]:
    """EXPLAIN ANALYZE runs the statement; plain EXPLAIN runs what the planner evaluates."""
    analyzed = any(
        option.def_elem.defname == "analyze" and constant(option.def_elem.arg) not in _OFF
        for option in tree.options
    )
    if analyzed:
        yield from statement(tree.query, deparse)
    else:
        yield from [*effects_of_calls(tree.query)] or [Read()]


_OFF = ("false", "off", "0")


# ---- DROP ----------------------------------------------------------------------------------------


def _drop(tree: Node, deparse: Deparse) -> Iterator[Operation]:
    kind = object_kind(tree, "remove_type")
    for item in tree.objects:
        yield _dropped(tree, kind, item)


def _dropped(tree: Node, kind: str, item: Node) -> Operation:
    """Read one object of a DROP."""
    cascade = cascades(tree)
    if kind == "table":
        return DropTable(name_of(item), cascade)
    if kind == "index":
        return DropIndex(name_of(item), tree.concurrent, tree.missing_ok, cascade)
    if kind in ("trigger", "rule", "policy"):
        *table, name = [name_of(part) for part in unwrap(item).items]
        return DropObject(kind, name, cascade, qualified(table))
    return DropObject(kind, name_of(item), cascade)


def _drop_roles(tree: Node, deparse: Deparse) -> Iterator[Operation]:
    for role in tree.roles:
        yield DropObject("role", name_of(role))


def _drop_owned(tree: Node, deparse: Deparse) -> Iterator[Operation]:
    for role in tree.roles:
        yield DropObject("owned", name_of(role), cascades(tree))


# ---- CREATE --------------------------------------------------------------------------------------


def _create_schema(tree: Node, deparse: Deparse) -> Iterator[Operation]:
    yield CreateObject("schema", tree.schemaname or name_of(tree.authrole))
    for element in tree.schema_elts:
        yield from statement(element, deparse)


def _create_view(tree: Node, deparse: Deparse) -> Iterator[Operation]:
    name = relation(tree.view)
    if tree.replace:
        yield AlterOther("CREATE OR REPLACE VIEW", name=name)
    else:
        yield CreateObject("view", name)


def _create_function(tree: Node, deparse: Deparse) -> Iterator[Operation]:
    kind = "procedure" if tree.is_procedure else "function"
    name = qualified(strings(tree.funcname))
    if tree.replace:
        yield AlterOther(f"CREATE OR REPLACE {kind.upper()}", name=name)
    else:
        yield CreateObject(kind, name)


def _define(tree: Node, deparse: Deparse) -> Iterator[Operation]:
    yield CreateObject(object_kind(tree, "kind"), qualified(strings(tree.defnames)))


def _create_cast(tree: Node, deparse: Deparse) -> Iterator[Operation]:
    yield AlterOther(
        "CREATE CAST", name=f"{name_of(tree.sourcetype)} AS {name_of(tree.targettype)}"
    )


Handler = Callable[[Node, Deparse], Iterable[Operation]]


def _creates(kind: str, name: Callable[[Node], str]) -> Handler:
    """Make the reader of a CREATE that changes nothing that exists."""
    return lambda tree, _: (CreateObject(kind, name(tree)),)


# ---- ALTER and the rest --------------------------------------------------------------------------


def _rename(tree: Node, deparse: Deparse) -> Iterator[Operation]:
    kind = object_kind(tree, "rename_type")
    if kind == "table":
        yield RenameTable(relation(tree.relation), tree.newname)
    elif kind == "column" and object_kind(tree, "relation_type") == "table":
        yield RenameColumn(relation(tree.relation), tree.subname, tree.newname)
    else:
        yield _renamed(tree, kind)


def _renamed(tree: Node, kind: str) -> Operation:
    """Name a RENAME of anything but a table or its column."""
    owner = relation(tree.relation) if tree.HasField("relation") else name_of(tree.object)
    if kind in ("constraint", "column", "attribute", "trigger", "rule", "policy"):
        return AlterOther(f"RENAME {kind.upper()}", table=owner, name=tree.subname)
    return AlterOther(f"ALTER {kind.upper()} ... RENAME TO", name=owner or tree.subname)


def _set_schema(tree: Node, deparse: Deparse) -> Iterator[Operation]:
    kind = object_kind(tree, "object_type")
    if kind in ("table", "view", "materialized view", "foreign table"):
        yield AlterOther(f"ALTER {kind.upper()} ... SET SCHEMA", table=relation(tree.relation))
    else:
        name = relation(tree.relation) if tree.HasField("relation") else name_of(tree.object)
        yield AlterOther(f"ALTER {kind.upper()} ... SET SCHEMA", name=name)


def _owner(tree: Node, deparse: Deparse) -> Iterator[Operation]:
    kind = object_kind(tree, "object_type").upper()
    yield AlterOther(f"ALTER {kind} ... OWNER TO", name=name_of(tree.object))


def _alter_enum(tree: Node, deparse: Deparse) -> Iterator[Operation]:
    action = "RENAME VALUE" if tree.old_val else "ADD VALUE"
    yield AlterOther(f"ALTER TYPE ... {action}", name=qualified(strings(tree.type_name)))


def _alter_sequence(tree: Node, deparse: Deparse) -> Iterator[Operation]:
    options = {option.def_elem.defname for option in tree.options}
    action = next((word for word in ("restart", "cycle", "owned_by") if word in options), "")
    suffix = f" ... {action.replace('_', ' ').upper()}" if action else ""
    yield AlterOther(f"ALTER SEQUENCE{suffix}", name=relation(tree.sequence))


def _grant(tree: Node, deparse: Deparse) -> Iterator[Operation]:
    what = "GRANT" if tree.is_grant else "REVOKE"
    on_tables = object_kind(tree, "objtype") == "table"
    for item in tree.objects:
        name = name_of(item)
        yield AlterOther(what, table=name) if on_tables else AlterOther(what, name=name)


def _grant_role(tree: Node, deparse: Deparse) -> Iterator[Operation]:
    what = "GRANT ROLE" if tree.is_grant else "REVOKE ROLE"
    for role in tree.granted_roles:
        yield AlterOther(what, name=role.access_priv.priv_name)


def _lock(tree: Node, deparse: Deparse) -> Iterator[Operation]:
    for item in tree.relations:
        yield AlterOther("LOCK TABLE", table=relation(item.range_var))


def _reindex(tree: Node, deparse: Deparse) -> Iterator[Operation]:
    kind = word(tree, "kind").removeprefix("REINDEX_OBJECT_")
    concurrently = any(option.def_elem.defname == "concurrently" for option in tree.params)
    what = f"REINDEX {kind}" + (" CONCURRENTLY" if concurrently else "")
    name = relation(tree.relation) if tree.HasField("relation") else tree.name
    yield AlterOther(what, table=name) if kind == "TABLE" else AlterOther(what, name=name)


def _refresh(tree: Node, deparse: Deparse) -> Iterator[Operation]:
    what = "REFRESH MATERIALIZED VIEW" + (" CONCURRENTLY" if tree.concurrent else "")
    yield AlterOther(what, table=relation(tree.relation))


def _vacuum(tree: Node, deparse: Deparse) -> Iterator[Operation]:
    full = any(option.def_elem.defname == "full" for option in tree.options)
    what = ("VACUUM FULL" if full else "VACUUM") if tree.is_vacuumcmd else "ANALYZE"
    tables: list[str | None] = [relation(item.vacuum_relation.relation) for item in tree.rels]
    for table in tables or [None]:
        yield AlterOther(what, table=table)


def _set(tree: Node, deparse: Deparse) -> Iterator[Operation]:
    kind = word(tree, "kind")
    if kind == "VAR_RESET_ALL":
        yield SetVariable("ALL")
    elif kind in ("VAR_RESET", "VAR_SET_DEFAULT"):
        yield SetVariable(tree.name, None, tree.is_local)
    elif kind == "VAR_SET_MULTI":
        yield SetVariable(tree.name.lower(), None, local=True)
    else:
        values = [_value(argument) for argument in tree.args]
        yield SetVariable(tree.name, ", ".join(values), tree.is_local)


def _value(argument: Node) -> str:
    """Return the value of a setting; `?` for one that is bound later."""
    value = constant(argument)
    return "?" if value is None else value


def _transaction(tree: Node, deparse: Deparse) -> Iterator[Operation]:
    words = word(tree, "kind").removeprefix("TRANS_STMT_").replace("_", " ")
    yield TransactionControl("BEGIN" if words == "START" else words)


def _one(operation: Operation) -> Handler:
    """Make the reader of a statement that needs no reading."""
    return lambda tree, _: (operation,)


def _other(what: str, field: str = "") -> Handler:
    """Make the reader of a statement that only needs its words and a name."""

    def read(tree: Node, deparse: Deparse) -> Iterator[Operation]:
        value = getattr(tree, field) if field else None
        if value is None:
            yield AlterOther(what)
        elif isinstance(value, str):
            yield AlterOther(what, name=value)
        elif getattr(getattr(value, "DESCRIPTOR", None), "name", "") == "RangeVar":
            yield AlterOther(what, table=relation(value))
        else:
            yield AlterOther(what, name=_any_name(value))

    return read


def _any_name(value: Node) -> str:
    """Return the name in a node or in a list of String nodes."""
    return name_of(value) if hasattr(value, "DESCRIPTOR") else qualified(strings(value))


_HANDLERS: dict[str, Handler] = {
    "select_stmt": _query,
    "insert_stmt": _query,
    "update_stmt": _query,
    "delete_stmt": _query,
    "merge_stmt": _query,
    "copy_stmt": _copy,
    "truncate_stmt": _truncate,
    "explain_stmt": _explain,
    "declare_cursor_stmt": lambda tree, deparse: statement(tree.query, deparse),
    "variable_show_stmt": _one(Read()),
    "fetch_stmt": _one(Read()),
    "close_portal_stmt": _one(Read()),
    "deallocate_stmt": _one(Read()),
    "check_point_stmt": _one(AlterOther("CHECKPOINT")),
    "create_stmt": create_table,
    "create_table_as_stmt": _create_table_as,
    "create_foreign_table_stmt": lambda tree, deparse: create_table(tree.base_stmt, deparse),
    "index_stmt": create_index,
    "alter_table_stmt": alter_table,
    "drop_stmt": _drop,
    "drop_role_stmt": _drop_roles,
    "drop_owned_stmt": _drop_owned,
    "dropdb_stmt": lambda tree, _: (DropObject("database", tree.dbname),),
    "drop_table_space_stmt": lambda tree, _: (DropObject("tablespace", tree.tablespacename),),
    "drop_subscription_stmt": lambda tree, _: (DropObject("subscription", tree.subname),),
    "drop_user_mapping_stmt": lambda tree, _: (DropObject("user mapping", tree.servername),),
    "create_schema_stmt": _create_schema,
    "view_stmt": _create_view,
    "create_function_stmt": _create_function,
    "define_stmt": _define,
    "create_cast_stmt": _create_cast,
    "create_extension_stmt": _creates("extension", lambda tree: str(tree.extname)),
    "create_enum_stmt": _creates("type", lambda tree: qualified(strings(tree.type_name))),
    "create_range_stmt": _creates("type", lambda tree: qualified(strings(tree.type_name))),
    "composite_type_stmt": _creates("type", lambda tree: relation(tree.typevar)),
    "create_domain_stmt": _creates("domain", lambda tree: qualified(strings(tree.domainname))),
    "create_seq_stmt": _creates("sequence", lambda tree: relation(tree.sequence)),
    "create_stats_stmt": _creates("statistics", lambda tree: qualified(strings(tree.defnames))),
    "createdb_stmt": _creates("database", lambda tree: str(tree.dbname)),
    "create_foreign_server_stmt": _creates("server", lambda tree: str(tree.servername)),
    "create_fdw_stmt": _creates("foreign data wrapper", lambda tree: str(tree.fdwname)),
    "create_role_stmt": _other("CREATE ROLE", "role"),
    "alter_role_stmt": _other("ALTER ROLE", "role"),
    "alter_role_set_stmt": _other("ALTER ROLE ... SET", "role"),
    "create_trig_stmt": _other("CREATE TRIGGER", "relation"),
    "rule_stmt": _other("CREATE RULE", "relation"),
    "create_policy_stmt": _other("CREATE POLICY", "table"),
    "alter_policy_stmt": _other("ALTER POLICY", "table"),
    "create_event_trig_stmt": _other("CREATE EVENT TRIGGER", "trigname"),
    "alter_event_trig_stmt": _other("ALTER EVENT TRIGGER", "trigname"),
    "create_publication_stmt": _other("CREATE PUBLICATION", "pubname"),
    "alter_publication_stmt": _other("ALTER PUBLICATION", "pubname"),
    "create_subscription_stmt": _other("CREATE SUBSCRIPTION", "subname"),
    "alter_subscription_stmt": _other("ALTER SUBSCRIPTION", "subname"),
    "alter_extension_stmt": _other("ALTER EXTENSION ... UPDATE", "extname"),
    "alter_extension_contents_stmt": _other("ALTER EXTENSION ... ADD or DROP", "extname"),
    "alter_domain_stmt": _other("ALTER DOMAIN", "type_name"),
    "alter_function_stmt": _other("ALTER FUNCTION", "func"),
    "alter_type_stmt": _other("ALTER TYPE ... SET", "type_name"),
    "alter_stats_stmt": _other("ALTER STATISTICS", "defnames"),
    "alter_database_stmt": _other("ALTER DATABASE", "dbname"),
    "alter_database_set_stmt": _other("ALTER DATABASE ... SET", "dbname"),
    "alter_system_stmt": _other("ALTER SYSTEM"),
    "alter_default_privileges_stmt": _other("ALTER DEFAULT PRIVILEGES"),
    "reassign_owned_stmt": _other("REASSIGN OWNED"),
    "cluster_stmt": _other("CLUSTER", "relation"),
    "constraints_set_stmt": _other("SET CONSTRAINTS"),
    "listen_stmt": _other("LISTEN"),
    "unlisten_stmt": _other("UNLISTEN"),
    "notify_stmt": _other("NOTIFY"),
    "discard_stmt": _other("DISCARD"),
    "sec_label_stmt": _other("SECURITY LABEL"),
    "rename_stmt": _rename,
    "alter_object_schema_stmt": _set_schema,
    "alter_owner_stmt": _owner,
    "alter_enum_stmt": _alter_enum,
    "alter_seq_stmt": _alter_sequence,
    "grant_stmt": _grant,
    "grant_role_stmt": _grant_role,
    "lock_stmt": _lock,
    "reindex_stmt": _reindex,
    "refresh_mat_view_stmt": _refresh,
    "vacuum_stmt": _vacuum,
    "variable_set_stmt": _set,
    "comment_stmt": lambda tree, _: (Comment(name_of(tree.object)),),
    "transaction_stmt": _transaction,
    "do_stmt": _one(HiddenStatement("DO block")),
    "call_stmt": lambda tree, _: (HiddenStatement(f"procedure {called(tree.funccall)}"),),
    "execute_stmt": lambda tree, _: (HiddenStatement(f"EXECUTE {tree.name}"),),
    "prepare_stmt": lambda tree, _: (HiddenStatement(f"PREPARE {tree.name}"),),
}
