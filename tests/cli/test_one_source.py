"""What the command line must repeat, since it imports nothing of the services, is held to its source here."""

import ast
from pathlib import Path

import pytest
import videosite_realtime_cli
from videosite_realtime_cli import client, identity

from shared import ids, settings
from shared.close_codes import CloseCode

PACKAGE = Path(videosite_realtime_cli.__file__).parent


def test_every_close_code_has_its_meaning():
    assert {int(code) for code in CloseCode} <= client.MEANINGS.keys()


@pytest.mark.parametrize(
    "code", [CloseCode.PROTOCOL_ERROR, CloseCode.BINARY_FRAME, CloseCode.INVALID_UTF8, CloseCode.FRAME_TOO_LARGE]
)
def test_our_own_faults_are_not_repeated(code):
    assert code in client.STOPPING


def test_forbidden_and_unauthenticated_are_told_apart():
    assert CloseCode.FORBIDDEN in client.STOPPING
    assert client.NEW_TOKEN == CloseCode.UNAUTHENTICATED


def test_a_secret_is_as_long_as_the_services_want_it():
    assert identity.SECRET_MIN_BYTES == settings.SECRET_MIN_BYTES


def test_a_user_id_is_what_the_cluster_takes_for_one():
    assert identity.USER_ID.pattern == ids._USER_ID.pattern


@pytest.mark.parametrize("stream", [ids.ADMIN, ids.ALL, ids.user_stream("7"), ids.user_stream("a:b@c-d_e" * 14)])
def test_an_event_id_is_read_as_the_cluster_writes_it(stream):
    asked = client.Client(since=[ids.event_id(stream, ids.Position(1732400000, 12))]).since
    assert ids.parse_event_id(asked) == (stream, ids.Position(1732400000, 12))


def test_it_imports_nothing_of_the_services():
    imported = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
            elif isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
    assert not imported & {"node", "router", "shared"}


def test_files_hold_one_idea():
    assert max(len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")) <= 300
