import re
import socket

import pytest
from videosite_realtime_cli.cluster import ports
from videosite_realtime_cli.cluster.ports import Claim
from videosite_realtime_cli.errors import PortInUse

from tests.support.ports import free_port


@pytest.fixture
def taken():
    with socket.socket() as listener:
        # As a node of another cluster would have it: to be shared.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_free_ports_pass():
    ports.check([Claim(free_port(), "the nodes", "--port")])


def test_a_port_in_use_is_named_even_if_its_holder_would_share_it(taken):
    line = f"port {taken} is in use; it is wanted for the nodes: choose another with --port"
    with pytest.raises(PortInUse, match=re.escape(line)):
        ports.check([Claim(taken, "the nodes", "--port")])


def test_a_port_wanted_twice_is_named():
    port = free_port()
    with pytest.raises(PortInUse, match=f"port {port} goes to the nodes already; it is wanted for router-1"):
        ports.check([Claim(port, "the nodes", "--port"), Claim(port, "router-1", "--router-port")])


def test_a_port_beyond_the_last_is_named():
    with pytest.raises(PortInUse, match="port 65536 does not exist"):
        ports.check([Claim(65536, "node-1's management", "--router-port")])


def test_up_names_the_port_before_it_starts_anything(command, taken, home):
    result = command("up", "--port", str(taken), "--router-port", str(free_port()))
    assert result.exit_code == 1
    assert f"port {taken} is in use" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not home.exists()
