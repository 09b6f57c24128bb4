"""A shop that the release platform runs: graymeshd with a store, and everything by its API.

    with PlatformMesh() as mesh:
        mesh.start_release("fe-pre", "web", "feature-a")     # waits until requests meet it
        mesh.get("pre.shop.example", headers={"canarytag": "feature-a"}).path
        mesh.act("fe-pre", "web/feature-a", "rollback")      # the release, with its receipt

Nothing is left behind: stop() takes every Application away, waits until its instances are gone, and
ends what is still there by its id.
"""

import http.client
import json
import os
import pathlib
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import demo_mesh
from demo_mesh import MeshError, Process, ROOT


class ApiError(Exception):
    """The API said no: `status`, and its problem+json as `problem`."""

    def __init__(self, status, problem):
        super().__init__(f"{status}: {problem.get('detail') or problem}")
        self.status, self.problem = status, problem


class PlatformMesh(demo_mesh.Mesh):
    """A demo_mesh.Mesh whose Pods are instances of the platform."""

    def __init__(self, config=ROOT / "demo/platform", *arguments, user="demo", **options):
        super().__init__(config, *arguments, **options)
        self.user = user

    # Life.

    def _start(self):
        for program in ("graymeshd", "graymesh", "graymesh-shop"):
            if not os.access(self.programs / program, os.X_OK):
                raise MeshError(f"{self.programs / program} is not there: make build")
        self.block = demo_mesh.Block(self.block_wanted)
        demo_mesh.sweep()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="graymesh-mesh-"))
        self._lock()
        self.logs = self.folder / "logs"
        self.logs.mkdir()
        self.config = self.folder / "config"
        for file in sorted(self.source.rglob("*.yaml")):
            self.write(file.relative_to(self.source), file.read_text())
        self.mesh_config = self.folder / "mesh-config.yaml"
        self.mesh_config.write_text(self.own_addresses(self.source_mesh_config.read_text()))
        self.start_control_plane()
        self.wait_settled()

    def control_plane_arguments(self):
        return ["--store", self.folder / "store.db", "--instances", self.folder / "instances",
                "--block", str(self.block.number), "--concurrency", str(self.concurrency)]

    def control_plane_environment(self):
        return {**os.environ, "PATH": f"{self.programs}:{os.environ.get('PATH', '')}"}

    def stop(self):
        if self.folder:
            self._take_everything_away()
        super().stop()

    def _take_everything_away(self):
        """Asks the platform to stop its instances; what does not go is ended by its id."""
        for file in sorted(self.config.rglob("*.yaml")):
            file.unlink()
        deadline = time.monotonic() + 15
        while self.control_plane and self.control_plane.running() and time.monotonic() < deadline:
            try:
                self._roll_back_all()
                if not self.instances_now():
                    return
            except (OSError, ApiError):
                pass  # it is on its way out itself: what is left is ended below
            time.sleep(0.1)
        if self.control_plane:  # first: it would start keepers that are killed again
            self.kill_control_plane()
            self.control_plane = None
        demo_mesh.end_instances(self.folder)

    def _roll_back_all(self):
        for release in self.api_call("GET", "/api/v1/releases?active=true")["items"]:
            if not release["phase"].startswith("back"):
                self.api_call("POST", f"/api/v1/releases/{release['id']}/rollback", {"reason": "the end"})

    # The platform.

    def who(self, user):
        """What tells the API who asks."""
        return {"X-Graymesh-User": user}

    def api_call(self, method, path, body=None, timeout=130.0, user=None):
        """The JSON of an answer; ApiError for an error. A text body is YAML. A GET whose connection ended
        before an answer began is asked once more (RFC 9110, 9.2.2)."""
        data, kind = None, "application/json"
        if isinstance(body, str):
            data, kind = body.encode(), "application/yaml"
        elif body is not None:
            data = json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://{self.api}{path}", data=data, method=method,
            headers={"Content-Type": kind, **self.who(user or self.user)})
        try:
            try:
                answer = urllib.request.urlopen(request, timeout=timeout)
            except http.client.RemoteDisconnected:
                if method != "GET":
                    raise
                answer = urllib.request.urlopen(request, timeout=timeout)
            with answer:
                text = answer.read()
                return json.loads(text) if text else {}
        except urllib.error.HTTPError as error:
            text = error.read()
            try:
                problem = json.loads(text)
            except ValueError:
                problem = {"detail": text.decode(errors="replace")}
            raise ApiError(error.code, problem) from None

    def instances_now(self):
        return self.api_call("GET", "/api/v1/instances")["items"]

    def instance_address(self, name):
        return next(i["address"] for i in self.instances_now() if i["name"] == name)

    def wait_settled(self, seconds=60.0):
        """Until every instance is ready, and the gateway answers for web."""
        deadline = time.monotonic() + seconds
        while True:
            self.check()
            found = self.instances_now()
            if found and all(i["phase"] == "ready" for i in found):
                if self.get("pre.shop.example").status == 200:
                    return
            if time.monotonic() > deadline:
                raise self.control_plane.fault(f"not ready within {seconds:.0f} s: " + ", ".join(
                    f"{i['name']} {i['phase']} {i['message']}" for i in found))
            time.sleep(0.02)

    def release_yaml(self, namespace, applications, tag, more=""):
        """Each application of `applications` runs as version `tag`."""
        members = "".join(f"  - {{name: {name}, run: {{version: {tag}}}}}\n" for name in applications)
        return (f"apiVersion: graymesh.io/v1alpha1\nkind: GrayRelease\nmetadata: {{name: {tag}, "
                f"namespace: {namespace}}}\nspec:\n  tag: {tag}\n  applications:\n{members}{more}")

    def start_release(self, namespace, applications, tag, more="", wait=60, user=None):
        """Starts it and waits until it is gray, or waits for somebody; returns the release."""
        names = [applications] if isinstance(applications, str) else applications
        return self.api_call("POST", f"/api/v1/releases?wait={wait}",
                             self.release_yaml(namespace, names, tag, more), user=user)

    def act(self, release, verb, reason="", wait=60, user=None):
        """promote, rollback, approve, ... by id; returns the release when it is so."""
        return self.api_call("POST", f"/api/v1/releases/{release}/{verb}?wait={wait}",
                             {"reason": reason}, user=user)

    def release(self, number):
        return self.api_call("GET", f"/api/v1/releases/{number}")

    @property
    def gateway_address(self):
        return f"127.{self.block.number}.0.1"

    def client(self, name=None, timeout=10.0):
        """Keep-alive to the gateway, or to the port of instance `name`."""
        if name is None:
            return demo_mesh.Client(self.gateway_address, 8000, timeout)
        return demo_mesh.Client(self.instance_address(name), 8080, timeout)

    def inbound_requests(self, address):
        """What the Envoy at `address` counts as having passed to its application."""
        client = demo_mesh.Client(address, 15000)
        answer = client.request("/stats?usedonly&filter=inbound.*upstream_rq_total", "admin")
        client.close()
        return sum(int(line.rpartition(": ")[2]) for line in answer.body.decode().splitlines() if line)

    def processes(self):
        return [self.control_plane] if self.control_plane else []
