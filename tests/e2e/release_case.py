"""What the end-to-end tests of the release platform share: applications that call each other, clients
that know which versions may answer them, and a Mesh of tools/platform_mesh.py that runs it all.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import tempfile
import threading
import unittest

import case
import demo_mesh
from platform_mesh import PlatformMesh

SHOP = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop, namespace: ingress}
spec:
  selector: {app: gateway}
  servers:
  - {port: {number: 8000, name: http, protocol: HTTP}, bind: 127.1.0.1, hosts: ["*"]}
---
apiVersion: graymesh.io/v1alpha1
kind: Application
metadata: {name: gateway, namespace: ingress}
spec: {gateway: true, ports: [{name: http, port: 8000}]}
"""
APPLICATION = """\
---
apiVersion: graymesh.io/v1alpha1
kind: Application
metadata: {{name: {name}, namespace: fe-pre{labels}}}
spec:
  ports: [{{name: http, port: 8080}}]
  {hosts}
  run:
    version: v0
    command: [graymesh-shop, --listen, $(ADDRESS):$(PORT), --proxy, $(PROXY), --instance, $(INSTANCE),
      --service, {name}, --version, $(VERSION){more}]
  replicas: {replicas}
  readiness: {{http: {{path: /healthz}}, period: 200ms}}
  stop: {{drain: 300ms, timeout: 5s}}
"""


def application(name, *, calls=None, replicas=2, host=None, forward=None, locality=None):
    more = (f", --calls, http://{calls}:8080/" if calls else "") + (f", --forward, {forward}" if forward else "")
    hosts = f"hosts: [{host}]\n  gateways: [ingress/shop]" if host else "team: shop"
    labels = f", labels: {{topology.istio.io/locality: {locality}}}" if locality else ""
    return APPLICATION.format(name=name, labels=labels, more=more, replicas=replicas, hosts=hosts)


def processes_of(mesh, instance):
    """Ids of the application and of the sidecar of one instance, as its keeper tells them; 0: does not run."""
    for file in mesh.folder.glob("instances/*/status.json"):
        spec = json.loads((file.parent / "spec.json").read_text())
        if (spec["namespace"], spec["name"]) == (instance["namespace"], instance["name"]):
            state = json.loads(file.read_text())
            return state["application"], state["sidecar"]
    raise AssertionError(f"no folder of {instance['name']}")


def envoy_of(sidecar):
    """Id of the Envoy that the process `sidecar` runs; 0: none now."""
    try:
        children = pathlib.Path(f"/proc/{sidecar}/task/{sidecar}/children").read_text().split()
    except OSError:
        return 0
    return int(children[0]) if children else 0


def kill(pid):
    """SIGKILL; False if it had gone by itself, also before it was looked up (0, which would be all of us)."""
    if not pid:
        return False
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def versions(answer):
    """{"web": "v1", "cart": "v0"} of `web[v1] > cart[v0]`."""
    return dict(re.findall(r"(\w+)\[([^\]]*)\]", answer.path))


class Load:
    """A client with a header or none, which knows what each answer may be.

    chain   the applications that each answer names, hop after hop; empty: any
    """

    def __init__(self, mesh, lane=None, *, chain=(), pause=0.002):
        self.mesh, self.lane, self.chain = mesh, lane, list(chain)
        self.client = mesh.client()
        self.allowed = {}  # application -> versions that may answer now
        self.lock = threading.Lock()
        self.wrong = []
        headers = {"canarytag": lane} if lane else None
        self.stream = demo_mesh.Stream(lambda: self.ask(headers), pause=pause)

    def ask(self, headers):
        with self.lock:
            before = {name: set(allowed) for name, allowed in self.allowed.items()}
        answer = self.client.request("/", "shop.example", headers)
        met = versions(answer)
        if answer.status == 200 and self.chain and list(met) != self.chain:
            self.wrong.append(("the chain", list(met), self.chain, answer))
        with self.lock:
            after = self.allowed
            for name, version in met.items():
                # What was allowed when it was sent, or when it came back.
                if version not in before.get(name, ()) and version not in after.get(name, ()):
                    self.wrong.append((name, version, before.get(name), answer))
        return answer

    def allow(self, name, *wanted):
        with self.lock:
            self.allowed[name] = set(wanted)


class ReleaseCase(unittest.TestCase):
    def start(self, *applications, arguments=()):
        """A mesh of them; `arguments` are graymeshd's beside the usual ones."""
        folder = self.temporary_folder()
        (folder / "shop.yaml").write_text(SHOP + "".join(applications))
        (folder / "mesh-config.yaml").write_text(case.MESH_CONFIG)
        (folder / "config").mkdir()
        (folder / "shop.yaml").rename(folder / "config/shop.yaml")

        class Mesh(PlatformMesh):
            def control_plane_arguments(self):
                return [*super().control_plane_arguments(), *arguments]

            def get(self, host, *arguments, **options):
                return super().get("shop.example" if host == "pre.shop.example" else host, *arguments, **options)
        mesh = Mesh(folder / "config", folder / "mesh-config.yaml", programs=case.PROGRAMS)
        self.addCleanup(mesh.stop)
        mesh.start()
        return mesh

    def temporary_folder(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="graymesh-test-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        return folder

    def load(self, mesh, lane=None, **options):
        load = Load(mesh, lane, **options)
        self.addCleanup(load.stream.stop)
        return load

    def assert_clean(self, loads, least=500):
        total = 0
        for load in loads:
            load.stream.stop()
            total += len(load.stream.answers)
            self.assertEqual(load.stream.failures()[:3], [], f"of {len(load.stream.answers)} in lane {load.lane}")
            self.assertEqual(load.wrong[:3], [], f"of {len(load.stream.answers)} in lane {load.lane}")
        self.assertGreater(total, least)
        return total
