import re

import pytest

from replyx_db_agent.core.mermaid import MAX_CHARACTERS, er_diagram
from replyx_db_agent.core.schema import SchemaObject, snapshot_of


def table(name, columns, *constraints, **attributes):
    yield SchemaObject("table", name, None, attributes)
    for column, kind in columns.items():
        null = "allowed" if kind.endswith("?") else "forbidden"
        yield SchemaObject(
            "column", f"{name}.{column}", name, {"type": kind.rstrip("?"), "null": null}
        )
    for number, definition in enumerate(constraints):
        yield SchemaObject("constraint", f"{name}.c{number}", name, {"definition": definition})


def diagram(*tables):
    return er_diagram(snapshot_of(thing for parts in tables for thing in parts)).text


USERS = list(
    table("users", {"id": "bigint", "email": "text"}, "PRIMARY KEY (id)", "UNIQUE (email)")
)


def test_tables_columns_and_keys_are_drawn():
    assert diagram(USERS) == (
        "erDiagram\n    users {\n        bigint id PK\n        text email UK\n    }"
    )


@pytest.mark.parametrize(
    ("column", "constraints", "line"),
    [
        ("bigint", [], "users ||--o{ notes"),
        ("bigint?", [], "users |o--o{ notes"),
        ("bigint", ["UNIQUE (user_id)"], "users ||--o| notes"),
        ("bigint", ["PRIMARY KEY (user_id)"], "users ||--o| notes"),
        ("bigint", ["UNIQUE NULLS NOT DISTINCT (user_id)"], "users ||--o| notes"),
        ("bigint", ["UNIQUE (user_id, at)"], "users ||--o{ notes"),
    ],
)
def test_a_foreign_key_says_how_many(column, constraints, line):
    key = "FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE"
    notes = table("notes", {"user_id": column, "at": "date"}, key, *constraints)

    assert f'    {line} : "user_id"' in diagram(USERS, notes)


def test_keys_of_several_columns_and_quoted_names_are_read():
    child = table(
        'billing."Счёт, строка"',
        {"a": "int", '"б"': "int"},
        'FOREIGN KEY (a, "б") REFERENCES billing."Счёт"(x, "y)")',
    )

    text = diagram(child, table('billing."Счёт"', {"x": "int"}))

    assert '    "billing.Счёт" ||--o{ "billing.Счёт, строка" : "a, б"' in text
    assert "        int б FK" in text


def test_a_key_to_an_unknown_table_is_left_out():
    child = table("notes", {"a": "int"}, "FOREIGN KEY (a) REFERENCES elsewhere(id)")

    assert "elsewhere" not in diagram(child)


def test_partitions_are_told_with_their_parent():
    part = table("events_2025", {"id": "int"}, **{"partition bound": "FOR VALUES IN (1)"})

    assert "events_2025" not in diagram(part, table("events", {"id": "int"}))


@pytest.mark.parametrize(
    ("given", "drawn"),
    [
        ("timestamp with time zone", "timestamptz"),
        ("timestamp(3) with time zone", "timestamptz(3)"),
        ("timestamp without time zone", "timestamp"),
        ("character varying(255)[]", "varchar(255)[]"),
        ("numeric(10,2)", "numeric(10_2)"),
        ("double precision", "double_precision"),
        ('billing."Мой тип"', "billing"),
        ('"1x"', "t_1x"),
        ("vector(1536)", "vector(1536)"),
        ("", "unknown"),
    ],
)
def test_types_are_one_word(given, drawn):
    assert f"        {drawn} a" in diagram(table("t", {"a": given}))


@pytest.mark.parametrize(
    ("given", "drawn"),
    [
        ("one", '"one"'),
        ("class", '"class"'),
        ('"<script>"', '"_script_"'),
        ('"a""b%\\c\n"', "ab__c_"),
        ("dialog_messages", "dialog_messages"),
        ('"👩‍💻"', '"___"'),
    ],
)
def test_names_that_mermaid_would_stumble_over_are_made_safe(given, drawn):
    assert f"    {drawn} {{" in diagram(table(given, {"a": "int"}))


def test_unlike_tables_stay_unlike():
    names = re.findall(
        r"^    (\S.*) \{$",
        diagram(*[table(n, {"a": "int"}) for n in ("a-b", '"a-b"', "a_b", '"a<b"', '"a>b"')]),
        re.M,
    )

    assert len(names) == len(set(names)) == 5


def test_a_column_called_like_a_mark_is_told_apart():
    assert "        int pk_\n        int _1a" in diagram(table("t", {"pk": "int", '"1a"': "int"}))


def test_a_large_schema_is_drawn_with_less_detail():
    def many(columns, tables):
        names = {f"column_number_{n}": "bigint" for n in range(columns)}
        things = [
            t for n in range(tables) for t in table(f"t{n}", names, "PRIMARY KEY (column_number_0)")
        ]
        return er_diagram(snapshot_of(things))

    assert many(2, 10).detail == "columns"
    assert many(40, 100).detail == "keys"
    assert many(2, 900).detail == "relations"
    assert len(many(40, 100).text) <= MAX_CHARACTERS
