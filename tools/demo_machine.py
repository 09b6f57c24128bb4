"""What a Mesh needs of this machine: processes with their logs, blocks of loopback addresses, and the
sweeping up after meshes whose process was killed.
"""

import ctypes
import fcntl
import os
import pathlib
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
    somebody listens is passed over: a mesh that has just ended may have processes that are about to."""

    def __init__(self, wanted):
        for number in wanted:
            claim = socket.socket()
            try:
                claim.bind((f"127.{number}.255.254", 15999))
            except OSError:
                claim.close()
                continue
            if number in listened_blocks():
                claim.close()
                continue
            self.number, self.claim = number, claim
            return
        raise MeshError("no block of loopback addresses is free: "
                        "too many meshes run on this machine")

    def close(self):
        self.claim.close()


def end_instances(folder):
    """SIGKILL for the keepers of the instances below `folder`; each takes its own with it."""
    for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().decode(errors="replace").split("\0")
            if "instance" in words and any(word.startswith(f"{folder}/") for word in words):
                os.kill(int(entry.parent.name), signal.SIGKILL)
        except OSError:
            continue  # it has just ended by itself


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
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            return True
        except OSError:
            return False
