#!/usr/bin/env python3
"""What it costs to tell of requests: CPU per request of a calling and of a called sidecar, and of
graymeshd, with nothing, with Istio's metrics, and with the lane log at its default share, for
requests without and with a lane. In turn, several rounds, each with a mesh of its own; at the end
the medians, and by how much more than with nothing. Needs wrk.

    bench/request_cost.py [SECONDS [ROUNDS]]      default 8 5; --metrics: without the lane log
"""

import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests/e2e"), str(ROOT / "tools")]
import carriage_test  # noqa: E402
from release_case import application  # noqa: E402

NUMBERS = [int(word) for word in sys.argv[1:] if word.isdigit()]
SECONDS, ROUNDS = (*NUMBERS, *(8, 5)[len(NUMBERS):])
NOTHING = ("off", "off", "")
# Lane log, metrics, lane of the requests.
CASES = (NOTHING, ("off", "on", ""), *(() if "--metrics" in sys.argv else (("1%", "off", ""), ("1%", "off", "feature-a"))))
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


def run(cases):
    """{case: costs}, of cases that differ in the lane of their requests."""
    log, metrics, _ = cases[0]
    os.environ["GRAYMESH_REQUEST_METRICS"] = metrics  # each sidecar inherits it
    mesh = carriage_test.Mesh(log).start()
    try:
        mesh.api_call("POST", "/api/v1/lanes", LANE)
        at = {one["name"].split("-")[0]: one["address"] for one in mesh.instances_now()}
        pids = {"web": envoy_at(at["web"]), "stock": envoy_at(at["stock"]), "graymeshd": mesh.control_plane.child.pid}
        out = {}
        for case in cases:
            headers = ["-H", f"canarytag: {case[2]}"] if case[2] else []
            requests, out[case] = measure(mesh, pids, at["web"], headers)
            tell(case, requests, out[case])
        return out
    finally:
        mesh.stop()


def tell(case, requests, cost, more=""):
    log, metrics, lane = case
    print(f"{log:5} {metrics:8} {lane or '-':10} {requests:>8}  {cost['web']:8.1f}  {cost['stock']:9.1f}  "
          f"{cost['graymeshd']:9.1f}{more}", flush=True)


def main():
    carriage_test.APPLICATIONS[:] = [application("web", calls="stock", host="shop.example", replicas=1),
                                     application("stock", replicas=1)]
    print("log   metrics  lane       requests  web, out  stock, in  graymeshd  (µs of CPU per request)")
    costs = {case: [] for case in CASES}
    for _ in range(ROUNDS):
        for log_and_metrics in dict.fromkeys(case[:2] for case in CASES):
            for case, cost in run([case for case in CASES if case[:2] == log_and_metrics]).items():
                costs[case].append(cost)
    print("medians")
    medians = {case: {name: statistics.median(cost[name] for cost in all_of) for name in all_of[0]}
               for case, all_of in costs.items()}
    for case, cost in medians.items():
        more = [(cost[name] / medians[NOTHING][name] - 1) * 100 for name in ("web", "stock")]
        tell(case, "", cost, f"  {more[0]:+.0f} % {more[1]:+.0f} %")


if __name__ == "__main__":
    main()
