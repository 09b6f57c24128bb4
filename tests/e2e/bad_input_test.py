#!/usr/bin/env python3
"""Bad input, through the real graymeshd and the real CLI: the server lives, goes on serving others
and the last good state, and names the fault where a user looks for it.
"""

import os
import pathlib
import random
import socket
import struct
import threading
import time
import unittest

import case
import xds_client

GOOD = case.service("cart", "10.96.1.2") + case.pod("cart", "baseline", "127.1.9.1") + \
    case.rule("cart", "baseline") + case.by_header("cart")
CART = "outbound|8080|baseline|cart.fe-pre.svc.cluster.local"


def laughs(depth, width=9):
    """A tree of aliases: `depth` levels, each `width` times the one below."""
    lines = ["apiVersion: v1", "kind: Service", "metadata: {name: laughs, namespace: fe-pre}", "spec:", "  a0: &a0 [lol]"]
    for level in range(1, depth):
        lines.append(f"  a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * width)}]")
    return "\n".join(lines) + "\n"


class ControlPlaneOnly(case.Case):
    """graymeshd alone; the clients are bytes."""

    files = {"good.yaml": GOOD}

    @classmethod
    def setUpClass(cls):
        cls.mesh = case.Mesh(cls.files)
        cls.mesh.start_app = lambda instance: None
        cls.mesh.start()

    def setUp(self):
        # What the test before took away is believed gone after a moment.
        self.eventually(lambda: [one["name"] for one in self.mesh.json("/debug/registryz")] == ["cart"], 10,
                        "only what is good is there")

    def serving(self, wanted=CART):
        """True if a new client is served it."""
        with xds_client.Client(self.mesh.xds) as client:
            return wanted in client.take(xds_client.CLUSTER, until=wanted)

    def assert_serving(self, wanted=CART):
        self.assertTrue(self.mesh.control_plane.running(), self.mesh.control_plane.tail())
        self.assertTrue(self.serving(wanted))

    def metric(self, name):
        return case.first_number(self.mesh.api_get("/metrics").body.decode(), rf"^{name}(?:{{[^}}]*}})? (\S+)$")

    def memory(self, name):
        """Of graymeshd, in bytes: VmRSS now, VmHWM at its most."""
        text = pathlib.Path(f"/proc/{self.mesh.control_plane.pid}/status").read_text(encoding="ascii")
        return case.first_number(text, rf"^{name}:\s+(\d+) kB") * 1024

    def told(self, *words):
        """What `graymesh get all` says, when it says all of `words`."""
        def look():
            found = self.mesh.graymesh("get", "all")
            text = found.stdout + found.stderr
            return text if all(word in text for word in words) else None
        return self.eventually(look, 10, f"graymesh get all says {words}")


class Folder(ControlPlaneOnly):
    def test_a_binary_file_is_a_problem_of_its_own(self):
        (self.mesh.config / "picture.yaml").write_bytes(random.Random(1).randbytes(100_000))
        self.addCleanup(self.mesh.delete, "picture.yaml")
        self.told("picture.yaml")
        self.assert_serving()

    def test_a_file_of_zeros_and_one_of_a_single_line_without_end(self):
        (self.mesh.config / "zeros.yaml").write_bytes(b"\0" * 1_000_000)
        self.addCleanup(self.mesh.delete, "zeros.yaml")
        (self.mesh.config / "line.json").write_bytes(b"[" * 1_000_000)
        self.addCleanup(self.mesh.delete, "line.json")
        self.told("zeros.yaml", "line.json")
        self.assert_serving()

    def test_a_billion_laughs_of_aliases_costs_neither_time_nor_memory(self):
        before = self.memory_mb()
        self.change("laughs.yaml", laughs(10))
        self.told("laughs.yaml", "alias")
        self.assertLess(self.memory_mb() - before, 600)
        self.assert_serving()

    def memory_mb(self):
        with open(f"/proc/{self.mesh.control_plane.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024

    def test_a_changed_object_that_is_bad_leaves_its_last_good_state_serving_and_says_so(self):
        self.change("good.yaml", GOOD.replace('"subset": "baseline"', '"subset": "baseline"}, "weight": -3, "x": {'))
        self.told("VirtualService", "last-good", "weight")
        configz = self.mesh.json("/debug/configz")
        standing = {(one["kind"], one["graymesh"]["state"]) for one in configz if "graymesh" in one}
        self.assertIn(("VirtualService", "last-good"), standing)
        self.assertIn(("DestinationRule", "serving"), standing)
        self.assertTrue(any(value > 0 for value in self.refused_metrics()), self.mesh.api_get("/metrics").body.decode())
        with xds_client.Client(self.mesh.xds) as client:
            self.assertIn("8080", client.take(xds_client.ROUTE) or self.routes(client))
        self.assert_serving()

    def routes(self, client):
        """Routes are asked for by name."""
        client.delta(xds_client.ROUTE, subscribe=["8080"])
        response = client.receive()
        return response.versions if response else {}

    def refused_metrics(self):
        lines = self.mesh.api_get("/metrics").body.decode().splitlines()
        return [float(line.rsplit(" ", 1)[1]) for line in lines
                if not line.startswith("#") and ("refused" in line or "last_good" in line or "last-good" in line)]

    def test_an_object_that_was_never_good_is_refused_with_every_problem_at_once(self):
        self.change("bad.yaml", case.virtual_service("bad", [{"route": [{"destination": {"host": ""}, "weight": -1}]}])
                    .replace('"hosts"', '"hots"'))
        text = self.told("bad.yaml", "refused", "hots", "weight")
        self.assertIn("VirtualService fe-pre/bad", text)

    def test_duplicate_keys_are_errors(self):
        self.change("twice.yaml", "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: twice, namespace: fe-pre}\n"
                    "spec:\n  hosts: [cart]\n  hosts: [pay]\n  http: [{directResponse: {status: 200}}]\n")
        self.told("twice.yaml:6", "hosts")

    def test_cyclic_delegates_end(self):
        def delegate(name, to):
            return f"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}, namespace: fe-pre}}\n" \
                   f"spec: {{http: [{{delegate: {{name: {to}, namespace: fe-pre}}}}]}}\n"
        self.change("circle.yaml", delegate("one", "two") + delegate("two", "one") +
                    case.virtual_service("root", [{"match": [{"uri": {"prefix": "/x"}}], "delegate": {"name": "one", "namespace": "fe-pre"}}],
                                         hosts=["circle.example"]))
        self.told("fe-pre/one", "delegate")
        self.assert_serving()

    def test_ten_thousand_documents_in_one_file(self):
        self.change("many.yaml", "".join(case.service(f"s{n}", f"10.{100 + n // 65536}.{n // 256 % 256}.{n % 256}")
                                         for n in range(10_000)))
        self.eventually(lambda: len(self.mesh.json("/debug/registryz")) >= 10_001, 20, "10,000 services")
        self.assert_serving()
        self.assertTrue(self.serving("outbound|8080||s9999.fe-pre.svc.cluster.local"))

    def test_a_service_without_ports_and_subsets_that_select_nothing(self):
        self.change("odd.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: bare, namespace: fe-pre}\nspec: {clusterIP: 10.96.1.9}\n" +
                    case.service("lonely", "10.96.1.10") + case.rule("lonely", "feature-z"))
        self.told("DestinationRule fe-pre/lonely", "feature-z")
        self.told("odd.yaml:4 Service fe-pre/bare", "nothing can be routed to this Service")
        self.assert_serving("outbound|8080|feature-z|lonely.fe-pre.svc.cluster.local")

    def test_two_documents_of_one_name_keep_the_first_and_name_both(self):
        self.change("zz-copy.yaml", case.service("cart", "10.96.1.77"))
        self.told("Service", "zz-copy.yaml", "good.yaml")
        addresses = [one["addresses"] for one in self.mesh.json("/debug/registryz") if one["name"] == "cart"]
        self.assertEqual(addresses, [["10.96.1.2"]])

    def test_clashing_hosts_are_told(self):
        self.change("clash.yaml", case.virtual_service("zz-cart", [{"directResponse": {"status": 418}}], hosts=["cart"]))
        self.told("VirtualService fe-pre/zz-cart", "cart")
        self.assert_serving()

    def test_a_half_written_file_does_not_take_its_objects_away(self):
        file = self.mesh.config / "good.yaml"
        with open(file, "r+", encoding="utf-8") as half:
            half.truncate(len(GOOD) // 2)
            half.flush()
            deadline = time.monotonic() + 0.4
            while time.monotonic() < deadline:
                self.assertTrue(self.serving())
        self.mesh.write("good.yaml", GOOD)
        self.assert_serving()

    def test_a_deleted_folder_keeps_serving_and_counts_again_when_it_is_back(self):
        away = self.mesh.config.with_name("away")
        os.rename(self.mesh.config, away)
        try:
            deadline = time.monotonic() + 1.0
            while time.monotonic() < deadline:
                self.assertTrue(self.serving())
        finally:
            os.rename(away, self.mesh.config)
        self.change("back.yaml", case.service("back", "10.96.1.20"))
        self.eventually(lambda: self.serving("outbound|8080||back.fe-pre.svc.cluster.local"), 15, "the folder is watched again")

    def test_links_in_a_circle_and_pipes_do_not_hang_the_reader(self):
        loop, pipe = self.mesh.config / "loop", self.mesh.config / "pipe.yaml"
        loop.symlink_to(self.mesh.config, target_is_directory=True)
        self.addCleanup(loop.unlink)
        os.mkfifo(pipe)
        self.addCleanup(pipe.unlink)
        self.change("after.yaml", case.service("after", "10.96.1.21"))
        self.eventually(lambda: self.serving("outbound|8080||after.fe-pre.svc.cluster.local"), 10, "later changes are seen")


class CommandLine(ControlPlaneOnly):
    def test_validate_names_every_problem_and_fails(self):
        done = self.mesh.graymesh("validate", "-", stdin=case.virtual_service(
            "bad", [{"route": [{"destination": {"host": "cart"}, "weight": -1}], "retries": {"attempts": -2}}]))
        self.assertEqual(done.returncode, 1, done)
        self.assertIn("weight", done.stderr)
        self.assertIn("attempts", done.stderr)

    def test_validate_survives_garbage(self):
        file = self.mesh.folder / "garbage.yaml"
        for seed in range(5):
            file.write_bytes(random.Random(seed).randbytes(20_000))
            done = self.mesh.graymesh("validate", str(file))
            self.assertEqual(done.returncode, 1, done)
            self.assertIn("garbage.yaml", done.stderr)

    def test_validate_survives_aliases(self):
        done = self.mesh.graymesh("validate", "-", stdin=laughs(12))
        self.assertEqual(done.returncode, 1, done)

    def test_apply_is_all_or_nothing(self):
        done = self.mesh.graymesh("apply", "-f", "-", stdin=case.service("fine", "10.96.1.30") +
                                  case.virtual_service("bad", [{"route": [{"destination": {"host": "x"}, "weight": -1}]}]))
        self.assertEqual(done.returncode, 1, done)
        self.assertIn("weight", done.stderr)
        self.assertEqual([one for one in self.mesh.json("/debug/registryz") if one["name"] == "fine"], [])

    def test_apply_get_and_delete(self):
        done = self.mesh.graymesh("apply", "-f", "-", stdin=case.service("fine", "10.96.1.30"))
        self.assertEqual((done.returncode, done.stdout.strip()), (0, "Service fe-pre/fine created"), done)
        self.eventually(lambda: "fine" in self.mesh.graymesh("get", "svc", "fine", "-n", "fe-pre").stdout, 15, "it is there")
        self.assertEqual(self.mesh.graymesh("delete", "svc", "fine", "-n", "fe-pre").returncode, 0)
        self.eventually(lambda: self.mesh.graymesh("get", "svc", "fine", "-n", "fe-pre").returncode == 1, 15, "it is gone")

    def test_exit_codes_and_words_for_mistakes(self):
        self.assertEqual(self.mesh.graymesh("get", "nonsense").returncode, 1)
        self.assertEqual(self.mesh.graymesh("get").returncode, 2)
        self.assertEqual(self.mesh.graymesh("delete", "vs", "nobody", "-n", "fe-pre").returncode, 1)
        self.assertEqual(self.mesh.graymesh("proxy", "status", "nobody.fe-pre").returncode, 1)
        nobody = self.mesh.graymesh("get", "all", server="127.0.0.1:1")
        self.assertEqual(nobody.returncode, 5, nobody)
        self.assertIn("127.0.0.1:1", nobody.stderr)


class Wire(ControlPlaneOnly):
    """Hostile or broken clients on the xDS port."""

    def connect(self, path=xds_client.DELTA):
        client = xds_client.Client(self.mesh.xds, path)
        self.addCleanup(client.close)
        return client

    def raw(self, data):
        host, port = self.mesh.xds.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(data)
            time.sleep(0.05)

    def test_garbage_instead_of_http2(self):
        for seed in range(20):
            try:
                self.raw(random.Random(seed).randbytes(5_000))
            except OSError:
                pass  # it may hang up on us
        self.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.raw(xds_client.PREFACE[:10])
        self.raw(xds_client.PREFACE + b"\xff" * 1000)
        self.assert_serving()

    def test_half_a_message_and_then_nothing(self):
        client = self.connect()
        client.raw(struct.pack(">BI", 0, 1000) + b"\x0a")
        self.assert_serving()
        client.close()
        self.assert_serving()

    def test_a_message_that_says_it_is_four_gigabytes(self):
        client = self.connect()
        try:
            client.raw(struct.pack(">BI", 0, 0xffffffff) + b"x" * 1_000_000)
        except OSError:
            pass  # more than the server's windows allow: it may hang up
        self.assert_serving()
        client.close()
        self.assert_serving()

    def test_a_promise_of_four_gigabytes_that_keeps_to_the_windows_costs_no_memory(self):
        """It is refused by its first five bytes."""
        good = self.connect()
        self.assertIn(CART, good.take(xds_client.CLUSTER))
        before = self.memory("VmRSS")
        pathlib.Path(f"/proc/{self.mesh.control_plane.pid}/clear_refs").write_text("5")  # VmHWM begins anew
        client = self.connect()
        sent = client.flood(0xffffffff, 600 << 20)
        self.assertTrue(client.ended, "the stream goes on")
        self.assertTrue(client.exhausted(), f"RESOURCE_EXHAUSTED, not {client.trailers} nor {client.reset}")
        self.assertLess(sent, 1 << 20, "bytes were taken")
        self.assertLess(self.memory("VmHWM"), before + (10 << 20), "bytes at the most")
        self.assertGreaterEqual(self.metric('graymesh_xds_requests_rejected_total{reason="unbounded"}'), 1)
        good.delta(xds_client.ENDPOINTS, subscribe=[CART])
        response = good.receive()
        self.assertTrue(response is not None and CART in response.versions, "a stream of before goes on")
        self.assert_serving()

    def test_promises_that_are_kept_half_way_cost_what_came_and_no_more(self):
        """Four clients, each with a message of 15 MB that has no end: others are served meanwhile."""
        pathlib.Path(f"/proc/{self.mesh.control_plane.pid}/clear_refs").write_text("5")
        before = self.memory("VmRSS")
        clients = [self.connect() for _ in range(4)]
        ends = threading.Event()
        others = []

        def look():
            while not ends.is_set():
                others.append(self.serving())

        looking = threading.Thread(target=look)
        looking.start()
        try:
            for client in clients:
                self.assertEqual(client.flood(15 << 20, 14 << 20), 14 << 20)
        finally:
            ends.set()
            looking.join()
        self.assertLess(self.memory("VmHWM"), before + (80 << 20), "bytes at the most")
        self.assertTrue(others and all(others), "others are served meanwhile")

    def test_a_message_longer_than_anything_we_take(self):
        client = self.connect()
        size = 17 << 20
        try:
            client.raw(struct.pack(">BI", 0, size) + b"x" * size)
        except OSError:
            pass  # hung up before the end is as good
        client.receive(20)
        self.assertTrue(client.ended)
        self.assert_serving()

    def test_bytes_that_are_no_request(self):
        for seed in range(10):
            client = self.connect(xds_client.DELTA if seed % 2 else xds_client.STREAM)
            client.send(random.Random(seed).randbytes(300))
            client.receive(0.2)
            client.close()
        self.assert_serving()

    def test_a_request_without_a_node(self):
        client = self.connect()
        client.delta(xds_client.CLUSTER)
        client.receive(1)
        self.assert_serving()

    def test_a_node_that_is_no_istio_node(self):
        client = self.connect()
        client.send(xds_client.field(1, xds_client.field(1, "just-a-name")) + xds_client.field(2, xds_client.CLUSTER))
        client.receive(1)
        self.assert_serving()

    def test_an_unknown_type_does_not_disturb_the_known_ones(self):
        client = self.connect()
        client.delta("type.googleapis.com/some.Thing", first=True)
        client.receive(0.3)
        taken = client.take(xds_client.CLUSTER, until=CART) if not client.ended else {}
        if client.ended:  # its stream may be, at once or a little later
            taken = self.connect().take(xds_client.CLUSTER, until=CART)
        self.assertIn(CART, taken)

    def test_an_unknown_method(self):
        client = self.connect("/some.Service/Method")
        client.send(b"")
        client.receive(20)
        self.assertTrue(client.ended)
        self.assert_serving()

    def test_a_client_that_never_acks_gets_no_second_push_and_stops_nobody(self):
        silent = self.connect()
        silent.delta(xds_client.CLUSTER, first=True)
        self.assertIsNotNone(silent.receive())
        for n in range(5):
            self.change("more.yaml", case.service(f"more-{n}", "10.96.1.40"))
            self.eventually(lambda name=f"outbound|8080||more-{n}.fe-pre.svc.cluster.local": self.serving(name), 15, "others get it")
        later = []
        while (response := silent.receive(0.3)) is not None:
            later.append(response)
        self.assertEqual([one for one in later if one.type_url == xds_client.CLUSTER], [],
                         "one push in flight: the next waits for the ACK")
        status = self.mesh.graymesh("proxy", "status").stdout
        self.assertIn("STALE", status)

    def test_a_client_that_acks_at_last_gets_the_newest_state_once(self):
        slow = self.connect()
        slow.delta(xds_client.CLUSTER, first=True)
        first = slow.receive()
        for n in range(3):
            self.change("more.yaml", case.service(f"late-{n}", "10.96.1.40"))
            self.eventually(lambda name=f"outbound|8080||late-{n}.fe-pre.svc.cluster.local": self.serving(name), 15, "others get it")
        while slow.receive(0.3) is not None:
            pass  # endpoints that went with it
        slow.delta(xds_client.CLUSTER, nonce=first.nonce)
        held = {}
        while (response := slow.receive(1 if held else 20)) is not None:
            slow.delta(response.type_url, nonce=response.nonce)
            if response.type_url == xds_client.CLUSTER:
                held.update(response.versions)
        mine = sorted(name for name in held if "late-" in name)
        self.assertEqual(mine, ["outbound|8080||late-2.fe-pre.svc.cluster.local"])

    def test_an_ack_for_what_was_never_sent_changes_nothing(self):
        client = self.connect()
        client.delta(xds_client.CLUSTER, first=True, nonce="never-sent")
        client.delta(xds_client.ROUTE, nonce="nor-this")
        client.delta(xds_client.LISTENER, nonce="nor-that", error="and I do not like it")
        with_all = client.take(xds_client.CLUSTER, until=CART)
        self.assert_serving()
        self.assertTrue(CART in with_all or client.ended, with_all)

    def test_a_nack_is_kept_with_the_words_of_the_proxy_and_the_object(self):
        client = self.connect()
        client.delta(xds_client.CLUSTER, first=True)
        response = client.receive()
        client.delta(xds_client.CLUSTER, nonce=response.nonce, error=f"Error adding/updating cluster(s) {CART}: no such thing")
        text = self.eventually(lambda: (lambda t: t if "refused by" in t else None)(self.mesh.graymesh("proxy", "status").stdout),
                               15, "the refusal is shown")
        self.assertIn("no such thing", text)
        self.assertIn("fe-pre/cart", text)
        again = client.receive(0.5)
        self.assertTrue(again is None or again.type_url != xds_client.CLUSTER or CART not in again.versions,
                        "what was refused is not sent again unchanged")

    def test_a_client_that_says_what_it_holds_is_sent_nothing_of_it(self):
        held = self.connect().take(xds_client.CLUSTER)
        client = self.connect()
        client.delta(xds_client.CLUSTER, first=True, held={**held, "outbound|1||gone": "0123456789abcdef"})
        client.delta(xds_client.LISTENER)  # clusters are removed when nothing can need them any more
        told = []
        while (response := client.receive(1 if told else 20)) is not None:
            client.delta(response.type_url, nonce=response.nonce)
            if response.type_url == xds_client.LISTENER:
                client.delta(xds_client.ROUTE, subscribe=["8080"])
            elif response.type_url == xds_client.CLUSTER:
                told.append((response.versions, response.removed))
        self.assertEqual(told, [({}, ["outbound|1||gone"])])

    def test_a_client_that_holds_garbage_is_sent_everything(self):
        client = self.connect()
        client.delta(xds_client.CLUSTER, first=True, held={CART: "not-a-version", "x" * 5000: ""})
        response = client.receive(20)
        self.assertIn(CART, response.versions)

    def test_a_thousand_subscriptions_to_what_does_not_exist(self):
        client = self.connect()
        client.delta(xds_client.ENDPOINTS, first=True, subscribe=[f"outbound|80||nobody-{n}" for n in range(1000)])
        client.receive(2)
        self.assert_serving()

    def test_fifty_clients_that_come_and_go_leave_nothing_behind(self):
        for _ in range(50):
            with xds_client.Client(self.mesh.xds) as client:
                client.delta(xds_client.CLUSTER, first=True)
        self.eventually(lambda: self.mesh.proxies() == [], 10, "nobody is connected")
        self.assert_serving()


if __name__ == "__main__":
    unittest.main(verbosity=2)
