"""The version after this one, which tests run beside today's, is still today's with a few lines changed."""

from __future__ import annotations

import pytest

from tests.support.next_version import changes


@pytest.mark.parametrize("name", changes._SCRIPTS)
def test_a_scripts_changes_fit_todays_script(name: str) -> None:
    script = changes._following(name, changes._SCRIPTS[name])
    assert script.source.startswith(b"-- The next version.")
