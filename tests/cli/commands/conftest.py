"""What several commands are tried on."""

from __future__ import annotations

from pathlib import Path

import pytest
from drift_case import states_and_photos


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """A folder with a network, three states of it and photos; tests leave it as it is."""
    return states_and_photos(tmp_path_factory.mktemp("weights"))
