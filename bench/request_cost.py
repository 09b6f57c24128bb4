#!/usr/bin/env python3
"""What it costs to tell of requests: CPU per request of a calling and of a called sidecar, and of
graymeshd, with nothing, with Istio's metrics, and with the lane log at its default share, for
requests without and with a lane. A mesh for each, all at once, asked in turn for a moment each, so
that what else the machine does meets all alike; at the end the medians, and the median of how much
more each took than nothing did in the same round. Needs wrk.

    bench/request_cost.py [SECONDS [ROUNDS]]      default 2 20; --metrics: without the lane log
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
from measure import cpu_seconds  # noqa: E402
from release_case import application  # noqa: E402

NUMBERS = [int(word) for word in sys.argv[1:] if word.isdigit()]
SECONDS, ROUNDS = (*NUMBERS, *(2, 20)[len(NUMBERS):])
NOTHING = ("off", "off", "")
# Lane log, metrics, lane of the requests.
CASES = (NOTHING, ("off", "on", ""), *(() if "--metrics" in sys.argv else (("1%", "off", ""), ("1%", "off", "feature-a"))))
LANE = {"apiVersion": "graymesh.io/v1alpha1", "kind": "Lane", "metadata": {"name": "feature-a", "namespace": "fe-pre"},
        "spec": {}}


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


class Asked:
    """A mesh in which web's sidecar is asked for stock, with this lane log and metrics."""

    def __init__(self, log, metrics):
        os.environ["GRAYMESH_REQUEST_METRICS"] = metrics  # each sidecar inherits it
        self.mesh = carriage_test.Mesh(log).start()
        try:
            self.mesh.api_call("POST", "/api/v1/lanes", LANE)
            at = {one["name"].split("-")[0]: one["address"] for one in self.mesh.instances_now()}
            self.address = at["web"]
            self.pids = {"web": envoy_at(at["web"]), "stock": envoy_at(at["stock"]),
                         "graymeshd": self.mesh.control_plane.child.pid}
        except BaseException:
            self.mesh.stop()
            raise

    def cost(self, lane):
        """Microseconds of CPU per request, by process."""
        before = {name: cpu_seconds(pid) for name, pid in self.pids.items()}
        headers = ["-H", f"canarytag: {lane}"] if lane else []
        done = subprocess.run(["wrk", "-t1", "-c8", f"-d{SECONDS}s", "-H", "Host: stock:8080", *headers,
                               f"http://{self.address}:15001/"], capture_output=True, text=True, check=True).stdout
        requests = int(re.search(r"(\d+) requests in", done).group(1))
        if "Non-2xx" in done:
            raise SystemExit(done)
        time.sleep(1.5)  # the log is flushed each second
        return {name: (cpu_seconds(pid) - before[name]) / requests * 1e6 for name, pid in self.pids.items()}


def tell(case, cost, more=""):
    log, metrics, lane = case
    print(f"{log:5} {metrics:8} {lane or '-':10} {cost['web']:8.1f}  {cost['stock']:9.1f}  "
          f"{cost['graymeshd']:9.1f}{more}", flush=True)


def main():
    carriage_test.APPLICATIONS[:] = [application("web", calls="stock", host="shop.example", replicas=1),
                                     application("stock", replicas=1)]
    meshes, costs = {}, {case: [] for case in CASES}
    try:
        for log, metrics, _ in CASES:
            if (log, metrics) not in meshes:
                meshes[log, metrics] = Asked(log, metrics)
        print("log   metrics  lane       web, out  stock, in  graymeshd  (µs of CPU per request)")
        for _ in range(ROUNDS):
            for case in CASES:
                costs[case].append(meshes[case[:2]].cost(case[2]))
                tell(case, costs[case][-1])
    finally:
        for one in meshes.values():
            one.mesh.stop()
    print("medians, and how much more in the same round")
    for case, all_of in costs.items():
        more = [statistics.median(cost[name] / nothing[name] for cost, nothing in zip(all_of, costs[NOTHING])) * 100 - 100
                for name in ("web", "stock")]
        tell(case, {name: statistics.median(cost[name] for cost in all_of) for name in all_of[0]},
             f"  {more[0]:+.1f} % {more[1]:+.1f} %")


if __name__ == "__main__":
    main()
