"""What bench/load.py, failover.py and soak.py share: a generated mesh whose objects change by number, a
control plane as a process whose CPU and memory are read, and the load client (ads_load).
"""

import ctypes
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAMS = pathlib.Path(os.environ.get("GRAYMESH_BIN") or ROOT / "build-release/bin").resolve()
LIBC = ctypes.CDLL(None)
TARGETS = 64  # objects of each kind that changes go round; gen_mesh.py writes so many


class Trouble(Exception):
    """What did not come up, or did not come true; with what was seen instead."""


def die_with_parent():
    LIBC.prctl(1, signal.SIGKILL)


class Mesh:
    """A folder of Kubernetes and Istio objects, and numbered changes to it (ads/watch.h)."""

    def __init__(self, services=700, pods=1100, seed=7, folder=None):
        self.on_change = lambda file: None  # told of each file that was written
        self.keep = folder is not None  # one that is there, written by gen_mesh.py --format k8s
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="graymesh-load-"))
        if not self.keep:
            self.generate(services, pods, seed)
        self.config = self.folder / "config"
        self.nodes = self.folder / "nodes.jsonl"
        self.summary = json.loads((self.folder / "summary.json").read_text())
        changes = json.loads((self.folder / "changes.json").read_text())
        self.changes = {kind: changes[kind][:TARGETS] for kind in ("endpoint", "route")}
        self.used = self.folder / "numbers.json"  # a change that was made before would be none
        self.numbers = json.loads(self.used.read_text()) if self.used.exists() else dict.fromkeys(changes, TARGETS)

    def generate(self, services, pods, seed):
        subprocess.run([sys.executable, ROOT / "tools/gen_mesh.py", "--out", self.folder, "--services", str(services),
                        "--pods", str(pods), "--format", "k8s", "--seed", str(seed)], check=True,
                       stdout=subprocess.DEVNULL)

    def change(self, kind):
        """Makes the next change: its number, and when it was made (CLOCK_MONOTONIC, ns)."""
        number = self.numbers[kind]
        self.numbers[kind] += 1
        mark = f"10.253.1{number // 100 % 100:02}.1{number % 100:02}" if kind == "endpoint" else f"mark-{number:06}"
        template = self.changes[kind][number % len(self.changes[kind])]
        aside = self.folder / "next.yaml"
        aside.write_text(template["body"].replace("{{MARK}}", mark))
        now = time.monotonic_ns()
        aside.rename(self.config / template["file"])
        self.on_change(self.config / template["file"])
        return number, now

    def close(self):
        if self.keep:
            self.used.write_text(json.dumps(self.numbers))
        else:
            shutil.rmtree(self.folder, ignore_errors=True)


def cpu_seconds(pid):
    """That all threads of the process have run: its CPU clock, in ns by the kernel."""
    return time.clock_gettime(~pid << 3 | 2)


class Running:
    """A process whose CPU time and memory are looked at."""

    def __init__(self, pid, xds):
        self.pid, self.xds = pid, xds

    def cpu(self):
        return cpu_seconds(self.pid)

    def memory(self, what="VmHWM"):
        """MB; VmHWM: the most there ever was, VmRSS: now."""
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(what + ":"):
                return int(line.split()[1]) / 1024
        raise Trouble(f"{what} of {self.pid}: not told")


class Graymeshd(Running):
    """Ends with us. On free ports, or on those of the one before."""

    mesh_config_option = "--mesh-config"

    def __init__(self, mesh, xds="127.0.0.1:0", api="127.0.0.1:0", options=()):
        self.options = options
        self.log = mesh.folder / "graymeshd.log"
        begun = time.monotonic()
        with open(self.log, "ab") as out:
            self.child = subprocess.Popen(
                [PROGRAMS / "graymeshd", "--config", mesh.config, "--xds", xds, "--api", api, "--print-addresses", *options],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=out, text=True, preexec_fn=die_with_parent)
        line = self.child.stdout.readline()
        if not line:
            raise Trouble("graymeshd did not come up:\n" + self.log.read_text()[-2000:])
        addresses = json.loads(line)
        super().__init__(self.child.pid, addresses["xds"])
        self.api = addresses["api"]
        wait_until(self.ready, 60, "graymeshd is ready")
        self.ready_seconds = time.monotonic() - begun

    def kill(self):
        self.child.kill()
        self.child.wait()
        self.child.stdout.close()

    def ready(self):
        try:
            with urllib.request.urlopen(f"http://{self.api}/ready", timeout=1):
                return True
        except OSError:
            return False

    def again(self, mesh):
        """The same, after a kill."""
        return Graymeshd(mesh, self.xds, self.api, self.options)


class Load:
    """The load client; each method is one of its commands (ads_load.cc)."""

    def __init__(self, server, mesh, streams, *, sotw=False, options=()):
        command = [PROGRAMS / "ads_load", "--server", server, "--nodes", mesh.nodes, "--streams", str(streams), *options]
        self.child = subprocess.Popen([str(part) for part in command + ["--sotw"] * sotw], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
        self.pid = self.child.pid
        self.streams = streams

    def say(self, line):
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()
        answer = self.child.stdout.readline()
        if not answer:
            raise Trouble(f"ads_load ended at {line!r}, code {self.child.wait()}")
        answer = json.loads(answer)
        if isinstance(answer, dict) and "error" in answer:
            raise Trouble(f"ads_load {line!r}: {answer['error']}")
        return answer

    def synced(self, seconds):
        answer = self.say(f"synced {seconds}")
        if answer["synced"] < answer["streams"]:
            raise Trouble(f"after {seconds} s: {answer}, {self.counts()}")
        return answer

    def counts(self):
        return self.say("counts")

    def follow(self, mesh, kind, make, seconds=60):
        """Lets `make` make changes (it calls what it is given), and tells how long each took to every stream."""
        first = mesh.numbers[kind]
        self.say(f"watch {first} {len(mesh.changes[kind])}")

        def change():
            number, at = mesh.change(kind)
            self.say(f"wrote {kind} {number} {at}")
        make(change)
        return self.say(f"wait {kind} {first} {mesh.numbers[kind] - 1} {seconds}")

    def close(self):
        self.child.stdin.close()
        try:
            self.child.wait(30)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def wait_until(holds, seconds, what, pause=0.01):
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise Trouble(f"after {seconds} s still not so: {what}")
        time.sleep(pause)


def quiet(load, seconds=600, still=0.5):
    """Waits until nothing has come for `still` seconds."""
    end = time.monotonic() + seconds
    last, since = None, time.monotonic()
    while time.monotonic() < end:
        now = load.counts()["wire_bytes"] // (4096 * load.streams)  # pings are no news
        if now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > still:
            return
        time.sleep(0.1)
    raise Trouble(f"after {seconds} s responses still come: {load.counts()}")


def churn(rate, seconds):
    """Changes at a steady rate; one that comes late does not push back the next."""
    def make(change):
        begun = time.monotonic()
        for number in range(int(rate * seconds)):
            time.sleep(max(0.0, begun + number / rate - time.monotonic()))
            change()
    return make
