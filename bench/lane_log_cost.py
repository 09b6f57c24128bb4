#!/usr/bin/env python3
"""What the lane log costs: CPU per request of a calling and of a called sidecar, and of graymeshd,
with the log off and with its default share, for requests without and with a lane. Needs wrk.

    bench/lane_log_cost.py [SECONDS]
"""

import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests/e2e"), str(ROOT / "tools")]
import carriage_test  # noqa: E402
from release_case import application  # noqa: E402

SECONDS = int(sys.argv[1]) if len(sys.argv) > 1 else 8
LANE = {"apiVersion": "graymesh.io/v1alpha1", "kind": "Lane", "metadata": {"name": "feature-a", "namespace": "fe-pre"},
        "spec": {}}


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def envoy_at(address):
    """The id of the Envoy whose bootstrap, an argument, has this address in its node id."""
    for file in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes()
        except OSError:
            continue
        if line.split(b"\0")[0].endswith(b"envoy") and f"~{address}~".encode() in line:
            return int(file.parent.name)
    raise SystemExit(f"no Envoy at {address}")


def measure(mesh, pids, address, headers):
    """Microseconds of CPU per request, by process."""
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    done = subprocess.run(["wrk", "-t1", "-c8", f"-d{SECONDS}s", "-H", "Host: stock:8080", *headers,
                           f"http://{address}:15001/"], capture_output=True, text=True, check=True).stdout
    requests = int(re.search(r"(\d+) requests in", done).group(1))
    if "Non-2xx" in done:
        raise SystemExit(done)
    time.sleep(1.5)  # the log is flushed each second
    return requests, {name: (cpu_seconds(pid) - before[name]) / requests * 1e6 for name, pid in pids.items()}


def main():
    carriage_test.APPLICATIONS[:] = [application("web", calls="stock", host="shop.example", replicas=1),
                                     application("stock", replicas=1)]
    print("log   lane       requests  web, out  stock, in  graymeshd  (µs of CPU per request)")
    for log in ("off", "1%"):
        mesh = carriage_test.Mesh(log).start()
        try:
            mesh.api_call("POST", "/api/v1/lanes", LANE)
            at = {one["name"].split("-")[0]: one["address"] for one in mesh.instances_now()}
            pids = {"web": envoy_at(at["web"]), "stock": envoy_at(at["stock"]),
                    "graymeshd": mesh.control_plane.child.pid}
            for _ in range(3):
                for lane in ("", "feature-a"):
                    headers = ["-H", f"canarytag: {lane}"] if lane else []
                    requests, cost = measure(mesh, pids, at["web"], headers)
                    print(f"{log:5} {lane or '-':10} {requests:8}  {cost['web']:8.1f}  {cost['stock']:9.1f}  "
                          f"{cost['graymeshd']:9.1f}", flush=True)
        finally:
            mesh.stop()


if __name__ == "__main__":
    main()
