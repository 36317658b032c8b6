"""What the tests share: where the real data lies, and one network with real weights."""

from pathlib import Path

import numpy as np
import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared():
    """The folder of real weights and photos beside the project, or a skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"no folder {SHARED.name!r} beside the project: real weights and photos are not here")
    return SHARED


@pytest.fixture
def rng():
    return np.random.default_rng(0)
