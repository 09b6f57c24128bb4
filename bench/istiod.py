#!/usr/bin/env python3
"""istiod and graymeshd before the same sidecars, one after the other on this machine: one mesh, one load client.

istiod is Istio's own (`tools/install-deps --istiod` builds it from its Go module), reads the mesh's objects from a
stand-in for the Kubernetes API (kubernetes.py), and has its defaults, but no certificates, no injection, no webhooks.
Streams back off as ours do, 0.1 to 1 s (Istio's bootstrap has 0.5 to 30 s: fewer rejected connects, later), and do
not ping, as with Istio's bootstrap.

    bench/istiod.py                                     700 services, 1,100 streams
    bench/istiod.py --services 100 --streams 50 --quick
    bench/istiod.py --json both.json
"""

import argparse
import json
import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.request

import load
import measure
from kubernetes import Kubernetes
from measure import ROOT, Trouble, die_with_parent, wait_until

CACHE = pathlib.Path(os.environ.get("GRAYMESH_CACHE") or pathlib.Path.home() / ".cache/graymesh")
PROGRAM = CACHE / "bin/pilot-discovery"


def free_address():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{it.getsockname()[1]}"


class Istiod(measure.Running):
    """Ends with us. At `xds`, or somewhere free."""

    mesh_config_option = "--meshConfig"

    def __init__(self, mesh, kubernetes, xds=None, options=()):
        self.kubernetes, self.options = kubernetes, options
        self.log = mesh.folder / "istiod.log"
        access = mesh.folder / "kubeconfig"
        access.write_text(kubernetes.kubeconfig())
        http = free_address()
        begun = time.monotonic()
        environment = {**os.environ, "POD_NAME": "istiod-0", "POD_NAMESPACE": "istio-system", "REVISION": "default",
                       "CLUSTER_ID": "Kubernetes", "ENABLE_CA_SERVER": "false", "PILOT_CERT_PROVIDER": "none",
                       "PILOT_ENABLE_GATEWAY_API": "false", "VALIDATION_WEBHOOK_CONFIG_NAME": "",
                       "INJECTION_WEBHOOK_CONFIG_NAME": ""}
        xds = xds or free_address()
        with open(self.log, "ab") as out:
            self.child = subprocess.Popen(
                [PROGRAM, "discovery", "--kubeconfig", access, "--grpcAddr", xds, "--httpAddr", http, "--httpsAddr", "",
                 "--secureGRPCAddr", "", "--monitoringAddr", free_address(), "--ctrlz_port", "0", "--domain",
                 "cluster.local", "--log_output_level", "default:warn", *options],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment, cwd=mesh.folder,
                preexec_fn=die_with_parent)
        super().__init__(self.child.pid, xds)
        wait_until(lambda: self.ready(http), 120, "istiod is ready", 0.05)
        self.ready_seconds = time.monotonic() - begun

    def ready(self, address):
        if self.child.poll() is not None:
            raise Trouble("istiod did not come up:\n" + self.log.read_text()[-2000:])
        try:
            with urllib.request.urlopen(f"http://{address}/ready", timeout=1):
                return True
        except OSError:
            return False

    def kill(self):
        self.child.kill()
        self.child.wait()

    def again(self, mesh):
        return Istiod(mesh, self.kubernetes, self.xds, self.options)


def istiod(mesh, _options):
    kubernetes = Kubernetes(mesh.config)
    mesh.on_change = kubernetes.read
    return Istiod(mesh, kubernetes)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--services", type=int, default=700)
    options.add_argument("--streams", type=int, default=1100)
    options.add_argument("--protocol", choices=("delta", "sotw"), default="delta")
    options.add_argument("--quick", action="store_true", help="one change of each kind, no churn")
    options.add_argument("--patience", type=float, default=900, help="until something is everywhere, in seconds")
    options.add_argument("--json", help="figures go to this file")
    options = options.parse_args(namespace=argparse.Namespace(curve=False, record=False, vhds=False, mesh=None, pid=None,
                                                              server=None, ping=0))
    subprocess.run([ROOT / "tools/install-deps", "--istiod"], check=True)
    columns = []
    for start in (load.graymeshd, istiod):
        columns.append(load.measure_one(options.services, options.streams, options.protocol == "sotw", options, start))
        columns[-1]["protocol"] += " " + start.__name__
        print(load.table(columns[-1:]), flush=True)
        if options.json:
            pathlib.Path(options.json).write_text(json.dumps(columns, indent=1))
    print(load.table(columns))


if __name__ == "__main__":
    try:
        main()
    except Trouble as trouble:
        sys.exit(f"istiod.py: {trouble}")
