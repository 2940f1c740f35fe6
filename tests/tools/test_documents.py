import re
from dataclasses import replace
from difflib import unified_diff

import psycopg
import pytest
from markdown_it import MarkdownIt

from replyx_db_agent.core.rollback_plan import find_section, insert_section, skeleton
from replyx_db_agent.core.schema import SchemaObject, snapshot_of
from replyx_db_agent.cycle.documents import QueryRow, RevisionRow, render_documents
from replyx_db_agent.engines.catalog import snapshot

LANGUAGES = ("ru", "en")
PATHS = (
    "docs/db/schema.md",
    "docs/db/migrations.md",
    "docs/db/indexes.md",
    "docs/db/rollback_plan.md",
)
HOSTILE = [
    "<script>alert(1)</script>",
    "a|b",
    "`tick`",
    "two\n## lines",
    "[click](https://example.com) ![x](https://example.com/x.png)",
    "имя 👩‍💻 таблицы",
    "<!-- replyx-db-agent:end tables -->",
    "-->",
    "{{ 7 * 7 }}{% raw %}",
    "\\|",
    "**bold** _it_ ~~x~~",
    "'; DROP TABLE users; --",
    "\x1b[31m\u202e",
]


def thing(kind, name, table=None, /, **attributes):
    return SchemaObject(kind, name, table, {k.replace("_", " "): v for k, v in attributes.items()})


OBJECTS = [
    thing("table", "users", comment="Аккаунты ReplyX"),
    thing(
        "column",
        "users.id",
        "users",
        type="bigint",
        null="forbidden",
        identity="by default, start 1",
    ),
    thing("column", "users.email", "users", type="text", null="forbidden, not validated"),
    thing(
        "column",
        "users.plan",
        "users",
        type="plan",
        null="allowed",
        default="'free'::plan",
        comment="Тариф",
    ),
    thing("constraint", "users.pk_users", "users", definition="PRIMARY KEY (id)"),
    thing("constraint", "users.ck_email", "users", definition="CHECK (email <> '')", valid="no"),
    thing(
        "index",
        "uq_users_email",
        "users",
        definition="CREATE UNIQUE INDEX uq_users_email ON users USING btree (lower(email))",
        comment="вход по почте",
    ),
    thing(
        "trigger",
        "users.touch",
        "users",
        definition="CREATE TRIGGER touch BEFORE UPDATE ON users",
        enabled="no",
    ),
    thing(
        "policy",
        "users.own",
        "users",
        kind="permissive",
        command="select",
        roles="public",
        using="(id = 1)",
    ),
    thing("table", "dialogs", partition_key="RANGE (at)"),
    thing("column", "dialogs.user_id", "dialogs", type="bigint", null="forbidden"),
    thing(
        "constraint",
        "dialogs.fk",
        "dialogs",
        definition="FOREIGN KEY (user_id) REFERENCES users(id)",
    ),
    thing(
        "index",
        "ix_dialogs",
        "dialogs",
        definition="CREATE INDEX ix_dialogs ON ONLY dialogs USING btree (user_id) INCLUDE (at)",
        valid="no",
    ),
    thing(
        "table",
        "dialogs_2025",
        partition_bound="FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')",
        inherits="dialogs",
    ),
    thing(
        "index",
        "ix_dialogs_2025",
        "dialogs_2025",
        definition="CREATE INDEX x ON y USING btree (z)",
        inherited="yes",
    ),
    thing("enum", "plan", labels="'free', 'pro'", comment="Тарифы"),
    thing("extension", "vector", version="0.8.0", schema="public"),
    thing("view", "active_users", definition=" SELECT id\n   FROM users;", comment="Кто активен"),
    thing("materialized view", "totals", definition=" SELECT 1;", options="fillfactor=70"),
    thing("function", "touch()", definition="CREATE FUNCTION touch() ..."),
    thing("sequence", "numbers", options="start 1 increment 1"),
    thing("schema", "public"),
    thing("schema", "billing"),
]
SNAPSHOT = snapshot_of(OBJECTS)
HISTORY = (
    RevisionRow("202501010000", "alembic/versions/202501010000_users.py", "Create users."),
    RevisionRow("202502010000", "alembic/versions/202502010000_b.py", "Branch.", ("202501010000",)),
    RevisionRow(
        "202503010000", "alembic/versions/m.py", "Merge.", ("202501010000", "202502010000")
    ),
)
QUERIES = (
    QueryRow("last_messages", "scripts/hot_queries/last_messages.sql", 50, ("dialogs", "users")),
    QueryRow("by_user", "scripts/hot_queries/by_user.sql", None, ("users",)),
)
RISKS = {"202501010000": "low", "202502010000": "посмотреть | вручную"}


def rendered(existing=None, language="ru", of=SNAPSHOT, history=HISTORY):
    return render_documents(of, history, language, existing or {}, RISKS, QUERIES)


def changed_lines(before, after):
    return [
        line[1:]
        for line in unified_diff(before.split("\n"), after.split("\n"), lineterm="", n=0)
        if line[0] in "+-" and not line.startswith(("+++", "---")) and "sha256=" not in line
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_same_input_gives_the_same_bytes(language):
    once = rendered(language=language)

    assert tuple(once) == PATHS
    assert rendered(language=language) == once
    assert rendered(once, language) == once


def test_order_of_objects_other_than_columns_does_not_matter():
    columns = [o for o in OBJECTS if o.kind == "column"]
    others = [o for o in reversed(OBJECTS) if o.kind != "column"]

    assert rendered(of=snapshot_of(others + columns)) == rendered()


def test_the_schema_tells_everything_of_a_table():
    text = rendered()["docs/db/schema.md"]

    for line in (
        "# Схема базы данных",
        "### users\n\nАккаунты ReplyX\n",
        "| `id` | `bigint` | нет | `identity by default` |  |",
        "| `email` | `text` | нет, не проверено |  |  |",
        "| `plan` | `plan` | да | `'free'::plan` | Тариф |",
        "| `pk_users` | `PRIMARY KEY (id)` |  |",
        "| `ck_email` | `CHECK (email <> '') NOT VALID` |  |",
        "| `touch` | `CREATE TRIGGER touch BEFORE UPDATE ON users` | нет |",
        "| `own` | permissive | select | `public` | `(id = 1)` |  |  |",
        "- partition key: RANGE (at)\n",
        "| `dialogs_2025` | `FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')` |  |",
        "(user_id) INCLUDE (at)` **INVALID, нужно пересоздать** |",
        "| `plan` | `'free', 'pro'` | Тарифы |",
        "| `vector` | 0.8.0 | `public` |",
        "### active_users\n\nКто активен\n\n```sql\n SELECT id\n   FROM users;\n```",
        "### totals (материализованное)\n\n- options: fillfactor=70\n",
        "### touch()\n\n```sql\nCREATE FUNCTION touch() ...\n```",
        "| sequence | `numbers` | options: start 1 increment 1 |  |",
        "| schema | `billing` |  |  |",
        '    users ||--o{ dialogs : "user_id"',
    ):
        assert line in text
    assert "### dialogs_2025" not in text
    assert "| schema | `public`" not in text


def test_migrations_list_the_revisions_in_their_order():
    text = rendered()["docs/db/migrations.md"]

    assert [line for line in text.split("\n") if line.startswith("| `2025")] == [
        "| `202501010000` | Create users. | низкий | base "
        "| `alembic/versions/202501010000_users.py` |",
        "| `202502010000` | Branch. | посмотреть \\| вручную | `202501010000` "
        "| `alembic/versions/202502010000_b.py` |",
        "| `202503010000` | Merge. | не оценён | `202501010000`, `202502010000` "
        "| `alembic/versions/m.py` |",
    ]


def test_indexes_list_keys_too_and_the_hot_queries():
    text = rendered()["docs/db/indexes.md"]

    assert "| `pk_users` | `users` | btree | `PRIMARY KEY (id)` |  |" in text
    assert (
        "| `uq_users_email` | `users` | btree | `UNIQUE (lower(email))` | вход по почте |" in text
    )
    assert "| btree | `(user_id) INCLUDE (at)` | INVALID, нужно пересоздать. " in text
    assert "ix_dialogs_2025" not in text
    assert "| by_user | `users` | не задан | `scripts/hot_queries/by_user.sql` |" in text
    assert "| last_messages | `dialogs`, `users` | 50 |" in text


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (
            "docs/db/migrations.md",
            "YYYYMMDDHHMM_short_name.py|10 релизов|ADR|NOWAIT|lock_timeout|statement_timeout|"
            "Одна фича, одна миграция|в два шага|тихих изменений данных|пачками",
        ),
        (
            "docs/db/indexes.md",
            "топ-N|p95|pg_stat_user_indexes|pg_stat_statements|(user_id)|lists|ef_search|`m`|"
            "IVFFlat|HNSW",
        ),
        ("docs/db/rollback_plan.md", "Изменение:|Риск:|Откат:|Проверки после отката:"),
    ],
)
def test_the_policies_of_the_seed_are_there(path, words):
    text = rendered()[path]

    assert [word for word in words.split("|") if word not in text] == []


def test_the_index_policy_names_only_tables_that_there_are():
    def policy(*tables):
        snapshot = snapshot_of(SchemaObject("table", name, name, {}) for name in tables)
        return render_documents(snapshot, [], "en", {})["docs/db/indexes.md"]

    assert "(dialog_id, created_at DESC)" in policy("dialog_messages")
    assert "dialog_messages" not in policy("products")
    assert "pgvector" not in policy("products")


@pytest.mark.parametrize("path", PATHS)
def test_both_languages_have_the_same_shape(path):
    def shape(language):
        lines = rendered(language=language)[path].split("\n")
        return [re.match(r"#* |\||- |```|<!-- replyx\S* \S*|", line)[0] for line in lines]

    assert shape("ru") == shape("en")


def test_the_english_documents_hold_no_russian_words_of_ours():
    texts = render_documents(snapshot_of([]), HISTORY, "en", {}).values()

    assert [word for text in texts for word in re.findall("[а-яё]+", text, re.I)] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_empty_database_gives_whole_documents(language):
    documents = render_documents(snapshot_of([]), (), language, {})

    assert all(text.startswith("# ") for text in documents.values())
    assert "mermaid" not in documents["docs/db/schema.md"]
    assert render_documents(snapshot_of([]), (), language, documents) == documents


def test_one_new_column_is_a_diff_of_few_lines():
    column = thing("column", "users.nickname", "users", type="text", null="allowed")
    before, after = rendered(), rendered(of=snapshot_of([*OBJECTS, column]))

    assert changed_lines(before["docs/db/schema.md"], after["docs/db/schema.md"]) == [
        "        text nickname",
        "| `nickname` | `text` | да |  |  |",
    ]
    assert {p for p in PATHS if before[p] != after[p]} == {"docs/db/schema.md"}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("language", LANGUAGES)
def test_hostile_names_and_comments_stay_text(name, language):
    plain, documents = everything_called("plain", language), everything_called(name, language)

    for path, text in documents.items():
        assert acting_parts(text) == acting_parts(plain[path])
        assert markers(text) == markers(plain[path])
        assert not set(text) & {"\x1b", "\u202e"}
        prose = re.sub(r"^(`{3,})\w+\n.*?^\1$", "", text, flags=re.M | re.S)
        assert "<script" not in prose
        for table in re.findall(r"(?:^\|.*\n)+", prose, re.M):
            assert len({cells(row) for row in table.splitlines()}) == 1
    assert everything_called(name, language, documents) == documents


def everything_called(name, language, existing=None):
    """Render a database whose every name, comment and definition holds the name."""

    def renamed(text):
        return text and f'{text}."{name}"'

    objects = []
    for o in OBJECTS:
        new_name = renamed(o.name)
        if o.table and o.name.startswith(f"{o.table}."):
            new_name = f"{renamed(o.table)}.{renamed(o.local_name)}"
        attributes = {key: f"{value} {name}" for key, value in o.attributes.items()}
        attributes |= {"inherits": renamed(o.attributes.get("inherits")), "comment": name}
        attributes |= {key: o.attributes[key] for key in ("valid", "null") if key in o.attributes}
        objects.append(replace(o, name=new_name, table=renamed(o.table), attributes=attributes))
    history = (RevisionRow(name, name, name, (name,)),)
    queries = (QueryRow(name, name, 1.5, (name,)),)
    return render_documents(
        snapshot_of(objects), history, language, existing or {}, {name: name}, queries
    )


def acting_parts(text):
    """The headings' depths, links, images, emphasis and HTML that a reader of Markdown finds."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    inline = [child for token in tokens for child in token.children or ()]
    return [
        re.sub("sha256=.*? ", "", token.content) or token.tag
        for token in [*tokens, *inline]
        if token.type.startswith(
            ("html_", "link_open", "image", "em_", "strong_", "s_", "heading_o")
        )
    ]


def markers(text):
    return re.findall(r"<!-- replyx\S* \w+", text)


def cells(row):
    """How many cells GitHub sees: a backslash takes the next character with it."""
    return len(re.sub(r"\\.", "", row).split("|"))


WORDS = "# Наша схема\n\nРукой людей: `<b>`, | таблица |\n\n## Раздел\r\nконец без строки"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_what_people_wrote_outside_is_kept(path, language):
    once = rendered({path: WORDS}, language)

    block = r"(?s)\s*<!-- replyx-db-agent:begin \w+.*?:end \w+ -->\s*"
    assert re.sub(r"\s", "", re.sub(block, "", once[path])) == re.sub(r"\s", "", WORDS)
    assert all(line in once[path] for line in WORDS.splitlines())
    assert rendered(once, language) == once


def test_words_between_the_blocks_survive_a_changed_schema():
    before = dict(rendered())
    before["docs/db/indexes.md"] += "\n`uq_users_email`: вход, 40 мс -> 0.2 мс 👩‍💻\n"

    after = rendered(before, of=snapshot_of(o for o in OBJECTS if o.kind != "index"))

    assert after["docs/db/indexes.md"].endswith("\n`uq_users_email`: вход, 40 мс -> 0.2 мс 👩‍💻\n")
    assert "| `uq_users_email`" not in after["docs/db/indexes.md"]


@pytest.mark.parametrize(("language", "heading"), [("ru", "Правки вручную"), ("en", "Hand edits")])
def test_a_hand_edit_inside_a_block_is_kept_once(language, heading):
    before = dict(rendered(language=language))
    path = "docs/db/schema.md"
    before[path] = before[path].replace("Аккаунты ReplyX", "Аккаунты, поправлено рукой")

    once = rendered(before, language)

    assert once[path].count(f"## {heading} (tables)") == 1
    assert once[path].count("поправлено рукой") == 1
    assert "### users\n\nАккаунты ReplyX\n" in once[path]
    assert rendered(once, language) == once


def test_sections_of_revisions_in_the_rollback_plan_are_never_touched():
    path = "docs/db/rollback_plan.md"
    plan = insert_section("", skeleton("202511231550", "drop_legacy_ref", "ru"))
    plan = plan.replace("### Риск\n", "### Риск\n\nдолго\n")

    text = rendered({path: plan})[path]

    assert text.endswith(plan)
    assert find_section(text, "202511231550") == find_section(plan, "202511231550")
    more = insert_section(text, skeleton("202512010000", "next", "ru"))
    assert rendered({path: more})[path] == more
    assert find_section(rendered()[path], "YYYYMMDDHHMM") is None


def test_a_real_database_is_documented(shadow):
    with psycopg.connect(shadow.url.replace("+psycopg", ""), autocommit=True) as conn:
        conn.execute(REAL)
        taken = snapshot(lambda text: conn.execute(text).fetchall())

    documents = render_documents(taken, HISTORY, "ru", {})
    schema, indexes = documents["docs/db/schema.md"], documents["docs/db/indexes.md"]

    assert "### users\n\nАккаунты \\| &lt;b&gt;\n" in schema
    assert "| `email` | `text` | нет | `''::text` | почта |" in schema
    assert '    users |o--o{ "Диалоги" : "user_id"' in schema
    assert "        bigint id PK" in schema
    assert "| `events_2025` | `FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')` |  |" in schema
    assert "| `mood` | `'good', 'it''s \\| bad'` |  |" in schema
    assert "| `ix_events_at` | `events` | btree | `(at DESC)` | лента |" in indexes
    assert "events_2025" not in indexes
    assert render_documents(taken, HISTORY, "ru", documents) == documents


REAL = """
CREATE TYPE mood AS ENUM ('good', 'it''s | bad');
CREATE TABLE users (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    email text NOT NULL DEFAULT ''
);
COMMENT ON TABLE users IS 'Аккаунты | <b>';
COMMENT ON COLUMN users.email IS 'почта';
CREATE TABLE "Диалоги" (user_id bigint REFERENCES users ON DELETE CASCADE, mood mood);
CREATE TABLE events (at date NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE INDEX ix_events_at ON events (at DESC);
COMMENT ON INDEX ix_events_at IS 'лента';
CREATE VIEW emails AS SELECT email FROM users;
"""
