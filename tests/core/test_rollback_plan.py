import pytest

from replyx_db_agent.core.rollback_plan import (
    Command,
    check_queries,
    commands,
    find_section,
    insert_section,
    missing_parts,
    names_missing,
    skeleton,
)

REVISION = "202511231550"

HEADINGS = """\
# План отката

## 202511010900 other
### Изменение
users.other

## 202511231550 drop_legacy_ref

### Изменение

Удаляем колонку `users.legacy_ref`; строки остаются в `users_legacy_ref_archive`.

### Риск

Короткая блокировка ACCESS EXCLUSIVE, 2 млн строк.

### Откат

```bash
# сначала вернуть колонку
alembic downgrade 202511231549
```

```sql
UPDATE users SET legacy_ref = a.legacy_ref
FROM users_legacy_ref_archive a WHERE a.id = users.id;
```

### Проверки после отката

- /healthz отвечает
```sql
SELECT count(*) FROM users WHERE legacy_ref IS NULL;
```

## 202512010000 next
text
"""


def section_of(body: str, revision: str = REVISION):
    section = find_section(f"## {revision} name\n{body}\n", revision)
    assert section is not None
    return section


def with_rollback(body: str):
    return section_of(f"### Откат\n{body}")


def test_a_section_is_found_to_the_byte_and_its_parts_are_read():
    section = find_section(HEADINGS, REVISION)

    assert section is not None
    assert HEADINGS[HEADINGS.index("## 202511231550") : HEADINGS.index("## 202512010000")] == (
        section.text
    )
    assert section.change.startswith("Удаляем колонку `users.legacy_ref`")
    assert section.risk == "Короткая блокировка ACCESS EXCLUSIVE, 2 млн строк."
    assert section.rollback.startswith("```bash")
    assert section.checks.endswith("```")
    assert missing_parts(section) == ()


@pytest.mark.parametrize(
    "form",
    [
        "- Изменение: A\n- Риск: B\n- Откат: C\n- Проверки после отката: D",
        "\t•\tИзменение: A\n\t•\tРиск: B\n\t•\tОткат: C\n\t•\tПроверки после отката: D",
        "**Изменение:** A\n\n**Риск:** B\n\n**Откат:** C\n\n**Проверки после отката:** D",
        "**Change**: A\n**Risk**: B\n**Rollback**: C\n**Checks after rollback**: D",
        "* **CHANGE:** A\n* **RISK:** B\n* **ROLLBACK:** C\n* **CHECKS AFTER ROLLBACK:** D",
        "### Change\nA\n### Risk\nB\n### Rollback\nC\n### Checks after rollback\nD",
        "### 1. Изменение\nA\n### 2. Риск\nB\n### 🔁 Откат\nC\n### 4. Проверки после отката:\nD",
        "### изменение: A\n### РИСК: B\n#### Откат: C\n### Проверка после отката ###\nD",
        "1. Change: A\n2. Risk: B\n3. Rollback: C\n4. Checks after rollback: D",
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_parts_are_read_in_every_form_people_use(form, line_end):
    section = section_of(form.replace("\n", line_end))

    assert (section.change, section.risk, section.rollback, section.checks) == ("A", "B", "C", "D")


def test_a_label_inside_a_headed_part_does_not_move_its_text():
    section = section_of("### Риск\n- Откат: займёт 5 минут\n### Откат\n`alembic downgrade -1`")

    assert section.risk == "- Откат: займёт 5 минут"
    assert section.rollback == "`alembic downgrade -1`"


def test_text_under_an_unknown_heading_belongs_to_no_part():
    section = section_of("### Риск\nнет блокировок\n### Заметки\nчужое")

    assert section.risk == "нет блокировок"


@pytest.mark.parametrize(
    ("heading", "found"),
    [
        ("## 202511231550 drop", True),
        ("## 202511231550", True),
        ("## `202511231550` drop", True),
        ("## Revision 202511231550: drop", True),
        ("## 202511231550_drop_legacy_ref.py", True),
        ("   ## 202511231550 ##", True),
        ("\ufeff## 202511231550 drop", True),
        ("## 2025112315501 drop", False),
        ("## x202511231550 drop", False),
        ("## drop", False),
        ("# 202511231550 drop", False),
        ("### 202511231550 drop", False),
        ("    ## 202511231550 drop", False),
        ("##202511231550 drop", False),
        ("```\n## 202511231550 drop\n```", False),
        ("~~~md\n```\n## 202511231550 drop\n~~~", False),
        ("<!--\n## 202511231550 drop\n-->", False),
        ("<!-- ## 202511231550 drop -->", False),
        ("## <!-- 202511231550 --> drop", False),
        ("text\n```sql\n## 202511231550 in a fence that nobody closed", False),
    ],
)
def test_only_a_level_two_heading_with_the_whole_identifier_is_a_section(heading, found):
    assert (find_section(heading + "\ntext\n", REVISION) is not None) is found


def test_an_exact_heading_wins_over_a_file_name_that_starts_alike():
    text = "## ab_old\n### Риск\nfirst\n## ab\n### Риск\nsecond\n"

    section = find_section(text, "ab")

    assert section is not None
    assert section.risk == "second"


def test_an_empty_identifier_finds_nothing():
    assert find_section(HEADINGS, "") is None


@pytest.mark.parametrize(
    "nothing",
    [
        "",
        "   \n\t",
        "<!-- что именно меняли -->",
        "<!-- several\nlines -->",
        "TODO",
        "TODO: describe the change",
        "TBD.",
        "...",
        "…",
        "нет",
        "Нет.",
        "-",
        "- —",
        "n/a",
        "<опишите изменение>",
        "[описание]",
        "- [описание]",
        "**TODO**",
        "```sql\n```",
        "```bash\n# TODO\n```",
        "```sql\n-- TBD\n```",
        "> ...",
        "- \n- TODO\n",
        "точные команды alembic downgrade и SQL (DROP/RENAME/RECREATE).",
        "блокирующие операции? объём данных? время?",
    ],
)
def test_a_placeholder_is_an_empty_part(nothing):
    full = "### Изменение\nx\n### Риск\n{}\n### Откат\n`alembic downgrade -1`\n### Checks\nno"
    section = section_of(full.format(nothing) + "\n### Checks after rollback\nhealth")

    assert missing_parts(section) == ("risk",)


@pytest.mark.parametrize(
    "something",
    [
        "нет блокировок",
        "[ticket](https://example.com) explains it",
        "- [ ] проверить /healthz",
        "Todos los usuarios",
        "no rows are lost",
        "TODO\nустранён",
    ],
)
def test_words_are_not_taken_for_a_placeholder(something):
    assert "risk" not in missing_parts(section_of(f"### Риск\n{something}"))


def test_a_section_without_headings_misses_every_part_in_order():
    assert missing_parts(section_of("just words")) == ("change", "risk", "rollback", "checks")


@pytest.mark.parametrize(
    ("change", "objects", "missing"),
    [
        ("Удаляем users.legacy_ref", ["users.legacy_ref", "users"], []),
        ("Удаляем `legacy_ref` из таблицы `users`", ["users.legacy_ref"], []),
        ('Drop "legacy_ref" of "users".', ["users.legacy_ref"], []),
        ("Drop legacy_ref", ["users.legacy_ref"], ["users.legacy_ref"]),
        ("Drop users.legacy_ref_2", ["users.legacy_ref"], ["users.legacy_ref"]),
        ("Drop old_users.legacy_ref", ["users.legacy_ref"], ["users.legacy_ref"]),
        ("Drop USERS.Legacy_Ref", ["users.legacy_ref"], []),
        ("<!-- users.legacy_ref --> Drop it", ["users.legacy_ref"], ["users.legacy_ref"]),
        ("```sql\nDROP TABLE users\n```", ["users"], []),
        ("Drop events of billing", ["billing.events"], []),
        ("Drop events.payload", ["billing.events.payload"], []),
        ('Убираем "имя клиента" из Клиенты', ['Клиенты."имя клиента"'], []),
        ("Replace touch", ["touch(integer, billing.money)"], []),
        ("a+b", ["a.b"], []),
        ("axb", ["a.b"], ["a.b"]),
        ("", ["users"], ["users"]),
    ],
)
def test_an_object_is_named_when_its_words_occur(change, objects, missing):
    assert names_missing(section_of(f"### Изменение\n{change}"), objects) == tuple(missing)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("```bash\nalembic downgrade abc\n```", [("downgrade", "abc")]),
        ("```\nalembic downgrade -1\n```", [("downgrade", "-1")]),
        ("```sh\n$ alembic downgrade base\n```", [("downgrade", "base")]),
        ("~~~\nalembic upgrade head\n~~~", [("upgrade", "head")]),
        ("Выполнить `alembic downgrade abc`.", [("downgrade", "abc")]),
        ("`` alembic downgrade abc ``", [("downgrade", "abc")]),
        ("`alembic\ndowngrade abc`", [("downgrade", "abc")]),
        ("```\nalembic -c alembic.ini downgrade abc\n```", [("downgrade", "abc")]),
        ("```\nalembic --config=a.ini -x tenant=1 downgrade abc\n```", [("downgrade", "abc")]),
        ("```\npoetry run alembic downgrade abc\n```", [("downgrade", "abc")]),
        ("```\nuv run --frozen alembic downgrade abc\n```", [("downgrade", "abc")]),
        ("```\npython -m alembic downgrade abc\n```", [("downgrade", "abc")]),
        ("```\n.venv/bin/alembic downgrade abc\n```", [("downgrade", "abc")]),
        ("```\nA=1 B='x y' alembic downgrade abc\n```", [("downgrade", "abc")]),
        ("```\ndocker compose exec api alembic downgrade abc\n```", [("downgrade", "abc")]),
        ("```\nalembic \\\n  downgrade abc  # back\n```", [("downgrade", "abc")]),
        (
            "```\nalembic downgrade a && alembic upgrade b\n```",
            [("downgrade", "a"), ("upgrade", "b")],
        ),
        ("```\nalembic downgrade abc; psql -f x.sql\n```", [("downgrade", "abc"), ("other", None)]),
        ("```\nalembic downgrade abc 2>&1\n```", [("other", None)]),
        ("```\nalembic downgrade abc --sql\n```", [("other", None)]),
        ("```\nalembic downgrade\n```", [("downgrade", None)]),
        ("```\nalembic stamp abc\n```", [("other", None)]),
        ("```\ncd backend\nalembic current\nalembic downgrade abc\n```", [("downgrade", "abc")]),
        ("```\necho alembic downgrade abc\n```", []),
        ("```\ncat 'unclosed\n```", [("other", None)]),
        ("```\n# alembic downgrade abc\n\n```", []),
        ("<!-- `alembic downgrade abc` -->", []),
        ("alembic downgrade abc", []),
        ("`users` и `alembic_version`", []),
        ("`./scripts/restore.sh users`", [("other", None)]),
        ("`DROP INDEX ix_users;`", [("sql", None)]),
        ("убрать `DROP COLUMN`", []),
        ("```sql\n-- nothing\n```", []),
        ("```text\nINFO  [alembic] Running downgrade\n```", []),
        ("```SQL\nSELECT 1;\nSELECT 2;\n```", [("sql", None)]),
    ],
)
def test_commands_are_read_from_code_only(written, expected):
    found = commands(with_rollback(written))

    assert [(command.kind, command.target) for command in found] == expected


def test_commands_keep_the_order_they_are_written_in():
    section = with_rollback(
        "1. `alembic downgrade abc`\n\n"
        "2. вернуть строки:\n"
        "   ```sql\n   UPDATE users\n     SET a = 1;\n   ```\n"
        "3. и наконец\n```bash\nmake restart\n```"
    )

    assert commands(section) == (
        Command("downgrade", "alembic downgrade abc", "abc"),
        Command("sql", "UPDATE users\n  SET a = 1;"),
        Command("other", "make restart"),
    )


def test_checks_give_their_sql_blocks():
    section = find_section(HEADINGS, REVISION)

    assert section is not None
    assert check_queries(section) == ("SELECT count(*) FROM users WHERE legacy_ref IS NULL;",)


@pytest.mark.parametrize("language", ["ru", "en"])
def test_a_skeleton_has_four_parts_and_says_nothing(language):
    text = skeleton(REVISION, "drop_legacy_ref", language)
    section = find_section(text, REVISION)

    assert section is not None
    assert text.startswith("## 202511231550 drop_legacy_ref\n")
    assert text.count("\n### ") == 4
    assert missing_parts(section) == ("change", "risk", "rollback", "checks")
    assert commands(section) == ()


def test_a_hostile_short_name_cannot_forge_a_heading():
    text = skeleton(REVISION, "x\n## 202501010000 y <!--", "ru")

    assert find_section(text, REVISION) is not None
    assert text.count("\n## ") == 0
    assert "<!-- Что" in text


@pytest.mark.parametrize(
    "existing",
    [
        "",
        "# План\n",
        "# План\n\nслова без конца строки",
        "# План\r\n\r\nслова\r\n",
        HEADINGS.replace(REVISION, "202511231551"),
        "# План\n\n```sql\nSELECT 1;",
        "# План\n<!-- забыли закрыть\n",
        "\n\n",
    ],
)
def test_inserting_keeps_every_byte_and_happens_once(existing):
    section = skeleton(REVISION, "drop_legacy_ref", "ru")

    once = insert_section(existing, section)

    assert existing in once
    assert find_section(once, REVISION) is not None
    assert insert_section(once, section) == once
    assert ("\r\n" in once) is ("\r\n" in existing)
    assert "\n" not in once.replace("\r\n", "") if "\r\n" in existing else True


def test_a_filled_section_is_never_replaced():
    assert insert_section(HEADINGS, skeleton(REVISION, "other_name", "ru")) == HEADINGS


def test_sections_inserted_one_after_another_stand_apart():
    text = ""
    for revision in ("202501010000", "202501010001", "202501010002"):
        text = insert_section(text, skeleton(revision, "step", "en"))

    for revision in ("202501010000", "202501010001", "202501010002"):
        section = find_section(text, revision)
        assert section is not None
        assert section.text.count("## 2025") == 1
