#!/usr/bin/env python3
"""What a gateway's Lua filter costs, which keeps a browser in its lane (docs/releases.md, Browsers): CPU
per request of the gateway where the filter sleeps (a VirtualService of a user's), where it is awake and
has nothing to mend (the platform's route of the same application), and where it takes the lane's query
parameter out of the path. In turn, three times. Needs wrk.

    bench/site_filter_cost.py [SECONDS]
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
from measure import cpu_seconds  # noqa: E402
from request_cost import envoy_at  # noqa: E402

SECONDS = int(sys.argv[1]) if len(sys.argv) > 1 else 8
USERS = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: plain, namespace: fe-pre}
spec:
  hosts: [plain.example]
  gateways: [ingress/shop]
  http: [{route: [{destination: {host: web.fe-pre.svc.cluster.local, port: {number: 8080}}}]}]
"""
CASES = (("asleep", "plain.example", "/"), ("awake", "shop.example", "/"),
         ("query parameter", "shop.example", f"/?canarytag={carriage_test.LANE}"))


def measure(pid, url, host):
    before = cpu_seconds(pid)
    done = subprocess.run(["wrk", "-t1", "-c8", f"-d{SECONDS}s", "-H", f"Host: {host}", url],
                          capture_output=True, text=True, check=True).stdout
    requests = int(re.search(r"(\d+) requests in", done).group(1))
    if "Non-2xx" in done:
        raise SystemExit(f"{url} of {host}: {done}")
    return requests, (cpu_seconds(pid) - before) / requests * 1e6


def main():
    carriage_test.APPLICATIONS[:] = [application("web", host="shop.example", replicas=1)]
    mesh = carriage_test.Mesh("off").start()
    try:
        mesh.write("plain.yaml", USERS)
        mesh.start_release("fe-pre", "web", carriage_test.LANE)
        deadline = time.monotonic() + 10
        while mesh.get("plain.example").status != 200:
            if time.monotonic() > deadline:
                raise SystemExit("the gateway does not answer for plain.example")
            time.sleep(0.1)
        gateway = next(one["address"] for one in mesh.instances_now() if one["name"].startswith("gateway-"))
        pid = envoy_at(gateway)
        print("filter           requests  gateway (µs of CPU per request)")
        for _ in range(3):
            for name, host, path in CASES:
                requests, cost = measure(pid, f"http://{mesh.gateway_address}:8000{path}", host)
                print(f"{name:15} {requests:9}  {cost:7.1f}", flush=True)
    finally:
        mesh.stop()


if __name__ == "__main__":
    main()
