"""How does Alembic reach the database?  Over a connection handed in by `storage/migrating.py`, or the one in settings."""

import asyncio

from alembic import context
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from nudgebot.settings import read_settings
from nudgebot.storage.database import driver_url
from nudgebot.storage.encryption import Sealed
from nudgebot.storage.models import Base, Moment


def _render(kind: str, thing: object, _: object) -> str | bool:
    """Migrations outlive the code: they name the plain types, not ours."""
    if kind == "type" and isinstance(thing, Sealed):
        return "sa.LargeBinary()"
    if kind == "type" and isinstance(thing, Moment):
        return "sa.DateTime(timezone=True)"
    return False


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_item=_render,
        render_as_batch=connection.dialect.name == "sqlite",
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def _from_settings() -> None:
    engine = create_async_engine(driver_url(read_settings().database_url))
    async with engine.connect() as connection:
        await connection.run_sync(_migrate)
    await engine.dispose()


given = context.config.attributes.get("connection")
if given is not None:
    _migrate(given)
else:
    asyncio.run(_from_settings())
