"""Fill an empty ReplyX database with the same data every time: `python scripts/seed.py`.

DATABASE_URL names the database; `alembic upgrade head` comes first. Nothing here depends on the
clock, on the machine or on the order of a set, so two databases can be compared row by row.
"""

import hashlib
import json
import math
import os
import random
import sys
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import accumulate
from typing import Any, NamedTuple

import psycopg
from psycopg.sql import SQL, Identifier, Literal

Row = dict[str, Any]
Line = tuple[datetime, int, int]  # when it was sent, its dialog, its place in the dialog

SEED = 20250822
START = datetime(2025, 3, 17, 6, 0, tzinfo=UTC)
END = datetime(2025, 8, 22, 7, 0, tzinfo=UTC)
USERS, ASSISTANTS, API_KEYS, DIALOGS, DOCUMENTS = 60, 90, 75, 300, 500
MESSAGES, CHUNKS, DIMENSIONS = 20_000, 5_000, 384
LONG_DIALOGS = (2_400, 1_800, 1_200)  # dialogs 1, 2 and 3: support chats that never end
PRICE_OF_TOKEN = Decimal("0.000002")

TABLES = (
    "users",
    "assistants",
    "api_keys",
    "dialogs",
    "dialog_messages",
    "documents",
    "document_chunks",
    "usage_events",
)

PEOPLE = (
    ("Анна Петрова", "anna.petrova", "ru"),
    ("Иван Щукин", "Ivan.Schukin", "ru"),
    ("Ольга Ёлкина", "olga.yolkina", "ru"),
    ("Daniel O'Brien", "daniel.obrien", "en"),
    ("Zoë Müller", "zoe.mueller", "en"),
    ("Тимур Ибрагимов", "timur", "ru"),
    ("李 Wei", "li.wei", "en"),
)


class Topic(NamedTuple):
    """What a dialog or a document is about; {n} and {d} are filled with numbers."""

    tag: str
    language: str
    fact: str
    question: str
    answer: str


TOPICS = (
    Topic(
        "доставка",
        "ru",
        "Курьер доставляет заказ {n} за {d} дня. О задержке мы пишем заранее.",
        "Здравствуйте! Где мой заказ №{n}? Обещали привезти за {d} дня.",
        "Заказ №{n} уже у курьера. Он приедет сегодня, самое позднее — через {d} часа.",
    ),
    Topic(
        "оплата",
        "ru",
        "Счёт №{n} действует {d} дней. Оплатить можно картой или по реквизитам.",
        "Не проходит оплата счёта №{n}, карта точно рабочая…",
        "Банк отклонил платёж по счёту №{n}. Попробуйте ещё раз через {d} минут.",
    ),
    Topic(
        "возврат",
        "ru",
        "Товар можно вернуть в течение {d} дней, номер обращения — {n}.",
        "Хочу вернуть товар, заявка {n}. Что для этого нужно?",
        "Заявка {n} принята. Деньги вернутся на карту за {d} рабочих дня.",
    ),
    Topic(
        "returns",
        "en",
        "Goods can be returned within {d} days; quote the case number {n}.",
        "Hi! I'd like to return order #{n}, the size doesn't fit 😕",
        "Return #{n} is open. Drop the parcel off within {d} days, the label is in your mail.",
    ),
    Topic(
        "integrations",
        "en",
        'Set "retry": {d} in the webhook; each delivery carries the id {n}.',
        "The webhook {n} fires twice. Is that a bug or is it us?",
        "Delivery {n} was retried {d} times because your endpoint answered after 10 s.",
    ),
    Topic(
        "security",
        "en",
        "Rotate an API key every {d} weeks. The audit entry {n} shows who used it.",
        "Somebody used our key, see audit entry {n}. What should we do?",
        "Revoke the key of entry {n} now; its replacement works within {d} minutes.",
    ),
)
# What breaks naive code: empty, quotes, a backslash, tabs and newlines, right-to-left, emoji.
ODD_TEXTS = ("", "'; -- \"", "C:\\temp\\new", "a\tb\r\nc", "שלום", "👩‍👩‍👧 ок", "ё" * 2_000)


def owner_of(assistant: int) -> int:
    return 1 + (assistant - 1) % USERS


@cache
def busy_assistants() -> list[int]:
    """Assistants as dialogs and documents draw them: the first ones are the busy ones."""
    everyone = range(1, ASSISTANTS + 1)
    weights = [1 / (5 + assistant) for assistant in everyone]
    drawn = random.Random(SEED).choices(everyone, weights, k=max(DIALOGS, DOCUMENTS))
    return [*everyone[:12], *drawn]


def assistant_of(key: int) -> int:
    return busy_assistants()[key - 1]


def topic_of(key: int) -> Topic:
    return TOPICS[key % len(TOPICS)]


def random_uuid(rng: random.Random) -> uuid.UUID:
    return uuid.UUID(int=rng.getrandbits(128), version=4)


def moment(rng: random.Random, start: datetime = START, end: datetime = END) -> datetime:
    return start + timedelta(seconds=int((end - start).total_seconds() * rng.random()))


def filled(rng: random.Random, template: str, number: int | None = None) -> str:
    return template.format(n=number or rng.randrange(10_000, 99_999), d=rng.randrange(2, 5))


def sizes(rng: random.Random, count: int, total: int, empty: int) -> list[int]:
    """Share `total` unevenly among `count` owners, the last `empty` of which get nothing."""
    weights = [rng.random() ** 3 + 0.05 for _ in range(count - empty)]
    shares = [0] * count
    for owner in rng.choices(range(count - empty), weights, k=total):
        shares[owner] += 1
    return shares


def as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def as_vector(numbers: Iterable[float]) -> str:
    return "[" + ",".join([f"{number:.5f}" for number in numbers]) + "]"


def users(rng: random.Random) -> Iterator[Row]:
    for key in range(1, USERS + 1):
        name, mailbox, locale = PEOPLE[key % len(PEOPLE)]
        imported = key <= 25 and key % 5 != 0
        old_ref = f"crm-{rng.randrange(10**6):06d}"
        yield {
            "id": key,
            "public_id": random_uuid(rng),
            "email": f"{mailbox}.{key}@example.com",
            "display_name": name,
            "locale": locale,
            "is_active": key % 17 != 0,
            "settings": as_json({"theme": "dark", "digest": key % 2 == 0} if key % 3 else {}),
            "legacy_external_ref": old_ref if imported else "" if key == 25 else None,
            "created_at": moment(rng, START - timedelta(days=14), START),
        }


def assistants(rng: random.Random) -> Iterator[Row]:
    for key in range(1, ASSISTANTS + 1):
        archived = key % 15 == 0
        yield {
            "id": key,
            "owner_id": owner_of(key),
            "slug": f"helper-{key}",
            "name": "Помощник" if key % 2 else "Helpdesk",
            "system_prompt": "" if key % 10 == 0 else "Отвечай кратко. Не выдумывай.",
            "temperature": (Decimal("0"), Decimal("0.30"), Decimal("2"))[key % 3],
            "settings": as_json({"tone": "formal", "languages": ["ru", "en"][: key % 3]}),
            "archived_at": END - timedelta(days=key) if archived else None,
            "created_at": moment(rng, START - timedelta(days=1), START),
        }


def api_keys(rng: random.Random) -> Iterator[Row]:
    for key in range(1, API_KEYS + 1):
        owner = 1 + (key - 1) % USERS
        created = moment(rng)
        yield {
            "id": key,
            "user_id": owner,
            "name": "production",
            "key_prefix": f"rx_{rng.getrandbits(20):05x}",
            "key_hash": hashlib.sha256(f"replyx-sample-{key}".encode()).digest(),
            "scopes": ["dialogs:read", "dialogs:write", "documents:read"][: key % 4],
            "last_used_at": created + timedelta(days=3) if key % 4 else None,
            "expires_at": created + timedelta(days=365) if key % 2 else None,
            # A user's second key of that name exists because the first one was revoked.
            "revoked_at": created + timedelta(days=4) if key + USERS <= API_KEYS else None,
            "created_at": created,
        }


def timeline(rng: random.Random) -> list[Line]:
    """When each message of each dialog was sent, oldest first, as the table received them."""
    counts = [
        *LONG_DIALOGS,
        *sizes(rng, DIALOGS - len(LONG_DIALOGS), MESSAGES - sum(LONG_DIALOGS), empty=5),
    ]
    lines: list[Line] = []
    for dialog, count in enumerate(counts, start=1):
        if dialog <= len(LONG_DIALOGS):
            sent = sorted(moment(rng) for _ in range(count))
        else:
            first = moment(rng, end=END - timedelta(days=2))
            pauses = accumulate(20 + 900 * rng.random() ** 3 for _ in range(count))
            sent = [first + timedelta(seconds=round(pause, 3)) for pause in pauses]
        lines.extend((at, dialog, ordinal) for ordinal, at in enumerate(sent))
    return sorted(lines)


def dialogs(rng: random.Random, lines: list[Line]) -> Iterator[Row]:
    first: dict[int, datetime] = {}
    last: dict[int, datetime] = {}
    for at, dialog, _ in lines:
        first.setdefault(dialog, at)
        last[dialog] = at
    for key in range(1, DIALOGS + 1):
        created = first.get(key) or moment(rng)
        newest = last.get(key, created)
        closed = key > len(LONG_DIALOGS) and rng.random() < 7 / 8
        status = "closed" if closed else rng.choice(("open", "open", "waiting_operator"))
        topic = topic_of(key)
        channel = rng.choice(("web", "web", "telegram", "email"))
        yield {
            "id": key,
            "public_id": random_uuid(rng),
            "user_id": owner_of(assistant_of(key)),
            "assistant_id": assistant_of(key),
            "status": status,
            "channel": channel,
            "customer_ref": f"tg:{rng.randrange(10**9)}" if channel == "telegram" else None,
            "subject": topic.tag.capitalize() if rng.random() < 0.6 else None,
            "context": as_json({"page": f"/{topic.tag}", "visits": rng.randrange(9)}),
            "created_at": created,
            "last_message_at": newest,
            "closed_at": newest + timedelta(hours=1) if closed else None,
            "rating": rng.randrange(1, 6) if closed and rng.random() < 0.45 else None,
        }


def dialog_messages(rng: random.Random, lines: list[Line]) -> Iterator[Row]:
    for key, (at, dialog, ordinal) in enumerate(lines, start=1):
        topic = topic_of(dialog)
        by_operator = dialog % 9 == 0 and ordinal > 5
        role = "customer" if ordinal % 2 == 0 else "operator" if by_operator else "assistant"
        said = topic.question if role == "customer" else topic.answer
        sentences = [filled(rng, said, number=10_000 + 37 * dialog)]
        if role != "customer":
            sentences += [filled(rng, topic.fact) for _ in range(rng.randrange(4))]
        odd = key % 1_000 == 0
        content = ODD_TEXTS[key // 1_000 % len(ODD_TEXTS)] if odd else " ".join(sentences)
        yield {
            "id": key,
            "dialog_id": dialog,
            "role": "system" if ordinal == 0 and dialog % 10 == 0 else role,
            "content": content,
            "tokens": len(content) // 3 if role == "assistant" else 0,
            "extra": as_json({"model": "replyx-2", "ms": rng.randrange(200, 4_000)})
            if role == "assistant"
            else None,
            "created_at": at,
        }


def documents(rng: random.Random) -> Iterator[Row]:
    for key in range(1, DOCUMENTS + 1):
        topic = topic_of(key)
        created = moment(rng)
        yield {
            "id": key,
            "assistant_id": assistant_of(key),
            "title": f"{topic.tag.capitalize()} — {key}",
            "source_uri": None if key % 4 == 0 else f"https://help.example.com/{key}",
            "content_sha256": hashlib.sha256(f"document {key}".encode()).hexdigest(),
            "language": topic.language,
            "size_bytes": (0, 2**53 + 1)[key % 2] if key > DOCUMENTS - 4 else key * 977,
            "attributes": as_json({"tags": [topic.tag, "faq"][: 1 + key % 2], "pages": key % 40}),
            "created_at": created,
            "updated_at": min(END, created + timedelta(days=key % 5)),
        }


def document_chunks(rng: random.Random) -> Iterator[Row]:
    """Chunks whose embeddings lie around their topic, and closer still around their document."""
    centres = [[rng.random() - 0.5 for _ in range(DIMENSIONS)] for _ in TOPICS]
    key = 0
    for document, count in enumerate(sizes(rng, DOCUMENTS, CHUNKS, empty=3), start=1):
        topic = topic_of(document)
        about = [c + 0.8 * (rng.random() - 0.5) for c in centres[TOPICS.index(topic)]]
        for ordinal in range(count):
            key += 1
            content = " ".join(filled(rng, topic.fact) for _ in range(4 + rng.randrange(4)))
            vector = [a + 0.8 * (rng.random() - 0.5) for a in about]
            length = math.sqrt(math.fsum(number * number for number in vector))
            yield {
                "id": key,
                "document_id": document,
                "ordinal": ordinal,
                "content": content,
                "token_count": len(content) // 3,
                # The worker has not come to these yet.
                "embedding": None if key % 100 == 99 else as_vector(n / length for n in vector),
                "created_at": START + timedelta(minutes=key),
            }


def usage_events(rng: random.Random, messages: list[Row]) -> Iterator[Row]:
    """Every answer of an assistant is billed; now and then embeddings and storage are."""
    answers = (message for message in messages if message["role"] == "assistant")
    for key, message in enumerate(answers, start=1):
        assistant = assistant_of(message["dialog_id"])
        kind = "storage" if key % 250 == 0 else "embedding" if key % 40 == 0 else "message"
        quantity = max(message["tokens"], 1) if kind == "message" else rng.randrange(1, 2**20)
        yield {
            "id": key,
            "user_id": owner_of(assistant),
            "assistant_id": None if kind == "storage" else assistant,
            "kind": kind,
            "quantity": quantity,
            "amount": Decimal("0") if key % 49 == 0 else quantity * PRICE_OF_TOKEN,
            "idempotency_key": f"{kind}:{message['id']}",
            "occurred_at": message["created_at"],
        }


def tables() -> Iterator[tuple[str, list[Row]]]:
    """Every table with its rows, parents before children; each has dice of its own."""

    def dice(table: str) -> random.Random:
        return random.Random(f"{SEED} {table}")

    lines = timeline(dice("timeline"))
    messages = list(dialog_messages(dice("dialog_messages"), lines))
    yield "users", list(users(dice("users")))
    yield "assistants", list(assistants(dice("assistants")))
    yield "api_keys", list(api_keys(dice("api_keys")))
    yield "dialogs", list(dialogs(dice("dialogs"), lines))
    yield "dialog_messages", messages
    yield "documents", list(documents(dice("documents")))
    yield "document_chunks", list(document_chunks(dice("document_chunks")))
    yield "usage_events", list(usage_events(dice("usage_events"), messages))


def refuse_unless_empty(connection: psycopg.Connection) -> None:
    full = []
    for table in TABLES:
        try:
            query = SQL("SELECT 1 FROM {} LIMIT 1").format(Identifier(table))
            row = connection.execute(query).fetchone()
        except psycopg.errors.UndefinedTable:
            sys.exit(f'Table "{table}" does not exist. Run "alembic upgrade head" first.')
        if row is not None:
            full.append(table)
    if full:
        sys.exit(f"These tables are not empty: {', '.join(full)}. Seed a new database instead.")


def copy_rows(connection: psycopg.Connection, table: str, rows: list[Row]) -> None:
    columns = SQL(", ").join(map(Identifier, rows[0]))
    statement = SQL("COPY {} ({}) FROM STDIN").format(Identifier(table), columns)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(tuple(row.values()))
    move_sequence = SQL("SELECT setval(pg_get_serial_sequence({}, 'id'), max(id)) FROM {}")
    connection.execute(move_sequence.format(Literal(table), Identifier(table)))


def main() -> None:
    url = os.environ.get("DATABASE_URL", "")
    if not url:
        sys.exit("DATABASE_URL is not set. Set it to the database to fill: postgresql://...")
    with psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://", 1)) as connection:
        refuse_unless_empty(connection)
        for table, rows in tables():
            copy_rows(connection, table, rows)
            print(f"{table}: {len(rows)} rows")
        connection.execute(f"ANALYZE {', '.join(TABLES)}")


if __name__ == "__main__":
    main()
