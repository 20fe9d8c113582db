from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy.orm import sessionmaker

from app.store import database
from app.store.database import Sessions


@pytest.fixture
def sessions(database_url: str) -> Iterator[Sessions]:
    engine = database.create(database_url, pool_size=20)
    yield sessionmaker(engine, expire_on_commit=False)
    engine.dispose()
