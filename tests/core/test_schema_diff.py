"""The difference between two snapshots, said in words."""

from __future__ import annotations

import pytest

from replyx_db_agent.core.schema import (
    SchemaObject,
    Snapshot,
    diff,
    snapshot_of,
    suggest_renames,
    trace_left,
)


def table(name: str, **attributes: str) -> SchemaObject:
    return SchemaObject("table", name, None, _with_spaces(attributes))


def column(name: str, **attributes: str) -> SchemaObject:
    given = {"type": "integer", "null": "allowed", **_with_spaces(attributes)}
    return SchemaObject("column", name, name.rpartition(".")[0], given)


def index(name: str, of: str, **attributes: str) -> SchemaObject:
    given = {"definition": f"CREATE INDEX {name} ON {of} USING btree (id)", **attributes}
    return SchemaObject("index", name, of, given)


def thing(kind: str, name: str, of: str | None = None, **attributes: str) -> SchemaObject:
    return SchemaObject(kind, name, of, _with_spaces(attributes))


def _with_spaces(attributes: dict[str, str]) -> dict[str, str]:
    return {key.replace("_", " "): value for key, value in attributes.items()}


USERS = (table("users"), column("users.id", null="forbidden"), column("users.email", type="text"))
NOTHING = snapshot_of([])


def snapshot(*more: SchemaObject) -> Snapshot:
    return snapshot_of([*USERS, *more])


@pytest.mark.parametrize(
    ("before", "after", "detail"),
    [
        (
            [],
            [column("users.nickname", type="text")],
            'column "nickname" of type text, null allowed',
        ),
        ([column("users.n")], [], 'column "n" is missing'),
        ([column("users.n")], [column("users.n", type="bigint")], "type from integer to bigint"),
        ([column("users.n")], [column("users.n", default="0")], "default 0 is added"),
        ([column("users.n", default="0")], [column("users.n")], "default 0 is removed"),
        (
            [column("users.n")],
            [column("users.n", null="forbidden", type="bigint")],
            "type from integer to bigint; null from allowed to forbidden",
        ),
        ([index("ix_a", "users")], [], 'index "ix_a" is missing'),
        (
            [],
            [index("ix_a", "users")],
            'index "ix_a": CREATE INDEX ix_a ON users USING btree (id)',
        ),
        (
            [thing("enum", "status", labels="'a', 'b'")],
            [thing("enum", "status", labels="'a', 'it''s', 'b'")],
            "label 'it''s' is added",
        ),
        (
            [thing("enum", "status", labels="'a', 'b'")],
            [thing("enum", "status", labels="'b', 'a'")],
            "labels from 'a', 'b' to 'b', 'a'",
        ),
        (
            [thing("view", "v", definition="SELECT 1\nFROM a")],
            [thing("view", "v", definition="SELECT 2\nFROM a")],
            "definition differs",
        ),
        (
            [],
            [
                table("tags"),
                column("tags.id"),
                column("tags.a"),
                index("ix_b", "tags"),
                thing("constraint", "tags.pk", "tags", definition="PRIMARY KEY (id)"),
            ],
            'table "tags" with columns id, a; constraint pk; index ix_b',
        ),
        ([table("tags"), column("tags.id")], [], 'table "tags" is missing, with column id'),
    ],
)
def test_a_difference_is_one_change_said_in_words(
    before: list[SchemaObject], after: list[SchemaObject], detail: str
) -> None:
    assert [c.detail for c in diff(snapshot(*before), snapshot(*after))] == [detail]


def test_a_snapshot_does_not_differ_from_itself() -> None:
    assert diff(snapshot(), snapshot()) == ()


def test_additions_come_in_the_order_of_dependence_and_removals_in_reverse() -> None:
    these = [
        thing("trigger", "users.t", "users", definition="CREATE TRIGGER"),
        thing("view", "v", definition="SELECT"),
        index("ix", "users"),
        column("users.n"),
        table("tags"),
        thing("enum", "status", labels="'a'"),
        thing("extension", "vector", version="0.8"),
    ]
    order = ["extension", "enum", "table", "column", "index", "view", "trigger"]
    assert [c.object_kind for c in diff(snapshot(), snapshot(*these))] == order
    assert [c.object_kind for c in diff(snapshot(*these), snapshot())] == order[::-1]


def test_a_change_holds_only_the_attributes_that_changed() -> None:
    (change,) = diff(snapshot(column("users.n")), snapshot(column("users.n", type="bigint")))
    assert (change.before, change.after) == ({"type": "integer"}, {"type": "bigint"})
    assert (change.object, change.object_kind, change.table) == ("users.n", "column", "users")


def test_a_table_that_comes_holds_what_comes_with_it() -> None:
    (change,) = diff(NOTHING, snapshot())
    assert change.after == {
        "column id": "type integer, null forbidden",
        "column email": "type text, null allowed",
    }


def test_a_trigger_of_a_new_table_is_a_change_of_its_own() -> None:
    trigger = thing("trigger", "users.t", "users", definition="CREATE TRIGGER t")
    assert [c.object for c in diff(NOTHING, snapshot(trigger))] == ["users", "users.t"]


def test_what_partitions_inherit_is_told_once_with_their_parent() -> None:
    family = [table("events"), table("events_1", inherits="events")]
    more = [column("events.n"), column("events_1.n", inherited="yes")]
    (change,) = diff(snapshot_of(family), snapshot_of([*family, *more]))
    assert change.object == "events.n"


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ([index("ix_a", "users")], [], 'index "ix_a" is not restored'),
        ([], [thing("enum", "status", labels="'a'")], 'enum "status" is left behind'),
        (
            [column("users.n", type="character varying(50)")],
            [column("users.n", type="text")],
            'column "users.n" came back as text, it was character varying(50)',
        ),
        (
            [column("users.n", default="0")],
            [column("users.n")],
            'column "users.n" came back without default, it was 0',
        ),
        (
            [column("users.n")],
            [column("users.n", default="0")],
            'column "users.n" came back with default 0, it had none',
        ),
        (
            [thing("view", "v", definition="SELECT 1\nFROM a")],
            [thing("view", "v", definition="SELECT 2\nFROM a")],
            'view "v" came back with another definition',
        ),
    ],
)
def test_a_trace_says_what_the_way_back_did_not_restore(
    before: list[SchemaObject], after: list[SchemaObject], sentence: str
) -> None:
    assert trace_left(snapshot(*before), snapshot(*after)) == (sentence,)


@pytest.mark.parametrize(
    ("before", "after", "pairs"),
    [
        ([column("users.a")], [column("users.b")], (("users.a", "users.b"),)),
        ([column("users.a")], [column("users.b", null="forbidden")], (("users.a", "users.b"),)),
        ([column("users.a")], [column("users.b", type="bigint")], ()),
        ([column("users.a")], [column("users.b"), column("users.c")], ()),
        ([column("users.a"), table("t")], [table("t"), column("t.a")], ()),
        (
            [table("a"), column("a.id"), column("a.x", type="text")],
            [table("b"), column("b.x", type="text"), column("b.id")],
            (("a", "b"),),
        ),
        ([table("a"), column("a.id")], [table("b"), column("b.key")], ()),
    ],
)
def test_a_rename_is_suggested_where_there_is_exactly_one_candidate(
    before: list[SchemaObject],
    after: list[SchemaObject],
    pairs: tuple[tuple[str, str], ...],
) -> None:
    assert suggest_renames(diff(snapshot(*before), snapshot(*after))) == pairs
