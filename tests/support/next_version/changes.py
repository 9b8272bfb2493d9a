"""The version after this one, for processes that run beside today's: today's sources with a few lines changed.

Everything it writes says a little more, as the rules in ``docs/architecture.md`` allow. With ``NEXT_ENVELOPE=2`` its
envelopes are of another version as well, which it reads beside today's, and which today's nodes cannot read.
"""

from __future__ import annotations

import hashlib
import inspect
import os

from pydantic_core import from_json, to_json

from shared import envelope, scripts, stats
from shared.scripts import Script

ENVELOPE = os.environ.get("NEXT_ENVELOPE", "1")
_SCRIPTS = {
    "publish": (
        ("return '1 ' .. kind", f"return '{ENVELOPE} ' .. kind"),
        (".. state .. '\\n'\nend", ".. state .. ' zone-a\\n'\nend"),
        ("message.owner,\n  }, ' ')", "message.owner, 'zone-a',\n  }, ' ')"),
        ("  call('XADD',", "  entry[#entry + 1], entry[#entry + 2] = 'z', 'zone-a'\n  call('XADD',"),
    ),
    "register": ((".. own .. count)", ".. own .. count .. ';zone-a muted')"),),
    "clear_node": (),
    "lease": (("' ' .. admin_connections)", "' ' .. admin_connections .. ' 99')"),),
    "bury": (),
    "queue_take": (),
    "queue_settle": (),
}


def apply() -> None:
    """Turn this process into one of the next version; done before nodes and routers are imported."""
    following = {name: _following(name, changes) for name, changes in _SCRIPTS.items()}
    for name, script in following.items():
        setattr(scripts, name.upper(), script)
    scripts._ALL = tuple(following.values())
    _change_envelope()
    _change_stats()
    _change_claims()
    _change_what_nodes_say()


def _changed(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, f"no longer there, or not once: {old!r}"
    return text.replace(old, new)


def _following(name: str, changes: tuple[tuple[str, str], ...]) -> Script:
    today: Script = getattr(scripts, name.upper())
    source = today.source.decode()
    for old, new in changes:
        source = _changed(source, old, new)
    following = f"-- The next version.\n{source}".encode()
    return Script(name, following, hashlib.sha1(following, usedforsecurity=False).hexdigest().encode())


def _change_envelope() -> None:
    envelope.VERSION = ENVELOPE.encode()
    changes = {
        envelope.read: ("fields[0] == VERSION", 'fields[0] in (b"1", b"2")'),
        envelope.control: ("%s - -\\n", "%s - - zone-a\\n"),
        envelope.probe: ("- - - - - -\\n", "- - - - - - zone-a\\n"),
    }
    for function, (old, new) in changes.items():
        exec(_changed(inspect.getsource(function), old, new), vars(envelope))


def _change_stats() -> None:
    today = stats.ClusterStats.dump
    stats.ClusterStats.dump = lambda self: to_json([*from_json(today(self)), 99])


def _change_claims() -> None:
    from router import operations

    source = inspect.getsource(operations.claim)
    exec(_changed(source, '{fresh.now_us}"', '{fresh.now_us} zone-a"'), vars(operations))


def _change_what_nodes_say() -> None:
    from node.membership import Membership  # names its scripts as it is imported

    today = Membership._about
    Membership._about = lambda self: (about := today(self)) and to_json({**from_json(about), "zone": "a"})
