"""What every test gets: a store of its own, so that no test reads or fills the user's cache."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def decoct_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DECOCT_STORE", str(tmp_path_factory.mktemp("store")))
        yield
