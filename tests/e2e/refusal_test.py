#!/usr/bin/env python3
"""What Envoy thinks of what we send.

`Accepted`: every mesh of the feature tests (the program feature_test writes them down) is shown to
three real Envoys, a redirected sidecar, one of mode NONE and a gateway; none may refuse anything.
`Refused`: what Envoy does refuse is kept, named with its object, costs nothing else, and heals.
"""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import yaml

import case

PROGRAMS = case.PROGRAMS


class Accepted(unittest.TestCase):
    """The folder of one graymeshd is filled with one mesh after the other."""

    vhds = "off"

    def setUp(self):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="graymesh-test-"))
        self.addCleanup(shutil.rmtree, self.work, True)
        self.meshes = self.work / "meshes"
        subprocess.run([PROGRAMS / "feature_test"], env={**os.environ, "GRAYMESH_FEATURE_YAML": str(self.meshes)},
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120, check=False)
        self.certificates()

    def certificates(self):
        """Gateways of the feature tests name /etc/certs; Envoy wants files that are there."""
        made = subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=shop.example",
                               "-keyout", self.work / "tls.key", "-out", self.work / "tls.crt"], capture_output=True, timeout=60, check=False)
        self.assertEqual(made.returncode, 0, made.stderr)

    def test_envoy_accepts_every_mesh_of_the_feature_tests(self):
        by_config = {}
        for folder in sorted(self.meshes.iterdir()):
            by_config.setdefault((folder / "mesh-config.yaml").read_text(), []).append(folder)
        self.assertGreater(sum(map(len, by_config.values())), 50)
        outbound = case.demo_mesh.free_ports(3, "0.0.0.0")
        inbound, proxy = outbound + 1, outbound + 2
        mesh = None
        faults = []
        try:
            for text, folders in sorted(by_config.items()):
                # The feature tests do not mind where Envoy listens.
                given = yaml.safe_load(text) or {}
                own = given.get("defaultConfig") or {}
                switch = {"proxyMetadata": {**(own.get("proxyMetadata") or {}), "GRAYMESH_VHDS": self.vhds}}
                merged = yaml.safe_dump({**given, "defaultConfig": {**own, **switch}, "proxyListenPort": outbound,
                                         "proxyInboundListenPort": inbound, "proxyHttpPort": proxy})
                if mesh is None:
                    mesh = self.start(merged)
                else:
                    # With nothing to take back afterwards: that would wait for routes that may yet be asked for.
                    mesh.write("mesh.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: empty}\n")
                    case.wait_until(lambda m=mesh: len(m.json("/debug/registryz")) == 0, 15, "only proxies are left")
                    mesh.settled()
                    mesh.kill_control_plane()
                    mesh.mesh_config.write_text(merged)
                    mesh.start_control_plane()
                for folder in folders:
                    faults += self.show(mesh, folder)
        finally:
            if mesh:
                mesh.stop()
        self.assertEqual(faults, [], "\n".join(faults))

    def start(self, mesh_config):
        router = case.pod("gateway", "baseline", "127.1.3.3", namespace="istio-system", injected=True,
                          labels={"istio": "ingressgateway"}).replace("annotations: {}", 'annotations: {"inject.istio.io/templates": "gateway"}')
        # So that the router always asks for routes: for one that may yet do so we wait 15 s before a removal.
        always = """---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: always, namespace: istio-system}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 31400, name: http, protocol: HTTP}, hosts: [always.example]}]}
"""
        mesh = case.Mesh({"proxies.yaml": case.pod("web", "baseline", "127.1.3.1", injected=True) +
                          case.pod("captured", "baseline", "127.1.3.2", injected=True) + router + always}, mesh_config)
        start_sidecar = mesh.start_sidecar

        def start_one(instance):
            mesh.sidecar_args = ["--interception-mode", "REDIRECT"] if instance.pod.startswith("captured") else []
            start_sidecar(instance)
        mesh.start_sidecar = start_one
        mesh.start_app = lambda instance: None
        mesh.wait_ready = lambda seconds=60.0: None  # a proxy without listeners is never ready
        mesh.start()
        case.wait_until(lambda: len(mesh.proxies()) == 3, 20, "three proxies are connected")
        return mesh

    def show(self, mesh, folder):
        name = folder.name
        text = (folder / "config" / "mesh.yaml").read_text()
        text = text.replace("/etc/certs/", f"{self.work}/")
        number = self.snapshot(mesh)
        mesh.write("mesh.yaml", text + f"---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: n-{name.lower().replace('.', '-')}}}\n")
        try:
            case.wait_until(lambda: self.snapshot(mesh) > number, 20, "the folder is read")
            mesh.settled(30)
        except AssertionError as error:
            return self.refusals(mesh, name) or [f"{name}: {error}"]
        return self.refusals(mesh, name)

    @staticmethod
    def snapshot(mesh):
        return mesh.json("/api/v1/objects?kind=ns")["snapshot"]

    @staticmethod
    def refusals(mesh, name=""):
        return [f"{name}: {proxy['name']} refused {refusal['type']} {refusal['resource']} of {refusal['origins']}: {refusal['error']}"
                for proxy in mesh.proxies() for refusal in proxy["refusals"]]


class AcceptedOneByOne(Accepted):
    """The same with virtual hosts one by one: they change, move and go with the tables that they are in."""

    vhds = "on"


# Both are right by Istio's rules and ours. A regular expression is refused by an Envoy that is set to
# take small ones only, as Istio's own bootstrap does with a larger number; and a file of certificates
# that is not there by any.
STRICT_ENVOY = """\
#!/usr/bin/env python3
import json, os, sys
words = sys.argv[1:]
at = words.index("--config-yaml") + 1
bootstrap = json.loads(words[at])
bootstrap["layered_runtime"] = {{"layers": [{{"name": "strict", "static_layer": {{"re2.max_program_size.error_level": 30}}}}]}}
words[at] = json.dumps(bootstrap)
os.execv("{envoy}", ["{envoy}", *words])
"""
LARGE_EXPRESSION = {"match": [{"uri": {"regex": "/|/items/[0-9a-f]{40}"}}],
                    "route": [{"destination": {"host": "cart", "subset": "feature-a"}}]}
MISSING_FILE = {"tls": {"mode": "SIMPLE", "caCertificates": "/nowhere/ca.pem"}}
CART = "http://cart:8080/"


class Refused(case.Case):
    routes = "RDS"  # in what routes come
    files = {
        "apps.yaml": case.service("client", "10.96.1.1") + case.pod("client", "baseline", "127.1.2.1", injected=True)
        .replace("name: client-baseline", "name: client")
        + case.service("cart", "10.96.1.2") + case.pod("cart", "baseline", "127.1.2.21") + case.pod("cart", "feature-a", "127.1.2.22")
        + case.service("pay", "10.96.1.3", port=8081) + case.pod("pay", "baseline", "127.1.2.31"),
        "cart.yaml": case.rule("cart", "baseline", "feature-a") + case.by_header("cart", "feature-a"),
        "pay.yaml": case.rule("pay", "baseline") + case.by_header("pay"),
    }

    @classmethod
    def setUpClass(cls):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="graymesh-test-"))
        cls.addClassCleanup(shutil.rmtree, folder, True)
        envoy = folder / "envoy"
        envoy.write_text(STRICT_ENVOY.format(envoy=(PROGRAMS / "envoy").resolve()))
        envoy.chmod(0o755)
        cls.options = {"envoy": str(envoy)}
        super().setUpClass()

    def refusals(self):
        return [refusal for proxy in self.mesh.proxies() for refusal in proxy["refusals"]]

    def rejected(self, kind):
        return self.mesh.stats("client.fe-pre", rf"{kind}\..*update_rejected$")

    def wait_refused(self, *words):
        def look():
            text = self.mesh.graymesh("proxy", "status").stdout
            # REFUSED comes when nothing is under way any more: what was refused may be tried once more alone.
            return text if "refused by" in text and all(word in text for word in ("REFUSED", *words)) else None
        return self.eventually(look, 20, lambda: f"a refusal with {words}: {self.mesh.graymesh('proxy', 'status').stdout}")

    def heal(self, name):
        self.mesh.write(name, self.files[name])
        self.mesh.settled()
        self.eventually(lambda: self.refusals() == [], 15, lambda: f"no refusal is left: {self.refusals()}")

    def test_a_refused_route_is_named_with_its_object_and_the_old_one_serves(self):
        before = self.rejected(self.routes.lower())
        with case.Load(self.mesh, "client.fe-pre", CART, {"canarytag": "feature-a"}) as load:
            load.wait_version("feature-a")
            self.change("cart.yaml", case.rule("cart", "baseline", "feature-a") + case.virtual_service("cart", [LARGE_EXPRESSION]))
            self.wait_refused(self.routes, "VirtualService fe-pre/cart", "program size")
            self.assert_version(self.ask(CART), "baseline")  # as before: the new text says feature-a for all
            grown = [value - before.get(table, 0) for table, value in self.rejected(self.routes.lower()).items()]
            # Once; and once more alone where Envoy's words left open which of two it meant.
            self.assertLessEqual(max(grown), 2, "not over and over")
            self.heal("cart.yaml")
        self.assertEqual(load.failures(), [])

    def test_a_refused_cluster_is_named_and_others_of_the_same_push_are_taken(self):
        with case.Load(self.mesh, "client.fe-pre", CART) as load:
            load.wait_version("baseline")
            self.change("cart.yaml", case.rule("cart", "baseline", "feature-a", policy=MISSING_FILE) + case.by_header("cart", "feature-a"))
            self.change("new.yaml", case.service("new", "10.96.1.70"))
            self.wait_refused("CDS", "DestinationRule fe-pre/cart", "ca.pem")
            self.eventually(lambda: "new.fe-pre" in self.mesh.admin("client.fe-pre", "/clusters").body.decode(), 10, "the others are taken")
            self.heal("cart.yaml")
        self.assertEqual(load.failures(), [])

    def test_other_changes_go_on_while_a_refusal_stands(self):
        self.change("cart.yaml", case.rule("cart", "baseline", "feature-a") + case.virtual_service("cart", [LARGE_EXPRESSION]))
        self.wait_refused(self.routes)
        self.change("new.yaml", case.service("new", "10.96.1.71", port=8082) +
                    case.pod("new", "baseline", "127.1.2.41"))
        self.mesh.add_instance(case.pod("new", "baseline", "127.1.2.41"))
        self.eventually(lambda: self.ask("http://pay:8081/").status == 200, 15)
        self.heal("cart.yaml")
        self.eventually(lambda: self.ask("http://new:8082/").status == 200, 15, "what came meanwhile")

    def test_a_refusal_outlives_a_restart_of_the_control_plane_without_a_failed_request(self):
        with case.Load(self.mesh, "client.fe-pre", CART) as load:
            load.wait_version("baseline")
            self.change("cart.yaml", case.rule("cart", "baseline", "feature-a") + case.virtual_service("cart", [LARGE_EXPRESSION]))
            self.wait_refused(self.routes)
            self.mesh.kill_control_plane()
            self.mesh.start_control_plane()
            self.wait_refused(self.routes)
            self.heal("cart.yaml")
            self.assert_version(self.ask(CART, {"canarytag": "feature-a"}), "feature-a")
        self.assertEqual(load.failures(), [])

    def test_metrics_count_refusals(self):
        self.change("cart.yaml", case.rule("cart", "baseline", "feature-a") + case.virtual_service("cart", [LARGE_EXPRESSION]))
        self.wait_refused(self.routes)
        page = self.mesh.api_get("/metrics").body.decode()
        counted = [line for line in page.splitlines() if "nack" in line.lower() and not line.startswith("#")]
        self.assertTrue(any(float(line.rsplit(" ", 1)[1]) > 0 for line in counted), counted)
        self.heal("cart.yaml")


class RefusedOneByOne(Refused):
    routes = "VHDS"
    mesh_config = case.MESH_CONFIG + case.VHDS_ON


if __name__ == "__main__":
    case.skip_without_envoy()
    unittest.main(verbosity=2)
