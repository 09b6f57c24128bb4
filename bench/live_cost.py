#!/usr/bin/env python3
"""What live figures cost graymeshd itself: its CPU while nobody looks, while somebody reads all edges each
second, under load, and while somebody taps a service under the same load. Each in turn, three times, before
one gateway and sidecars of a service that calls so many others. Needs wrk.

    bench/live_cost.py [SERVICES [SECONDS]]
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests/e2e"), str(ROOT / "tools")]
import carriage_test  # noqa: E402
import case  # noqa: E402
from measure import cpu_seconds  # noqa: E402
from release_case import application  # noqa: E402

SERVICES = int(sys.argv[1]) if len(sys.argv) > 1 else 10
SECONDS = int(sys.argv[2]) if len(sys.argv) > 2 else 30


def get(mesh, path):
    with urllib.request.urlopen(f"http://{mesh.api}{path}", timeout=10) as answer:
        return answer.read().decode()


def reads(mesh):
    """How often a sidecar was asked for its statistics."""
    return int(case.first_number(get(mesh, "/metrics"), r"^graymesh_live_reads_total (\d+)"))


def nobody(mesh, end):
    time.sleep(end - time.monotonic())


def reader(mesh, end):
    while time.monotonic() < end:
        if not json.loads(get(mesh, "/api/v1/live/edges?seconds=60"))["items"]:
            raise SystemExit("no edges: nothing was gathered")
        time.sleep(1)


def load(mesh, end):
    wrk = subprocess.run(["wrk", "-t1", "-c1", f"-d{max(1, int(end - time.monotonic()))}s", "-H", "Host: shop.example",
                          f"http://{mesh.gateway_address}:8000/"], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in wrk:
        raise SystemExit(wrk)
    return case.first_number(wrk, r"(\d+) requests in")


def tap(mesh, end):
    """The load, tapped: how many requests were sent, and told."""
    command = [case.PROGRAMS / "graymesh", "--server", mesh.api, "tap", "--service", "web", "--per-second", "1000",
               "--for", f"{int(end - time.monotonic())}s", "-o", "json"]
    # Into a file: a pipe that nobody reads holds the tap up.
    with tempfile.TemporaryFile("w+") as lines:
        with subprocess.Popen(command, stdout=lines, stderr=subprocess.DEVNULL) as process:
            sent = load(mesh, end)
            process.wait(60)
        lines.seek(0)
        told = lines.read().count("\n")
    if process.returncode != 0 or told == 0:
        raise SystemExit(f"the tap ended with {process.returncode} and told of {told} requests")
    return f"{sent:.0f}, told {told}"


CASES = (("nobody looks", nobody), ("edges read each second", reader), ("load", load), ("load, tapped", tap))


def main():
    names = [f"c{n}" for n in range(SERVICES)]
    carriage_test.APPLICATIONS[:] = [
        application("web", calls=carriage_test.calls(*names), host="shop.example", replicas=1),
        *(application(name, replicas=1) for name in names)]
    mesh = carriage_test.Mesh("1%").start()
    try:
        for _ in range(20):
            mesh.get("shop.example")
        server = mesh.control_plane.child.pid
        print(f"{SERVICES + 2} proxies, each case for {SECONDS} s\n"
              "case                     CPU, % of a core   sidecars asked   requests", flush=True)
        for _ in range(3):
            for name, case_of in CASES:
                time.sleep(3)  # what the case before asked for is over
                asked, used, begun = reads(mesh), cpu_seconds(server), time.monotonic()
                requests = case_of(mesh, begun + SECONDS)
                used, took = cpu_seconds(server) - used, time.monotonic() - begun
                print(f"{name:24} {used / took * 100:17.2f}  {reads(mesh) - asked:15}   {requests or '-'}", flush=True)
    finally:
        mesh.stop()


if __name__ == "__main__":
    main()
