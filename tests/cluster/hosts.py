"""Hosts that share nothing but a wire: Linux network namespaces, each with an address of its own."""

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

NEW_NETWORK = 0x40000000
"""CLONE_NEWNET of setns(2)."""
CONFINED = ("setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all")
"""What `cap_drop: [ALL]` and `no-new-privileges` leave to a container."""
CONTAINER_ID = 10001
CONTAINER_USER = (f"--reuid={CONTAINER_ID}", f"--regid={CONTAINER_ID}", "--clear-groups")


class NotAllowed(Exception):
    """No hosts can be made here."""


class Wire:
    """A switch with hosts on it; gone, with the processes that the caller ended, when the context ends.

    Args:
        hosts: their names; the first has the address 10.77.0.1, and so on.

    Raises:
        NotAllowed: not on this machine, or not by this user.
    """

    def __init__(self, hosts: Sequence[str]) -> None:
        lacking = [program for program in ("ip", "setpriv") if shutil.which(program) is None]
        if lacking or os.geteuid() != 0:
            raise NotAllowed(f"{', '.join(lacking)} not installed" if lacking else "only root makes network namespaces")
        self._mark = f"goldenbench-{os.getpid()}"
        self._hosts = list(hosts)
        self._made: list[str] = []
        self._user = _user()
        try:
            self._make()
        except subprocess.CalledProcessError as error:
            self.close()
            raise NotAllowed(f"{' '.join(error.cmd)}: {error.stderr.strip()}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def address(self, host: str) -> str:
        """A host's address."""
        return f"10.77.0.{1 + self._hosts.index(host)}"

    def on(self, host: str) -> list[str]:
        """What goes in front of a command to run it on a host as a container would."""
        return ["ip", "netns", "exec", self._name(host), *CONFINED, *self._user]

    def give(self, path: Path) -> None:
        """Make something the user's as which commands run on the hosts."""
        if self._user:
            os.chown(path, CONTAINER_ID, CONTAINER_ID)

    def cut(self, host: str) -> None:
        """Pull a host's plug: nobody is told, packets just stop."""
        _ip("-n", self._name("switch"), "link", "delete", f"to-{host}")

    def visitor(self, host: str) -> ThreadPoolExecutor:
        """Runs calls of this process in the network of a host."""
        return ThreadPoolExecutor(1, initializer=_move_thread, initargs=(f"/run/netns/{self._name(host)}",))

    def close(self) -> None:
        """Remove everything."""
        while self._made:
            _ip("netns", "delete", self._made.pop())

    def _make(self) -> None:
        for name in ("switch", *self._hosts):
            _ip("netns", "add", self._name(name))
            self._made.append(self._name(name))
        switch = self._name("switch")
        _ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", switch, "link", "set", "bridge", "up")
        for host in self._hosts:
            own, port = self._name(host), f"to-{host}"
            _ip("-n", switch, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", own)
            _ip("-n", switch, "link", "set", port, "master", "bridge", "up")
            _ip("-n", own, "address", "add", f"{self.address(host)}/24", "dev", "eth0")
            for link in ("lo", "eth0"):
                _ip("-n", own, "link", "set", link, "up")

    def _name(self, host: str) -> str:
        return f"{self._mark}-{host}"


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=30)


def _user() -> tuple[str, ...]:
    """The containers' user, where they can read this installation; else root without a single capability."""
    script = "import service, subprocess, sys; subprocess.run([sys.executable, '-c', ''], check=True)"
    command = [*CONFINED, *CONTAINER_USER, sys.executable, "-c", script]
    asked = subprocess.run(command, capture_output=True, timeout=30)
    return CONTAINER_USER if asked.returncode == 0 else ()


def _move_thread(namespace: str) -> None:
    with open(namespace) as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), NEW_NETWORK) != 0:
            raise OSError(ctypes.get_errno(), f"setns {namespace}")
