"""The kill tests carry the marker `kill`, so that they can be left out by hand: `pytest -m "not kill"`."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "kill: real processes killed with SIGKILL at random moments (a minute and a half)"
    )
