#!/usr/bin/env python3
"""What a release and a rollback take before real Envoys and very many simulated proxies.

The shop of demo/platform runs with its sidecars; N simulated proxies (ads_load.cc) hold the
configuration of its namespace beside them, and the platform waits for all. One lane of one application
goes up and is taken back, again and again.

    bench/releases.py                          1, 100 and 1,000 simulated proxies, 10 releases each
    bench/releases.py --proxies 100 --times 3

Times in ms. `ready` is when the gray instance and its sidecar are: the start of the application and of
its Envoy is not the mesh's. `held` is when the response with the new routes came to a simulated proxy.
"""

import argparse
import datetime
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import demo_mesh  # noqa: E402
from platform_mesh import PlatformMesh  # noqa: E402

HOST, NAMESPACE = "pre.shop.example", "fe-pre"
PROGRAMS = pathlib.Path(os.environ.get("GRAYMESH_BIN") or ROOT / "build-release/bin")


class Simulated:
    def __init__(self, mesh, count):
        self.nodes = tempfile.NamedTemporaryFile("w", suffix=".jsonl")
        for number in range(count):
            print(json.dumps({"ip": f"127.63.{number // 250}.{number % 250 + 1}", "ns": NAMESPACE,
                              "name": f"simulated-{number}", "labels": {"app": "simulated"},
                              "metadata": {"INTERCEPTION_MODE": "NONE"}}), file=self.nodes)
        self.nodes.flush()
        self.child = subprocess.Popen(
            [PROGRAMS / "ads_load", "--server", mesh.xds, "--nodes", self.nodes.name, "--streams", str(count)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=demo_mesh.die_with_parent)
        if self.say("synced 120").get("synced") != count:
            raise demo_mesh.MeshError("not all simulated proxies were synced")

    def say(self, line):
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()
        return json.loads(self.child.stdout.readline())

    def mark(self):
        self.say("mark")
        return time.time()

    def report(self):
        return self.say("report 30")

    def close(self):
        self.child.stdin.close()
        self.child.wait(30)
        self.nodes.close()


def cpu_seconds(pid):
    """What the process has used, in user and kernel mode."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(mesh, simulated, tag):
    """One release of web, up and back: figures in ms by name."""
    client = mesh.client()
    spent = cpu_seconds(mesh.control_plane.pid)
    met = []

    def ask():
        answer = client.request("/", HOST, {"canarytag": tag})
        if not met and f"web[{tag}]" in answer.path:
            met.append(time.time())
        return answer
    with demo_mesh.Stream(ask, 0.001) as load:
        marked = simulated.mark()
        release = mesh.start_release(NAMESPACE, "web", tag)
        while not met and time.time() < marked + 30:
            time.sleep(0.001)
        held = simulated.report()
        instance = release["applications"][0]["instances"][0]["name"]
        since = next(i["since"] for i in mesh.instances_now() if i["name"] == instance)
        ready = datetime.datetime.fromisoformat(since.replace("Z", "+00:00")).timestamp()
        to_ready = (ready - marked) * 1000
        figures = {"start -> ready": to_ready,
                   "ready -> first gray answer": (met[0] - ready) * 1000,
                   "ready -> held by the first": held["first"] - to_ready,
                   "ready -> held by the last": held["last"] - to_ready}
        simulated.mark()
        release = mesh.act(release["id"], "rollback", "a measurement")
        figures["rollback -> held by the last"] = simulated.report()["last"]
        receipt = release["receipts"]["rollback"]
        figures["routes withdrawn -> p50 ACK"] = receipt["p50_ms"]
        figures["routes withdrawn -> last ACK"] = receipt["last_ms"]
        figures["proxies"] = receipt["proxies"]
    client.close()
    failed = load.failures()
    if failed or receipt["missing"] or release["phase"] != "rolled-back":
        raise demo_mesh.MeshError(f"{tag}: {release['phase']}, missing {receipt['missing']}, {failed[:3]}")
    figures["graymeshd's CPU for both"] = (cpu_seconds(mesh.control_plane.pid) - spent) * 1000
    return figures


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--proxies", type=int, nargs="+", default=[1, 100, 1000])
    options.add_argument("--times", type=int, default=10)
    options = options.parse_args()
    for count in options.proxies:
        with PlatformMesh(programs=PROGRAMS) as mesh:
            simulated = Simulated(mesh, count)
            measure(mesh, simulated, "warm-up")
            rows = [measure(mesh, simulated, f"r{number}") for number in range(options.times)]
            simulated.close()
        print(f"{count} simulated proxies and {rows[0]['proxies'] - count:.0f} Envoys, {options.times} releases")
        for name in rows[0]:
            found = sorted(row[name] for row in rows)
            if name != "proxies":
                print(f"  {name:<32} median {found[len(found) // 2]:8.1f}   most {found[-1]:8.1f}")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
