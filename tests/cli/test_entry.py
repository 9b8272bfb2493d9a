"""How the command begins."""

import signal
import subprocess
import sys
from importlib.metadata import version

LOADING = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Interrupting())
from videosite_realtime_cli.__main__ import run
run()
"""


def test_ctrl_c_while_the_program_is_loaded_ends_it_without_a_traceback():
    ended = subprocess.run([sys.executable, "-c", LOADING], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, "", "")


def test_it_tells_its_version(command):
    result = command("--version")
    assert (result.exit_code, result.stdout) == (0, f"videosite-realtime {version('videosite-realtime-cli')}\n")
