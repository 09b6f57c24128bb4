"""What a Mesh needs of this machine: processes with their logs, blocks of loopback addresses, and the
sweeping up after meshes whose process was killed.
"""

import ctypes
import fcntl
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


class MeshError(Exception):
    """Something did not come up or went away; the message names it and shows the end of its log."""


def die_with_parent():
    """In a child, between fork and exec: SIGKILL to us when our parent dies."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """One program with its log. In a session of its own: Ctrl-C is ours to pass on."""

    def __init__(self, name, command, log, stdout=None, environment=None):
        self.name = name
        self.command = [str(part) for part in command]
        self.log = pathlib.Path(log)
        with open(self.log, "ab") as out:
            self.child = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=stdout or out, stderr=out,
                env=environment, start_new_session=True, preexec_fn=die_with_parent)
        self.pid = self.child.pid

    def running(self):
        return self.child.poll() is None

    def signal(self, number):
        if self.running():
            self.child.send_signal(number)

    def wait(self, timeout):
        """The exit code; SIGKILL after `timeout` seconds."""
        try:
            return self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            self.child.kill()
            return self.child.wait()

    def tail(self, lines=15):
        try:
            text = self.log.read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join("    " + line[:400] for line in text[-lines:])

    def fault(self, what):
        state = "runs" if self.running() else f"ended with code {self.child.returncode}"
        return MeshError(f"{self.name}: {what} ({state})\n  {' '.join(self.command)[:400]}\n"
                         f"  end of {self.log}:\n{self.tail()}")


def listened_blocks():
    """The N of each 127.N.0.0/16 where a TCP socket listens (proc(5), /proc/net/tcp: addresses from the last byte on)."""
    lines = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {int(address[4:6], 16) for _, address, _, state, *_ in lines if state == "0A" and address[6:8] == "7F"}


class Block:
    """A claim on 127.N.0.0/16, held by a bound socket for as long as this process lives. A block where
    somebody listens is passed over, in it or at its twin: a mesh that has just ended may have processes that are
    about to."""

    def __init__(self, wanted):
        for number in wanted:
            claim = socket.socket()
            try:
                claim.bind((f"127.{number}.255.254", 15999))
            except OSError:
                claim.close()
                continue
            if listened_blocks() & {number, number + 64}:
                claim.close()
                continue
            self.number, self.claim = number, claim
            return
        raise MeshError("no block of loopback addresses is free: "
                        "too many meshes run on this machine")

    def close(self):
        self.claim.close()


def instances_below(folder):
    """Ids of the keepers of the instances below `folder`, and of what they have started."""
    keepers, started = [], []
    mark = f"GRAYMESH_INSTANCE_FOLDER={folder}/".encode()
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if "instance" in words and any(word.startswith(f"{folder}/") for word in words):
                keepers.append(int(entry.name))
            elif mark in (entry / "environ").read_bytes():
                started.append(int(entry.name))
        except OSError:
            continue  # it has just ended by itself, or is somebody else's
    return keepers, started


def end_instances(folder, seconds=5.0):
    """SIGKILL for the keepers of the instances below `folder`; each takes its own with it. Until all are gone, as
    they may write into the folder till then."""
    deadline = time.monotonic() + seconds
    while any(found := instances_below(folder)) and time.monotonic() < deadline:
        for keeper in found[0]:
            try:
                os.kill(keeper, signal.SIGKILL)
            except OSError:
                pass  # it has just ended by itself
        time.sleep(0.02)


def sweep():
    """Removes what meshes left behind whose process was killed: nobody holds their lock."""
    for file in pathlib.Path(tempfile.gettempdir()).glob("graymesh-mesh-*/lock"):
        try:
            with open(file, "r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if time.time() - file.stat().st_mtime > 1:  # not just being made
                    end_instances(file.parent)
                    shutil.rmtree(file.parent, ignore_errors=True)
        except OSError:
            pass


def answers_connects(address, port):
    try:
        socket.create_connection((address, port), 1).close()
        return True
    except OSError:
        return False


def can_listen(address, port):
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            return True
        except OSError:
            return False


def free_ports(count, address="127.0.0.1"):
    """The first of `count` neighbours that nobody listens at, of those that the kernel gives to nobody who asks for
    any port, as every client does: such a one may be taken until it is listened at."""
    lowest = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    if lowest < 20_000:
        lowest = 32_768
    for _ in range(200):
        port = random.randrange(lowest // 2, lowest - count)
        if all(can_listen(address, port + i) for i in range(count)):
            return port
    raise MeshError(f"no {count} ports of {address} are free")
