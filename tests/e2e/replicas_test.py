#!/usr/bin/env python3
"""Several control planes on the same 700 services are one: whatever their files are called, in which
order they came, and what each has been through, every resource is the same to the byte, and so is its
version. So a proxy changes from one to the other at no cost; a real Envoy shows it.

    fresh       the folder as it is
    travelled   the same documents in files of other names, reached by a thousand edits
    restarted   the second one's folder, by a process that was killed in the middle of them
"""

import hashlib
import json
import pathlib
import random
import re
import shutil
import tempfile
import time
import unittest

import case
import demo_mesh
import xds_client

TYPES = {"CDS": xds_client.CLUSTER, "EDS": xds_client.ENDPOINTS, "LDS": xds_client.LISTENER, "RDS": xds_client.ROUTE}
UPDATES = r"(update_success|update_rejected|config_reload|lds\.update_success)$"
SEED = 11


def text(key, value):
    return xds_client.field(1, key) + xds_client.field(2, xds_client.field(3, value))


def struct_of(values):
    return b"".join(xds_client.field(1, text(key, value)) for key, value in values.items())


def node_of(pod, kind="sidecar", mode="REDIRECT"):
    """The Node message of one of gen_mesh's pods."""
    labels = xds_client.field(1, "LABELS") + xds_client.field(2, xds_client.field(5, struct_of(pod["labels"])))
    metadata = struct_of({"NAMESPACE": pod["ns"], "NAME": pod["name"], "INTERCEPTION_MODE": mode}) + xds_client.field(1, labels)
    return (xds_client.field(1, f"{kind}~{pod['ip']}~{pod['name']}.{pod['ns']}~{pod['ns']}.svc.cluster.local") +
            xds_client.field(3, metadata))


class Bodies:
    """All that a proxy is sent of every type: {type: {name: (version, hash of the resource)}}."""

    def __init__(self, replica, node):
        self.all = {}
        for name, url in TYPES.items():
            with xds_client.Client(replica.xds) as client:
                client.send(xds_client.field(1, node) + xds_client.field(2, url) + xds_client.field(3, "*"))
                self.all[name] = self.receive(client, lambda kind=name: replica.has_sent(node, kind))

    @staticmethod
    def receive(client, whole):
        """What comes until for a moment nothing more does, and `whole` holds or nothing comes for long."""
        held, seconds, silent = {}, 10.0, 0.0
        while silent < 10.0:
            data = client.receive_message(seconds)
            if data is None:
                if client.ended or whole():
                    break
                silent += seconds
                continue
            silent = 0.0
            nonce = url = ""
            for number, value in xds_client.fields(data):
                if number == 2:
                    parts = dict(xds_client.fields(value))
                    held[parts[3].decode()] = (parts[1].decode(), hashlib.sha256(parts[2]).hexdigest())
                elif number == 4:
                    url = value.decode()
                elif number == 5:
                    nonce = value.decode()
            client.delta(url, nonce=nonce)
            seconds = 0.5
        return held


class Replica(case.ControlPlane):
    def has_sent(self, node, kind):
        """Whether somebody by that Node message has ACKed all that there is of the type."""
        name = dict(xds_client.fields(node))[1].decode()
        return any(type["type"] == kind and type["state"] == "SYNCED" for item in self.get("/api/v1/proxies").json["items"]
                   if item["id"] == name for type in item["types"])

    def objects(self):
        page = self.get("/metrics").body.decode()
        return {kind: float(count) for kind, count in re.findall(r'^graymesh_objects\{kind="(\w+)"\} (\S+)$', page, re.MULTILINE)}

    def metric(self, name):
        page = self.get("/metrics").body.decode()
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", page, re.MULTILINE))


class Replicas(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="graymesh-replicas-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        mesh = case.generated_mesh(cls.folder / "mesh")
        cls.files = {file.name: file.read_text() for file in sorted((mesh / "config").iterdir())}
        cls.pods = [json.loads(line) for line in (mesh / "nodes.jsonl").read_text().splitlines()]
        cls.fresh = cls.replica("fresh", mesh / "config").start()
        cls.travelled = cls.replica("travelled", cls.folder / "other")
        cls.restarted = cls.replica("restarted", cls.folder / "other")
        cls.travel()
        cls.bodies = {}

    @classmethod
    def replica(cls, name, config):
        (cls.folder / name).mkdir()
        replica = Replica(cls.folder / name, config)
        cls.addClassCleanup(replica.kill)
        return replica

    @classmethod
    def travel(cls):
        """The same documents, three to a file, in an order of their own, by way of others."""
        other = cls.folder / "other"
        other.mkdir()
        lot = random.Random(SEED)
        documents = list(cls.files.values())
        lot.shuffle(documents)
        groups = [documents[at:at + 3] for at in range(0, len(documents), 3)]
        whole = {f"{lot.randrange(10**9):09}-{n}.yaml": "---\n".join(part if part.endswith("\n") else part + "\n" for part in group)
                 for n, group in enumerate(groups)}
        late = set(lot.sample(sorted(whole), len(whole) // 3))
        for name, body in whole.items():
            if name not in late:
                # Others stand where these will: another timeout, another port, another address.
                body = body.replace("timeout: 10s", "timeout: 7s").replace("port: 8080", "port: 8081").replace("10.128.3.", "10.127.3.")
                (other / name).write_text(body)
        (other / "passing.yaml").write_text(case.service("passing", "10.96.9.9") + case.rule("passing", "a", "b"))
        cls.travelled.start()
        cls.restarted.start()
        names = sorted(whole)
        lot.shuffle(names)
        for n, name in enumerate(names):
            (other / name).write_text(whole[name])
            if n == len(names) // 2:
                cls.restarted.kill()
                (other / "passing.yaml").unlink()
            if n == 2 * len(names) // 3:
                cls.restarted.start()
        for replica in (cls.travelled, cls.restarted):
            case.wait_until(lambda it=replica: it.objects() == cls.fresh.objects(), 60,
                            lambda it=replica: f"the same objects: {it.objects()}, {cls.fresh.objects()}")

    def compare(self, node):
        wanted = Bodies(self.fresh, node).all
        for name in ("travelled", "restarted"):
            # What was edited last may be on its way: the last answer counts.
            deadline = time.monotonic() + 30
            while (found := Bodies(getattr(self, name), node).all) != wanted and time.monotonic() < deadline:
                pass
            for kind in TYPES:
                differing = sorted(key for key in wanted[kind].keys() | found[kind].keys()
                                   if wanted[kind].get(key) != found[kind].get(key))
                self.assertEqual(differing, [], f"{name}: {kind}")
        return wanted

    def test_sidecars_are_sent_the_same_bytes_by_all(self):
        chosen = {pod["ns"]: pod for pod in self.pods if pod["labels"]["stage"] == "gray"}
        for namespace in sorted(chosen)[:2]:
            with self.subTest(pod=chosen[namespace]["name"]):
                wanted = self.compare(node_of(chosen[namespace]))
                self.assertGreater(len(wanted["CDS"]), 3360)
                self.assertGreater(len(wanted["EDS"]), 3300)

    def test_sidecars_without_iptables_and_routers_are_too(self):
        pod = self.pods[0]
        self.compare(node_of(pod, mode="NONE"))
        self.compare(node_of(pod, kind="router"))

    def test_an_envoy_changes_between_them_at_no_cost(self):
        block = demo_mesh.Block(range(1, 64))
        self.addCleanup(block.close)
        address = f"127.{block.number}.9.1"
        replicas = [self.travelled, self.fresh]
        end = case.probe_sidecar(address, self.folder / "sidecar.log", [it.xds for it in replicas])
        self.addCleanup(end)

        def counters(pattern=UPDATES):
            page = case.get(f"{address}:15000", "/stats?usedonly").body.decode()
            return {name: int(value) for name, value in re.findall(r"^(\S+): (\d+)$", page, re.MULTILINE)
                    if re.search(pattern, name)}

        def settled(replica):
            types = [it["types"] for it in replica.get("/api/v1/proxies").json["items"] if it["name"] == "probe-0"]
            return bool(types) and all(it["state"] in ("SYNCED", "NOT SENT") for it in types[0])
        case.wait_until(lambda: any(settled(it) for it in replicas), 60, "the sidecar is synced")
        for _ in range(2):
            at, other = replicas if settled(replicas[0]) else reversed(replicas)
            before, pushes = counters(), other.metric("graymesh_xds_pushes_total")
            at.kill()
            begun = time.monotonic()
            case.wait_until(lambda it=other: settled(it), 30, "the sidecar is synced with the other one")
            took = time.monotonic() - begun
            (clusters,) = counters(r"^cluster_manager\.active_clusters$").values()
            print(f"{clusters:,} clusters, changed over in {took:.2f} s", flush=True)
            time.sleep(2.5)  # what vanished would be removed after 2 s
            self.assertEqual(counters(), before)
            self.assertEqual(other.metric("graymesh_xds_pushes_total"), pushes, "nothing was sent")
            at.start()


if __name__ == "__main__":
    case.skip_without_envoy()
    unittest.main(verbosity=2)
