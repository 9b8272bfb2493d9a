"""Options, identities, the clock, what a frame says, and the shapes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest
from jose import jwt

from loadtests.swarm import options, shapes
from loadtests.swarm.clock import Clock, Probe
from loadtests.swarm.identities import BadOption, Cast, FromCommand, FromFile, Minting
from loadtests.swarm.options import Options
from loadtests.swarm.reading import read, stamped

SECRET = "a-secret-of-more-than-thirty-two-bytes"
MUST = ("--ws-url", "https://rt.example.com/", "--router-url", "http://router:8001")


class Parser(argparse.ArgumentParser):
    """Takes what Locust's parser takes beside argparse's: the name of an environment variable."""

    def add_argument_group(self, *args, **kwargs):  # type: ignore[no-untyped-def]
        group = super().add_argument_group(*args, **kwargs)
        add = group.add_argument
        group.add_argument = lambda *names, env_var=None, **how: add(*names, **how)  # type: ignore[method-assign]
        return group


def parsed(*words: str, users: int = 10) -> argparse.Namespace:
    parser = Parser()
    options.add_to(parser)
    return argparse.Namespace(num_users=users, spawn_rate=5, run_time=None, **vars(parser.parse_args(words)))


def read_options(*words: str, users: int = 10) -> Options:
    return Options.read(parsed(*MUST, *words, users=users))


# --- options


def test_browsers_are_those_who_are_neither_admins_nor_transcoders_and_each_is_a_user():
    chosen = read_options("--jwt-secret", SECRET, "--admins", "3", "--transcoders", "2")
    assert chosen.users == tuple(f"load-{n}" for n in range(5))
    assert chosen.ws_urls == ("wss://rt.example.com",)


def test_a_population_smaller_than_the_browsers_has_several_tabs_each():
    assert len(read_options("--jwt-secret", SECRET, "--population", "2").users) == 2


def test_without_a_key_for_the_router_one_is_minted():
    key = read_options("--jwt-secret", SECRET).api_key
    assert jwt.decode(key, SECRET, algorithms=["HS256"])["scope"] == "publish read"


def test_secrets_are_not_shown():
    assert SECRET not in repr(read_options("--jwt-secret", SECRET, "--api-key", "the-key"))
    assert "the-key" not in repr(read_options("--jwt-secret", SECRET, "--api-key", "the-key"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "no tokens"),
        (("--token-command", "issue {id}"), "nothing opens the router"),
        (("--jwt-secret", SECRET, "--ws-url", ""), "--ws-url"),
        (("--jwt-secret", SECRET, "--router-url", "ws://x"), "--router-url"),
        (("--jwt-secret", SECRET, "--admins", "11"), "are more"),
        (("--jwt-secret", SECRET, "--broadcast-rate", "-1"), "--broadcast-rate must not be negative"),
        (("--jwt-secret", SECRET, "--patience", "0"), "--patience must be more than 0"),
        (("--token-file", "/nowhere/tokens"), "--token-file /nowhere/tokens is no file"),
    ],
)
def test_bad_options_are_named(words, said):
    with pytest.raises(BadOption, match=said):
        read_options(*words)


# --- identities


def test_minted_tokens_say_who_it_is_and_only_admins_say_more():
    minting = Minting(SECRET, issuer="site", audience="rt", lifetime=60)
    user = jwt.decode(minting.token("7", admin=False), SECRET, algorithms=["HS256"], audience="rt", issuer="site")
    admin = jwt.decode(minting.token("1", admin=True), SECRET, algorithms=["HS256"], audience="rt", issuer="site")
    assert user["sub"] == "7"
    assert "is_admin" not in user
    assert admin["is_admin"] is True


def test_a_command_is_asked_for_each_token_and_its_failure_is_told():
    program = "import sys; print(*sys.argv[1:]) if sys.argv[1] == 'user' else sys.exit('no admins here')"
    issuer = FromCommand(f'{sys.executable} -c "{program}" {{role}} {{id}}')
    assert issuer.token("7", admin=False) == "user 7"
    with pytest.raises(BadOption, match="exit status 1 for 8: no admins here"):
        issuer.token("8", admin=True)


def test_a_file_lists_users_and_admins(tmp_path: Path):
    file = tmp_path / "tokens"
    file.write_text("7 aaa\n\n8 bbb\n1 ccc admin\n")
    chosen = read_options("--token-file", str(file), "--api-key", "k")
    assert (chosen.users, chosen.admins) == (("7", "8"), ("1",))
    assert FromFile(file).token("1", admin=True) == "ccc"
    file.write_text("7 aaa user extra\n")
    with pytest.raises(BadOption, match="line 1 of"):
        FromFile(file)


def test_processes_share_the_users_out_among_them():
    users = [str(n) for n in range(6)]
    casts = [Cast(users, ["a", "b"], worker=worker, workers=3) for worker in range(3)]
    assert sorted(cast.next_user() for cast in casts for _ in range(2)) == users
    assert casts[0].next_user() == "0"  # and then from the beginning: a second tab


# --- the clock


def test_a_clock_that_is_off_is_set_by_the_probe_with_the_shortest_way():
    clock = Clock()
    clock.set_by([Probe(1000, 9000, 5000), Probe(10_000, 15_100, 10_200)])
    assert (clock.offset, clock.error) == (5000, 100)


def test_a_clock_that_may_be_right_is_left_alone():
    clock = Clock()
    clock.set_by([Probe(1000, 1080, 1200)])
    assert (clock.offset, clock.error) == (0, 100)


# --- what a frame says


def test_a_typed_message_carries_its_time_at_the_end_of_a_text():
    text = stamped("已完成720p转码", 1763900000123456)
    heard = read(f'{{"type":"transcode_progress","video_id":1,"progress":40,"message":"{text}"}}')
    assert (heard.kind, heard.sent, heard.stream, heard.n) == ("transcode_progress", 1763900000123456, "", 0)


def test_a_custom_message_carries_its_time_in_a_field_and_has_a_position():
    heard = read('{"type":"order","sent":1763900000123456,"id":"u.bG9hZC0w.17-42"}')
    assert (heard.sent, heard.stream, heard.n) == (1763900000123456, "u.bG9hZC0w", 42)


def test_other_peoples_messages_have_no_time_and_a_position_all_the_same():
    assert read('{"type":"order","at":"@12","id":"all.17-1"}').sent == 0


# --- shapes


def test_a_steady_load_goes_on_until_somebody_stops_it():
    steady = shapes.shape("steady", 100, 10, None)
    assert steady.users(1e6) == (100, 10)
    assert shapes.shape("steady", 100, 10, 60).users(60) is None


def test_in_a_storm_all_others_come_at_once_and_later_all_are_cut_off():
    storm = shapes.shape("storm", 100, 10, 60)
    assert storm.users(14.9) == (20, 10)
    assert storm.users(15) == (100, 100)
    assert storm.due(39, 40) == [shapes.CUT]
    assert shapes.shape("storm", 100, 10, 60, storm_rate=7).users(15) == (100, 7)


def test_orders_are_given_once_even_if_the_ramp_held_up_the_clock():
    peak = shapes.shape("peak", 10, 10, 30)
    assert peak.due(0, 25) == [shapes.PEAK_BEGINS, shapes.PEAK_ENDS]
    assert peak.due(25, 30) == []
    assert shapes.shape("restart", 10, 10, 30).due(9, 10) == [shapes.RESTART]
