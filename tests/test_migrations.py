"""Does the history of the schema end at the models, lead back to nothing, and is every column explained?"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from nudgebot.app import ready_database
from nudgebot.storage import migrating, models
from nudgebot.storage.database import Database, DatabaseTrouble
from nudgebot.storage.encryption import KeyRing, Sealed, WrongKey
from nudgebot.storage.models import Base, Moment
from tests.conftest import KEY, Postgres, bot_settings

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def same_type(_: object, column: object, metadata_column: object, stored: object, wanted: object) -> bool | None:
    """Our own types stand for plain ones."""
    return False if isinstance(wanted, Sealed | Moment) else None


async def test_the_migrations_build_exactly_the_models(database: Database):
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": same_type})
        return list(compare_metadata(context, Base.metadata))

    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_partial_indexes_are_partial_in_the_database_too(database: Database):
    asks = {
        True: "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
        False: "SELECT indexname, indexdef FROM pg_indexes",
    }
    async with database.engine.connect() as connection:
        built = dict((await connection.execute(text(asks[database.sqlite]))).all())
    for name in ("ix_deliveries_planned", "ix_deliveries_sending", "ix_enrolments_due", "ix_inbound_open"):
        assert " WHERE " in built[name]


async def test_the_schema_can_be_taken_down_and_built_again(database: Database):
    def down(connection: Connection) -> None:
        config = migrating._config()
        config.attributes["connection"] = connection
        command.downgrade(config, "base")

    async with database.engine.connect() as connection:
        await connection.run_sync(down)
        await connection.commit()
    async with database.engine.connect() as connection:
        assert await connection.run_sync(lambda sync: inspect(sync).get_table_names()) == ["alembic_version"]
    await migrating.migrate(database)
    assert await migrating.current(database) == migrating.newest()


async def test_migrating_twice_changes_nothing(database: Database):
    await migrating.migrate(database)
    assert await migrating.current(database) == migrating.newest()


async def test_postgresql_with_an_older_schema_is_refused_with_the_command_that_mends_it(postgres: Postgres):
    with pytest.raises(DatabaseTrouble, match="Run `nudgebot migrate` first"):
        await ready_database(bot_settings(await postgres.empty()), NOON)


async def test_a_wrong_key_does_not_even_change_the_schema(sqlite_url: str):
    database = Database(sqlite_url, KeyRing.parse(KEY))
    await database.check_key(NOON)
    async with database.write() as session:
        await session.execute(text("DROP TABLE audit"))  # what a migration would have to notice
        await session.execute(text("UPDATE alembic_version SET version_num = 'older'"))
    await database.close()
    with pytest.raises(WrongKey):
        await ready_database(
            bot_settings(sqlite_url, encryption_key="YW5vdGhlci1rZXktb2YtdGhpcnR5LXR3by1ieXRlcyE="), NOON
        )


# --- every column explained -------------------------------------------------------------------------------------

SAID_BY_THEIR_NAME = re.compile(r"id|at|on|.+_(id|at|by|date)|language|version|name|role|channel|identifier")
"""Numbers, moments, people and addresses.  A column of any other name has a comment on its line."""


def test_every_column_that_its_name_does_not_explain_has_a_comment_and_every_table_a_sentence():
    source = Path(models.__file__).read_text(encoding="utf-8")
    commented = {
        token.start[0]
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT and len(token.string) > 8
    }
    missing = []
    for table in ast.parse(source).body:
        if not isinstance(table, ast.ClassDef) or "__tablename__" not in ast.unparse(table):
            continue
        assert ast.get_docstring(table), f"{table.name} has no sentence"
        for line in table.body:
            if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                explained = commented & set(range(line.lineno, (line.end_lineno or line.lineno) + 1))
                if not explained and not SAID_BY_THEIR_NAME.fullmatch(line.target.id):
                    missing.append(f"{table.name}.{line.target.id}")
    assert missing == []
