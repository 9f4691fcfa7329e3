"""Fixtures of the service's tests."""

from collections.abc import Iterator

import pytest
from service_data import leader

from service.dispatch.leader import Leadership
from service.store.engine import Store


@pytest.fixture
def leadership(store: Store) -> Iterator[Leadership]:
    """The right to dispatch on `store`."""
    held = leader(store)
    yield held
    held.release()
