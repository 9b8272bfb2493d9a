import time
from datetime import timedelta

import pytest
from jose import jwt
from videosite_realtime_cli import identity
from videosite_realtime_cli.errors import BadInput
from videosite_realtime_cli.identity import Signer


def claims(token, secret, **more):
    return jwt.decode(token, secret, algorithms=["HS256"], **more)


def test_a_users_token_stands_alone_on_standard_output(command, secret):
    result = command("token", "user", "7", "--username", "Ann", env={"JWT_SECRET": secret})
    assert result.exit_code == 0
    assert result.stdout.count("\n") == 1
    minted = claims(result.stdout.strip(), secret)
    assert (minted["sub"], minted["username"]) == ("7", "Ann")
    assert "is_admin" not in minted


def test_an_admins_token_says_true_and_carries_its_scope(command, secret):
    result = command("token", "admin", "1", "--scope", "publish", env={"JWT_SECRET": secret})
    minted = claims(result.stdout.strip(), secret)
    assert minted["is_admin"] is True
    assert minted["scope"] == "publish"


def test_a_service_has_a_name_and_scopes(command, secret):
    result = command("token", "service", "--name", "transcoder", "--scope", "publish read", env={"JWT_SECRET": secret})
    minted = claims(result.stdout.strip(), secret)
    assert (minted["sub"], minted["scope"]) == ("transcoder", "publish read")


def test_a_token_lives_as_long_as_was_asked_for(command, secret):
    result = command("token", "user", "7", "--expires", "30m", env={"JWT_SECRET": secret})
    assert claims(result.stdout.strip(), secret)["exp"] == pytest.approx(time.time() + 1800, abs=10)


def test_issuer_and_audience_come_from_the_environment(command, secret):
    environment = {"JWT_SECRET": secret, "JWT_ISSUER": "https://login", "JWT_AUDIENCE": "realtime"}
    result = command("token", "user", "7", env=environment)
    minted = claims(result.stdout.strip(), secret, audience="realtime", issuer="https://login")
    assert minted["iss"] == "https://login"


def test_an_unknown_scope_is_named(command, secret):
    result = command("token", "service", "--scope", "publish fly", env={"JWT_SECRET": secret})
    assert result.exit_code == 1
    assert "unknown scope 'fly'" in result.stderr


@pytest.mark.parametrize("scope", ["", "  "])
@pytest.mark.parametrize("whose", [("service",), ("admin", "1"), ("user", "7")])
def test_a_token_that_may_do_nothing_is_not_minted(command, secret, whose, scope):
    result = command("token", *whose, "--scope", scope, env={"JWT_SECRET": secret})
    assert (result.exit_code, result.stdout) == (1, "")
    assert "publish, read, admin" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("short", ["short", "x" * 31])
@pytest.mark.parametrize("algorithm", ["HS256", "HS512"])
def test_a_secret_that_no_node_takes_signs_nothing(command, short, algorithm):
    result = command("token", "user", "7", "--jwt-secret", short, "--jwt-algorithm", algorithm)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "JWT_SECRET is shorter than 32 bytes" in result.stderr
    assert result.stderr.count("\n") == 1


def test_what_is_no_user_id_is_named(command, secret):
    result = command("token", "user", "7 8", env={"JWT_SECRET": secret})
    assert result.exit_code == 1
    assert "not a user id" in result.stderr
    assert result.stdout == ""


def test_without_a_secret_the_line_says_what_to_set(command):
    result = command("token", "user", "7")
    assert result.exit_code == 1
    assert "JWT_SECRET" in result.stderr
    assert "videosite-realtime up" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("30m", 1800), ("1h", 3600), ("7d", 604800)])
def test_durations_are_read(text, seconds):
    assert identity.duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "0", "-1h", "1w", "1.5h", "h"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="not a duration"):
        identity.duration(text)


def test_a_secret_that_does_not_fit_the_algorithm_is_one_line(secret):
    with pytest.raises(BadInput, match="cannot sign by RS256"):
        Signer(secret, "RS256").mint(identity.user("7"), timedelta(hours=1))


@pytest.mark.parametrize("token", ["", "abc", "a.b", "a.b.c", "a b.c.d", "eyJ\n.eyJ.x"])
def test_what_is_no_jwt_is_not_read(token):
    with pytest.raises(BadInput, match="not a JWT"):
        identity.claims_of(token)
