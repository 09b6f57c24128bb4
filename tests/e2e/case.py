"""What the end-to-end tests share: a Mesh of tools/demo_mesh.py on YAML of their own, and words to
ask it with. A test reads as: what a user writes, what a client sees.

Every test ends on its own: each wait has a limit, each request a timeout, each load a pause.
"""

import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import demo_mesh  # noqa: E402

PROGRAMS = pathlib.Path(os.environ.get("GRAYMESH_BIN") or ROOT / "build/bin")
MESH_CONFIG = """\
proxyHttpPort: 15001
outboundTrafficPolicy: {mode: REGISTRY_ONLY}
"""
VHDS_ON = 'defaultConfig: {proxyMetadata: {GRAYMESH_VHDS: "on"}}\n'

POD = """\
---
apiVersion: v1
kind: Pod
metadata:
  name: {name}
  namespace: {namespace}
  labels: {labels}
  annotations: {annotations}
spec:
  containers:
  - name: shop
    args: {args}
    ports: [{{name: http, containerPort: 8080, protocol: TCP}}]
status:
  phase: Running
  podIP: {address}
  podIPs: [{{ip: {address}}}]
  conditions: [{{type: Ready, status: "True"}}]
"""


def pod(service, version, address, *, namespace="fe-pre", injected=False, calls=(), labels=None):
    """YAML of one Pod that runs graymesh-shop; `version` gives its labels: baseline, or a canarytag."""
    labels = {"app": service, **({"stage": "normal"} if version == "baseline" else
                                 {"stage": "gray", "canarytag": version}), **(labels or {})}
    args = ["--service", service, "--version", version]
    for url in calls:
        args += ["--calls", url]
    return POD.format(name=f"{service}-{version}", namespace=namespace, address=address,
                      labels=json.dumps(labels), args=json.dumps(args),
                      annotations=json.dumps({} if injected else {"sidecar.istio.io/inject": "false"}))


def service(name, cluster_ip, *, namespace="fe-pre", port=8080, port_name="http"):
    """YAML of one Service that selects `app: NAME`; its endpoints come from the Pods."""
    return f"""\
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  clusterIP: {cluster_ip}
  selector: {{app: {name}}}
  ports: [{{name: {port_name}, port: {port}, targetPort: 8080, protocol: TCP}}]
"""


def rule(name, *versions, namespace="fe-pre", policy=None):
    """YAML of a DestinationRule with a subset for each version."""
    subsets = [{"name": version, "labels": {"stage": "normal"} if version == "baseline" else
                {"canarytag": version}} for version in versions]
    spec = {"host": name, "subsets": subsets, **({"trafficPolicy": policy} if policy else {})}
    return f"""\
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}, namespace: {namespace}}}
spec: {json.dumps(spec)}
"""


def by_header(name, *versions, namespace="fe-pre", default="baseline"):
    """YAML of a VirtualService: each version by its canarytag, all else to `default`."""
    routes = [{"match": [{"headers": {"canarytag": {"exact": version}}}],
               "route": [{"destination": {"host": name, "subset": version}}]} for version in versions]
    routes.append({"route": [{"destination": {"host": name, "subset": default}}]})
    return virtual_service(name, routes, namespace=namespace)


def virtual_service(name, http, *, hosts=None, namespace="fe-pre"):
    """YAML of a VirtualService with these http routes (as Python values; YAML takes JSON)."""
    return f"""\
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: {namespace}}}
spec: {json.dumps({"hosts": hosts or [name], "http": http})}
"""


class Mesh(demo_mesh.Mesh):
    """A Mesh on `files`: {path in the folder: YAML}. Remove it with stop(), as any other."""

    def __init__(self, files, mesh_config=MESH_CONFIG, **options):
        self.made = pathlib.Path(tempfile.mkdtemp(prefix="graymesh-test-"))
        for name, text in files.items():
            file = self.made / "config" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        (self.made / "config").mkdir(exist_ok=True)
        (self.made / "mesh-config.yaml").write_text(mesh_config)
        super().__init__(self.made / "config", self.made / "mesh-config.yaml", programs=PROGRAMS, **options)

    def start_control_plane(self):
        super().start_control_plane()
        wait_until(lambda: self.api_get("/ready").status == 200, 10, "the first snapshot is built")

    def stop(self):
        super().stop()
        shutil.rmtree(self.made, ignore_errors=True)

    def add_instance(self, text):
        """Starts the application of one Pod (without a sidecar) that is not in the folder yet."""
        import yaml
        instance = demo_mesh.Instance(yaml.safe_load(self.own_addresses(text).removeprefix("---\n")))
        self.instances[instance.name] = instance
        self.start_app(instance)
        wait_until(lambda: not demo_mesh.can_listen(instance.address, instance.port), 5,
                   f"{instance.name} listens")

    def json(self, path):
        answer = self.api_get(path)
        if answer.status != 200:
            raise AssertionError(f"{path}: {answer!r}")
        return answer.json

    def proxies(self):
        return self.json("/api/v1/proxies")["items"]

    def graymesh(self, *words, stdin=None, server=None):
        """Runs the CLI against this mesh; the finished process, output as text."""
        return subprocess.run([PROGRAMS / "graymesh", "--server", server or self.api, *words], input=stdin,
                              capture_output=True, text=True, timeout=30, check=False)

    def settled(self, seconds=10.0):
        """Waits until every proxy has ACKed everything of the newest snapshot."""
        def all_synced():
            newest = self.json("/api/v1/objects?kind=ns")["snapshot"]
            proxies = self.proxies()
            expected = sum(1 for instance in self.instances.values() if instance.sidecar)
            return len(proxies) == expected and all(
                type["state"] in ("SYNCED", "NOT SENT", "NOT SUBSCRIBED")
                for proxy in proxies for type in proxy["types"]) and all(
                proxy["snapshot"] >= newest for proxy in proxies)
        wait_until(all_synced, seconds, lambda: f"every proxy is synced: {self.proxies()}")

    def read_all(self):
        """Waits until graymeshd has read what was written until now, and every proxy has ACKed it. A file that is gone
        is believed to be so after 0.1 s."""
        time.sleep(0.3)
        name = f"mark-{time.monotonic_ns()}"
        self.write("mark.yaml", f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n")
        wait_until(lambda: self.json(f"/api/v1/objects?kind=ns&name={name}")["items"], 10, "graymeshd has read all")
        self.settled()

    def rejections(self):
        """What any Envoy here refused, by instance: its own counters, and our record."""
        found = {}
        for instance in self.instances.values():
            if not instance.sidecar:
                continue
            stats = self.stats(instance.name, r"(update_rejected|init_fetch_timeout)$")
            bad = {name: value for name, value in stats.items() if value}
            if bad:
                found[instance.name] = bad
        for proxy in self.proxies():
            if proxy["refusals"] or any(type["nacked"] for type in proxy["types"]):
                found.setdefault(proxy["name"], {})["record"] = proxy["refusals"] or proxy["types"]
        return found


def wait_until(holds, seconds, what, pause=0.02):
    """What `holds()` gave when it was first true; AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        found = holds()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what() if callable(what) else what}")
        time.sleep(pause)


def get(address, path, timeout=10.0):
    """One request to "HOST:PORT" on a connection of its own."""
    host, port = address.rsplit(":", 1)
    client = demo_mesh.Client(host, int(port), timeout)
    try:
        return client.request(path, address)
    finally:
        client.close()


def generated_mesh(folder):
    """The folder of 700 generated services on 1,100 pods: config/, nodes.jsonl."""
    subprocess.run([sys.executable, ROOT / "tools/gen_mesh.py", "--out", folder, "--services", "700", "--pods", "1100",
                    "--format", "k8s"], check=True, stdout=subprocess.DEVNULL, timeout=60)
    return folder


class ControlPlane:
    """A graymeshd alone, on a folder that is there; it keeps its addresses from one start to the next."""

    def __init__(self, folder, config):
        self.folder, self.config, self.process = folder, config, None
        self.mesh_config = folder / "mesh-config.yaml"
        self.mesh_config.write_text(MESH_CONFIG)
        self.xds, self.api = "127.0.0.1:0", "127.0.0.1:0"

    def start(self, *arguments):
        self.process = demo_mesh.Process(
            "graymeshd", [PROGRAMS / "graymeshd", "--config", self.config, "--mesh-config", self.mesh_config,
                          "--xds", self.xds, "--api", self.api, "--print-addresses", *arguments],
            self.folder / "graymeshd.log", stdout=subprocess.PIPE)
        addresses = json.loads(demo_mesh.Mesh._first_line(self.process, 15))
        self.xds, self.api = addresses["xds"], addresses["api"]
        wait_until(lambda: self.get("/ready").status == 200, 15, "the first snapshot is built")
        return self

    def get(self, path):
        return get(self.api, path)

    def synced(self, name):
        """Whether the proxy of that name has ACKed all that it was sent, and was sent anything."""
        types = [item["types"] for item in self.get("/api/v1/proxies").json.get("items", []) if item["name"] == name]
        return bool(types) and all(it["state"] in ("SYNCED", "NOT SENT") for it in types[0]) and types[0][0]["sent"] > 0

    def kill(self):
        if self.process:
            self.process.signal(signal.SIGKILL)
            self.process.wait(10)
            self.process.child.stdout.close()


def probe_sidecar(address, log, control_planes):
    """Starts a sidecar beside nothing, probe-0 of the generated mesh's ns-05; answers with how to end it."""
    sidecar = demo_mesh.Process(
        "sidecar", [PROGRAMS / "graymesh", "sidecar", "run", "--address", address, "--name", "probe-0", "--namespace", "ns-05",
                    "--label", "app=probe", "--drain-seconds", "0.1",
                    *(word for xds in control_planes for word in ("--control-plane", xds))], log)

    def end():
        sidecar.signal(signal.SIGTERM)
        sidecar.wait(10)
    return end


class Load(demo_mesh.Stream):
    """Some 200 requests a second from one client, one after the other, through the sidecar of `name`."""

    def __init__(self, mesh, name, url, headers=None, *, pause=0.004, expect=200):
        self.client = demo_mesh.Client(mesh.instance(name).address, 15001, 10)
        host = url.split("/")[2]
        super().__init__(lambda: self.client.request(url, host, headers), pause)
        self.expect = expect

    def stop(self):
        super().stop()
        self.client.close()

    def failures(self):
        return [answer for _, answer in self.answers if answer.status != self.expect]

    def wait_version(self, version, seconds=10.0):
        """Until an answer comes from `version`; AssertionError if none does."""
        at = self.wait_for(lambda answer: answer.json.get("version") == version, seconds, time.monotonic())
        if at is None:
            raise AssertionError(f"no answer from {version} within {seconds} s, last: "
                                 f"{[answer for _, answer in self.answers[-3:]]}")
        return at


class SaysWhoAsks(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.client_address[0].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def serve_who_asks(address, add_cleanup):
    """The port of a server at `address` that answers with the address it was asked from."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = type("Server", (http.server.ThreadingHTTPServer,), {"address_family": family})((address, 0), SaysWhoAsks)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    add_cleanup(thread.join)
    add_cleanup(server.server_close)
    add_cleanup(server.shutdown)
    return server.server_address[1]


class Case(unittest.TestCase):
    """Tests that share one mesh, which each leaves as it found it."""

    files = {}
    mesh_config = MESH_CONFIG
    options = {}

    @classmethod
    def setUpClass(cls):
        cls.mesh = Mesh(cls.files, cls.mesh_config, **cls.options).start()

    @classmethod
    def tearDownClass(cls):
        cls.mesh.stop()

    def change(self, name, text):
        """Writes a file of the folder for the length of one test."""
        file = self.mesh.config / name
        before = file.read_text() if file.exists() else None
        self.mesh.write(name, text)
        self.addCleanup(self._restore, name, before)

    def _restore(self, name, before):
        if before is None:
            if (self.mesh.config / name).exists():
                self.mesh.delete(name)
        else:
            self.mesh.write(name, before)

    def ask(self, url, headers=None, *, by="client.fe-pre", method="GET", body=None, timeout=10.0):
        """One request as the application `by` makes it, through its sidecar."""
        name = by if "." in by else f"{by}.fe-pre"
        return self.mesh.get_from(name, url, headers, method=method, body=body, timeout=timeout)

    def assert_version(self, answer, version):
        self.assertEqual((answer.status, answer.json.get("version")), (200, version), answer)

    def eventually(self, holds, seconds=5.0, what="", pause=0.02):
        return wait_until(holds, seconds, what or "the expected state", pause)


class UnderLoad(Case):
    """What changes while two clients ask for the application cart all the time, one without a header, one in the lane
    feature-a: not one request may fail."""

    url, in_lane = "http://cart:8080/", {"canarytag": "feature-a"}

    def setUp(self):
        self.mesh.read_all()  # what the test before put back
        self.loads = [Load(self.mesh, "client.fe-pre", self.url), Load(self.mesh, "client.fe-pre", self.url, self.in_lane)]
        for load in self.loads:
            load.__enter__()
            self.addCleanup(load.stop)
        self.plain, self.lane = self.loads
        self.plain.wait_version("baseline")
        self.lane.wait_version("feature-a")

    def finish(self):
        """Lets what was changed settle, ends the loads, and holds them to account."""
        self.mesh.settled()
        for load in self.loads:
            more = len(load.answers) + 20
            self.eventually(lambda load=load, more=more: len(load.answers) > more, 10, "requests go on")
        for load in self.loads:
            load.stop()
            self.assertEqual(load.failures(), [])
        self.assertEqual(self.mesh.rejections(), {})


def skip_without_envoy():
    """Tests that need the real thing are skipped out loud where it cannot be had."""
    if not (PROGRAMS / "envoy").exists():
        print("skipped: no envoy in", PROGRAMS)
        sys.exit(77)


def skip_without(missing):
    """As above, for programs that others bring: those of `missing`, if any."""
    if missing:
        print("skipped: not there:", *missing)
        sys.exit(77)


def first_number(text, pattern):
    found = re.search(pattern, text, re.MULTILINE)
    return float(found.group(1)) if found else None
