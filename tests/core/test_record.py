from dataclasses import replace
from datetime import datetime

import pytest

from replyx_db_agent.core.record import DONE, TaskRecord, file_name, parse, render

DATE = datetime(2025, 11, 23, 15, 50, 7)
EMPTY = TaskRecord(date=DATE, status=DONE["ru"], task="Удалить legacy_ref")
FULL = TaskRecord(
    date=DATE,
    status="Завершено",
    task="Добавить рейтинг диалога",
    migrations=(
        ("alembic/versions/202511231550_add_rating.py", "колонка rating"),
        ("alembic/versions/202511231551_fill_rating.py", "заполнение"),
    ),
    models=(("backend/database/models.py", "Dialog.rating"),),
    new_tables=("ratings: оценки", "rating_log: журнал"),
    changed_columns=("dialogs.rating: smallint, null",),
    indexes=("ix_dialogs_rating",),
    relations=("dialogs.user_id -> users.id",),
    breaking=(),
    rollback=("docs/db/rollback_plan.md, 202511231550",),
    data_migration=("20 000 строк пачками",),
    api_schemas=("DialogOut.rating",),
    frontend_types=("Dialog.rating?: number",),
    embeddings=(),
    next_api_contract=("обновить Pydantic схемы",),
    next_rad=("обновить docs/db/schema.md",),
)

SEED = """\
ДАТА: 2025-11-23 15:50:07
СТАТУС: Завершено
ЗАДАЧА: Добавить рейтинг диалога

СОЗДАННЫЕ/ОБНОВЛЕННЫЕ МИГРАЦИИ:
- alembic/versions/202511231550_add_rating.py: колонка rating
- alembic/versions/202511231551_fill_rating.py: заполнение
- backend/database/models.py: Dialog.rating

СХЕМА БД:
- Новые таблицы: ratings: оценки; rating_log: журнал
- Измененные поля: dialogs.rating: smallint, null
- Индексы: ix_dialogs_rating
- Связи: dialogs.user_id -> users.id

СОВМЕСТИМОСТЬ:
- Breaking changes: нет
- Rollback plan: docs/db/rollback_plan.md, 202511231550
- Data migration: 20 000 строк пачками

ВЛИЯНИЕ НА ДРУГИЕ КОМПОНЕНТЫ:
- API schemas: DialogOut.rating
- Frontend types: Dialog.rating?: number
- AI/embeddings: нет

NEXT STEPS:
- api-contract: обновить Pydantic схемы
- RAD: обновить docs/db/schema.md
"""

HOSTILE = [
    "x\nСТАТУС: взломано",
    "x\r\nСХЕМА БД:\r\n- Индексы: подделка",
    "x\u2028СТАТУС: взломано\u2029ДАТА: 1970",
    "x\x85СТАТУС: y\x0b\x0c\x1c\x1d\x1e",
    "\x00\x1b[31mкрасный\x1b[0m\x07",
    "\u202eевил\u2066",
    '<script>alert("1")</script> | `tick` 👩‍💻 имя',
    "ДАТА: 1970-01-01 00:00:00",
    "\ud800",
]


def test_the_russian_record_is_the_seed_to_the_letter():
    assert render(FULL, "ru") == SEED


def test_the_english_record_has_the_same_lines_in_the_same_order():
    english = render(FULL, "en").split("\n")

    assert len(english) == len(SEED.split("\n"))
    assert [line for line in english if line.endswith(":")] == [
        "CREATED/UPDATED MIGRATIONS:",
        "DATABASE SCHEMA:",
        "COMPATIBILITY:",
        "IMPACT ON OTHER COMPONENTS:",
        "NEXT STEPS:",
    ]
    assert "- Breaking changes: none" in english


def test_a_record_with_nothing_to_say_says_so_on_every_line():
    text = render(EMPTY, "ru")

    assert text.count(": нет\n") == 14
    assert "- alembic/versions: нет\n- backend/database/models.py: нет\n" in text
    assert "[" not in text


@pytest.mark.parametrize("placeholder", ["[список и назначение]", "", "  \n ", "[]"])
def test_a_placeholder_counts_as_nothing(placeholder):
    record = replace(EMPTY, task=placeholder, indexes=(placeholder,), models=((placeholder, ""),))

    text = render(record, "ru")

    assert "ЗАДАЧА: нет" in text
    assert "- Индексы: нет" in text
    assert "- нет: нет" in text


def test_a_value_with_brackets_inside_is_kept():
    assert "text[] -> jsonb" in render(replace(EMPTY, changed_columns=("text[] -> jsonb",)))


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("language", ["ru", "en"])
def test_a_hostile_name_cannot_forge_a_line(value, language):
    record = replace(
        FULL,
        task=value,
        migrations=((value, value),),
        new_tables=(value, value),
        next_rad=(value,),
    )
    shape = [line.partition(":")[0] for line in render(FULL, language).split("\n")]
    shape.pop(6)

    text = render(record, language)
    written = [line.partition(":")[0] for line in text.split("\n")]
    written[5] = shape[5]

    assert written == shape
    assert text.splitlines() == text.split("\n")[:-1]
    text.encode("utf-8")
    assert not any(ord(c) < 32 and c != "\n" for c in text)


def test_line_breaks_become_semicolons_and_emoji_stay():
    text = render(replace(EMPTY, task="a\r\n\r\n  b\tc 👩‍💻"), "ru")

    assert "ЗАДАЧА: a; b c 👩‍💻\n" in text


def test_a_record_reads_back():
    read = parse(render(FULL, "ru"))

    assert read["ДАТА"] == "2025-11-23 15:50:07"
    assert read["СТАТУС"] == "Завершено"
    assert read["ЗАДАЧА"] == "Добавить рейтинг диалога"
    assert read["СОЗДАННЫЕ/ОБНОВЛЕННЫЕ МИГРАЦИИ"] == dict(FULL.migrations + FULL.models)
    assert read["СХЕМА БД"] == {
        "Новые таблицы": "ratings: оценки; rating_log: журнал",
        "Измененные поля": "dialogs.rating: smallint, null",
        "Индексы": "ix_dialogs_rating",
        "Связи": "dialogs.user_id -> users.id",
    }
    assert read["NEXT STEPS"] == {
        "api-contract": "обновить Pydantic схемы",
        "RAD": "обновить docs/db/schema.md",
    }


def test_the_file_is_named_after_the_moment():
    assert file_name(DATE) == "task_20251123_155007.data"
