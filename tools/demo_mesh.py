"""A whole mesh on loopback, started, asked and stopped: for `tools/demo` and end-to-end tests.

    with Mesh() as mesh:                      # control plane, gateway, sidecars, applications
        answer = mesh.get("pre.shop.example", headers={"canarytag": "feature-a"})
        mesh.edit("fe-pre/cart-routes.yaml", "subset: baseline", "subset: feature-b")

What runs is read from the folder of YAML: every Pod gets a sidecar (`graymesh sidecar run`) at its
podIP and, at the twin of that address (second octet + 64), a `graymesh-shop` with the arguments of
its container; a Pod with Istio's annotation `inject.istio.io/templates: gateway` is a gateway,
and one with `sidecar.istio.io/inject: "false"` is an application alone, at its podIP. The
folder is a copy, so edits harm nothing.

Meshes side by side: each takes a block of addresses, 127.N.0.0/16, and rewrites 127.1. to it.

Nothing is left behind: stop() ends every process by its id and removes the temporary folder, and if
this process dies without a word, the kernel ends its children (so start a Mesh from the main
thread, or from one that lives as long as the Mesh).
"""

import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import yaml

# A Mesh and what one does with it come from here together.
from demo_client import Answer, Client, Stream  # noqa: F401
from demo_machine import (  # noqa: F401
    Block, MeshError, Process, answers_connects, can_listen, die_with_parent, end_instances, free_ports, sweep)

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Instance:
    """One Pod: its sidecar, and its application unless it is a gateway."""

    def __init__(self, pod):
        meta = pod["metadata"]
        self.pod = meta["name"]
        self.namespace = meta.get("namespace", "default")
        self.name = f"{self.pod}.{self.namespace}"
        self.labels = meta.get("labels") or {}
        self.service_account = pod["spec"].get("serviceAccountName", "default")
        annotations = meta.get("annotations") or {}
        self.gateway = annotations.get("inject.istio.io/templates") == "gateway"
        self.injected = annotations.get("sidecar.istio.io/inject") != "false"
        self.address = pod["status"]["podIP"]
        octets = self.address.split(".")
        if self.injected:
            octets[1] = str(int(octets[1]) + 64)
        self.app_address = ".".join(octets)
        container = pod["spec"]["containers"][0]
        self.args = [str(arg) for arg in container.get("args") or []]
        self.port = (container.get("ports") or [{"containerPort": 8080}])[0]["containerPort"]
        self.sidecar = None
        self.app = None


class Mesh:
    """See the module. `say` is called with a line for people at each step.

    config, mesh_config   a folder and a file; copied
    block                 None: any free block; 1 first: a lone mesh has the addresses as written
    fixed_ports           15010 and 15014 for the control plane if they are free, else any
    envoy                 None: as `graymesh sidecar run` finds it
    concurrency           worker threads of each Envoy
    sidecar_args          more arguments of every `graymesh sidecar run`
    record                graymeshd keeps the record of its proxies (`graymesh history proxy`)
    """

    def __init__(self, config=ROOT / "demo/mesh", mesh_config=ROOT / "demo/mesh-config.yaml", *,
                 programs=None, block=None, fixed_ports=False, envoy=None, concurrency=1,
                 drain_seconds=0.5, envoy_log="warning", sidecar_args=(), record=False,
                 say=lambda line: None):
        self.programs = pathlib.Path(
            programs or os.environ.get("GRAYMESH_BIN") or ROOT / "build/bin")
        self.source, self.source_mesh_config = pathlib.Path(config), pathlib.Path(mesh_config)
        self.block_wanted = range(1, 64) if block is None else [block]
        self.fixed_ports, self.envoy, self.concurrency = fixed_ports, envoy, concurrency
        self.drain_seconds, self.envoy_log, self.say = drain_seconds, envoy_log, say
        self.sidecar_args, self.record = list(sidecar_args), record
        self.block = self.folder = self.control_plane = None
        self.xds = self.api = ""
        self.instances = {}

    # Life.

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def start(self):
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def _start(self):
        for program in ("graymeshd", "graymesh", "graymesh-shop"):
            if not os.access(self.programs / program, os.X_OK):
                raise MeshError(f"{self.programs / program} is not there: make build")
        self.block = Block(self.block_wanted)
        sweep()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="graymesh-mesh-"))
        self._lock()
        self.logs = self.folder / "logs"
        self.logs.mkdir()
        self.config = self.folder / "config"
        for file in sorted(self.source.rglob("*")):
            if file.is_file():
                self.write(file.relative_to(self.source), file.read_text())
        self.mesh_config = self.folder / "mesh-config.yaml"
        self.mesh_config.write_text(self.own_addresses(self.source_mesh_config.read_text()))
        self.instances = {instance.name: instance for instance in self._read_pods()}
        self.start_control_plane()
        for instance in self.instances.values():
            self.start_app(instance)
            self.start_sidecar(instance)
        self.wait_ready()

    def _lock(self):
        self.lock = open(self.folder / "lock", "w")
        fcntl.flock(self.lock, fcntl.LOCK_EX)

    def own_addresses(self, text):
        return re.sub(r"\b127\.1\.", f"127.{self.block.number}.", text)

    def _read_pods(self):
        for file in sorted(self.config.rglob("*.yaml")):
            for document in yaml.safe_load_all(file.read_text()):
                if isinstance(document, dict) and document.get("kind") == "Pod":
                    yield Instance(document)

    def start_control_plane(self):
        """Also again after kill_control_plane(), at the same addresses."""
        if not self.xds:
            fixed = self.fixed_ports and all(
                can_listen("127.0.0.1", port) for port in (15010, 15014))
            self.xds = "127.0.0.1:15010" if fixed else "127.0.0.1:0"
            self.api = "127.0.0.1:15014" if fixed else "127.0.0.1:0"
        self.say(f"control plane: graymeshd --config {self.config}")
        self.control_plane = Process(
            "graymeshd", [self.programs / "graymeshd", "--config", self.config, "--mesh-config",
                          self.mesh_config, "--xds", self.xds, "--api", self.api,
                          "--print-addresses", *self.record_arguments(),
                          *self.control_plane_arguments()],
            self.logs / "graymeshd.log", stdout=subprocess.PIPE,
            environment=self.control_plane_environment())
        line = self._first_line(self.control_plane, 15)
        try:
            addresses = json.loads(line)
        except ValueError:
            raise self.control_plane.fault(f"printed {line!r} instead of its addresses") from None
        self.xds, self.api = addresses["xds"], addresses["api"]

    @staticmethod
    def _first_line(process, seconds):
        pipe, line = process.child.stdout, b""
        deadline = time.monotonic() + seconds
        os.set_blocking(pipe.fileno(), False)
        while not line.endswith(b"\n") and time.monotonic() < deadline:
            line += pipe.read() or b""
            if not process.running() and not line:
                break
            time.sleep(0.01)
        return line.decode(errors="replace").strip()

    def record_arguments(self):
        return ["--record", self.folder / "record", "--record-max", "64"] if self.record else []

    def control_plane_arguments(self):
        return []

    def control_plane_environment(self):
        return None

    def kill_control_plane(self):
        self.control_plane.signal(signal.SIGKILL)
        self.control_plane.wait(10)
        self.control_plane.child.stdout.close()

    def start_app(self, instance):
        if instance.gateway:
            return
        instance.app = Process(
            f"application {instance.name}",
            [self.programs / "graymesh-shop", "--listen", f"{instance.app_address}:{instance.port}",
             "--proxy", f"{instance.address}:15001", "--instance", instance.pod, *instance.args],
            self.logs / f"app.{instance.name}.log")

    def start_sidecar(self, instance):
        if not instance.injected:
            return
        command = [self.programs / "graymesh", "sidecar", "run", "--proxy", "envoy",
                   "--type", "router" if instance.gateway else "sidecar",
                   "--address", instance.address, "--name", instance.pod,
                   "--namespace", instance.namespace,
                   "--service-account", instance.service_account,
                   "--control-plane", self.xds, "--concurrency", str(self.concurrency),
                   "--drain-seconds", str(self.drain_seconds), "--log-level", self.envoy_log]
        for key, value in instance.labels.items():
            command += ["--label", f"{key}={value}"]
        if not instance.gateway:
            command += ["--app-address", instance.app_address]
        if self.envoy:
            command += ["--envoy-path", self.envoy]
        command += self.sidecar_args
        instance.sidecar = Process(f"sidecar {instance.name}", command,
                                   self.logs / f"sidecar.{instance.name}.log")

    def wait_ready(self, seconds=60.0):
        """Until applications listen and sidecars are ready; else MeshError names the first."""
        deadline = time.monotonic() + seconds
        for instance in self.instances.values():
            while instance.app and not answers_connects(instance.app_address, instance.port):
                self.check()
                if time.monotonic() > deadline:
                    raise instance.app.fault(
                        f"does not listen at {instance.app_address}:{instance.port}")
                time.sleep(0.02)
        waiting = [instance for instance in self.instances.values() if instance.sidecar]
        said = {}
        while waiting:
            self.check()
            for instance in list(waiting):
                answer = Client(instance.address, 15021, 2).request("/healthz/ready", "readiness")
                said[instance.name] = answer.body.decode(errors="replace").strip() or answer.error
                if answer.status == 200:
                    waiting.remove(instance)
            if waiting and time.monotonic() > deadline:
                first = waiting[0]
                raise first.sidecar.fault(f"not ready within {seconds:.0f} s: {said[first.name]}")
            time.sleep(0.05)

    def check(self):
        """MeshError if a process has ended that should run."""
        for process in self.processes():
            if not process.running():
                raise process.fault("ended")

    def processes(self):
        found = [self.control_plane] if self.control_plane else []
        for instance in self.instances.values():
            found += [process for process in (instance.app, instance.sidecar) if process]
        return found

    def stop(self):
        """Ends everything, in order: applications, sidecars, control plane. Never raises."""
        stages = [[i.app for i in self.instances.values() if i.app],
                  [i.sidecar for i in self.instances.values() if i.sidecar],
                  [self.control_plane] if self.control_plane else []]
        for stage in stages:
            for process in stage:
                process.signal(signal.SIGTERM)
            for process in stage:
                process.wait(15)
                if process.child.stdout:
                    process.child.stdout.close()
        self.instances, self.control_plane = {}, None
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.lock.close()
            self.folder = None
        if self.block:
            self.block.close()
            self.block = None

    # The configuration.

    def write(self, name, text):
        """Puts a file into the watched folder, as an editor does: whole, by rename."""
        file = self.config / name
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f".{file.name}.new")
        temporary.write_text(self.own_addresses(text))
        temporary.rename(file)

    def read(self, name):
        return (self.config / name).read_text()

    def edit(self, name, old, new):
        """Replaces `old`, which must be there exactly once. Returns the file's text before."""
        before = self.read(name)
        if before.count(old) != 1:
            raise MeshError(f"{name}: {old!r} is there {before.count(old)} times, must be once")
        self.write(name, before.replace(old, new))
        return before

    def delete(self, name):
        (self.config / name).unlink()

    # Questions.

    def instance(self, name):
        return self.instances[name]

    @property
    def gateway(self):
        return next(instance for instance in self.instances.values() if instance.gateway)

    def client(self, name=None, timeout=10.0):
        """Keep-alive to the gateway, or to the port that instance `name` serves its clients at."""
        instance = self.instances[name] if name else self.gateway
        return Client(instance.address, instance.port, timeout)

    def get(self, host, path="/", headers=None, *, to=None, method="GET", body=None, timeout=10.0):
        """One request over a new connection, to the gateway or to the sidecar of instance `to`."""
        client = self.client(to, timeout)
        try:
            return client.request(path, host, headers, method, body)
        finally:
            client.close()

    def get_from(self, name, url, headers=None, *, method="GET", body=None, timeout=10.0):
        """One request as the application of instance `name` makes it: through its HTTP proxy."""
        client = Client(self.instances[name].address, 15001, timeout)
        host = url.split("/")[2]
        try:
            return client.request(url, host, headers, method, body)
        finally:
            client.close()

    def admin(self, name, path, method="GET"):
        """Envoy's admin of instance `name`."""
        return self.admin_at(self.instances[name].address, path, method)

    @staticmethod
    def admin_at(address, path, method="GET"):
        client = Client(address, 15000)
        try:
            return client.request(path, "admin", method=method)
        finally:
            client.close()

    def stats(self, name, pattern=""):
        """Counters and gauges of instance `name` whose name matches the expression, by name."""
        return self.stats_at(self.instances[name].address, pattern)

    def stats_at(self, address, pattern=""):
        """The same of the Envoy at `address`."""
        found = {}
        for line in self.admin_at(address, "/stats?usedonly").body.decode().splitlines():
            stat, _, value = line.rpartition(": ")
            if value.isdigit() and re.search(pattern, stat):
                found[stat] = int(value)
        return found

    def api_get(self, path):
        """The control plane's HTTP API."""
        address, port = self.api.rsplit(":", 1)
        client = Client(address, int(port))
        try:
            return client.request(path, self.api)
        finally:
            client.close()
