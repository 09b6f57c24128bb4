#!/usr/bin/env python3
"""What a VirtualService says is what a client sees, through one real Envoy beside the client.

    client ── its sidecar (Envoy) ──> cart-baseline, cart-feature-a, audit (applications alone)

Each test writes routes.yaml, asks, and leaves the folder as it found it.
"""

import json
import math
import pathlib
import shutil
import tempfile
import time
import unittest

import case

FILES = {
    "apps.yaml": case.service("client", "10.96.1.1") + case.pod("client", "baseline", "127.1.2.1", injected=True)
    .replace("name: client-baseline", "name: client")
    + case.service("cart", "10.96.1.2") + case.pod("cart", "baseline", "127.1.2.21") + case.pod("cart", "feature-a", "127.1.2.22")
    + case.service("audit", "10.96.1.3") + case.pod("audit", "baseline", "127.1.2.31"),
    "rules.yaml": case.rule("cart", "baseline", "feature-a"),
    "routes.yaml": case.by_header("cart", "feature-a"),
}
CART = "http://cart:8080"
BASELINE = {"destination": {"host": "cart", "subset": "baseline"}}
FEATURE_A = {"destination": {"host": "cart", "subset": "feature-a"}}


class Routing(case.Case):
    files = FILES
    log = pathlib.Path(tempfile.mkdtemp(prefix="graymesh-log-")) / "access.log"
    mesh_config = case.MESH_CONFIG + f"accessLogFile: {log}\naccessLogEncoding: JSON\n"
    marks = 0

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.log.parent)

    def setUp(self):
        # So that nothing of the test before is still being answered.
        self.routes({"match": [{"headers": {"canarytag": {"exact": "feature-a"}}}], "route": [FEATURE_A]}, {"route": [BASELINE]})

    def routes(self, *http):
        """Writes these http routes of cart, and waits until the sidecar answers by them."""
        Routing.marks += 1
        mark = f"/mark-{Routing.marks}"
        probe = {"match": [{"uri": {"exact": mark}}], "directResponse": {"status": 299}}
        self.change("routes.yaml", case.virtual_service("cart", [probe, *http]))
        self.eventually(lambda: self.ask(CART + mark).status == 299, 20, "the new routes")

    def counts(self, instance, path):
        address = self.mesh.instance(f"{instance}.fe-pre")
        client = case.demo_mesh.Client(address.address, address.port)
        try:
            return client.request("/counts", "x").json["counts"].get(path, 0)
        finally:
            client.close()

    # Who answers.

    def test_the_header_picks_the_version(self):
        self.assert_version(self.ask(CART + "/", {"canarytag": "feature-a"}), "feature-a")
        self.assert_version(self.ask(CART + "/", {"canarytag": "feature-b"}), "baseline")
        self.assert_version(self.ask(CART + "/"), "baseline")

    def test_every_form_of_the_name_is_the_same_service(self):
        for host in ("cart", "cart.fe-pre", "cart.fe-pre.svc", "cart.fe-pre.svc.cluster.local", "CART", "10.96.1.2"):
            with self.subTest(host=host):
                self.assert_version(self.ask(f"http://{host}:8080/", {"canarytag": "feature-a"}), "feature-a")

    def test_what_is_not_in_the_registry_is_refused(self):
        self.assertEqual(self.ask("http://nobody:8080/").status, 502)
        self.assertEqual(self.ask("http://cart:9999/").status, 502)

    def test_every_kind_of_match(self):
        self.routes(
            {"match": [{"uri": {"prefix": "/p"}, "method": {"exact": "POST"}, "queryParams": {"q": {"exact": "1"}}}], "route": [FEATURE_A]},
            {"match": [{"headers": {"x": {"regex": "a+"}}}, {"headers": {"y": {"prefix": "pre"}}},
                       {"withoutHeaders": {"canarytag": {}}, "uri": {"regex": "/re/[0-9]+"}}], "route": [FEATURE_A]},
            {"route": [BASELINE]})
        for path, headers, method, version in (
                ("/p?q=1", {}, "POST", "feature-a"), ("/p?q=2", {}, "POST", "baseline"), ("/p?q=1", {}, "GET", "baseline"),
                ("/", {"x": "aaa"}, "GET", "feature-a"), ("/", {"x": "aab"}, "GET", "baseline"),
                ("/", {"y": "prefixed"}, "GET", "feature-a"), ("/", {"y": "other"}, "GET", "baseline"),
                ("/re/12", {}, "GET", "feature-a"), ("/re/12", {"canarytag": "x"}, "GET", "baseline"), ("/re/x", {}, "GET", "baseline")):
            with self.subTest(path=path, headers=headers, method=method):
                self.assert_version(self.ask(CART + path, headers, method=method), version)

    def test_weights_are_shares(self):
        self.routes({"route": [{**BASELINE, "weight": 80}, {**FEATURE_A, "weight": 20}]})
        asked = 1500
        client = case.demo_mesh.Client(self.mesh.instance("client.fe-pre").address, 15001)
        gray = sum(client.request(CART + "/", "cart:8080").json["version"] == "feature-a" for _ in range(asked))
        client.close()
        # Five standard deviations: one run in two million is outside by chance.
        self.assertLess(abs(gray - asked * 0.2), 5 * math.sqrt(asked * 0.2 * 0.8), gray)

    # What happens on the way.

    def test_a_failed_answer_is_tried_again(self):
        self.routes({"retries": {"attempts": 3, "retryOn": "5xx"}, "route": [BASELINE]})
        answer = self.ask(CART + f"/flaky?times=2&key={self.id()}-{time.monotonic()}")
        self.assertEqual((answer.status, answer.json["attempt"]), (200, 3))

    def test_without_retries_a_failed_answer_is_the_answer(self):
        self.routes({"retries": {"attempts": 0}, "route": [BASELINE]})
        self.assertEqual(self.ask(CART + f"/flaky?times=1&key={self.id()}-{time.monotonic()}").status, 503)

    def test_a_timeout_ends_a_slow_answer(self):
        self.routes({"timeout": "0.2s", "route": [BASELINE]})
        answer = self.ask(CART + "/slow?ms=3000")
        self.assertEqual(answer.status, 504)
        self.assertGreaterEqual(answer.seconds, 0.19)

    def test_without_a_timeout_a_slow_answer_is_awaited(self):
        self.assertEqual(self.ask(CART + "/slow?ms=700").status, 200)

    def test_a_delay_is_injected(self):
        self.routes({"fault": {"delay": {"fixedDelay": "0.3s", "percentage": {"value": 100}}}, "route": [BASELINE]})
        answer = self.ask(CART + "/")
        self.assert_version(answer, "baseline")
        self.assertGreaterEqual(answer.seconds, 0.29)

    def test_an_abort_is_injected_into_its_share_of_the_requests(self):
        self.routes({"fault": {"abort": {"httpStatus": 418, "percentage": {"value": 30}}}, "route": [BASELINE]})
        asked = 600
        client = case.demo_mesh.Client(self.mesh.instance("client.fe-pre").address, 15001)
        answers = [client.request(CART + "/", "cart:8080").status for _ in range(asked)]
        client.close()
        self.assertEqual(set(answers), {200, 418})
        self.assertLess(abs(answers.count(418) - asked * 0.3), 5 * math.sqrt(asked * 0.3 * 0.7))

    def test_a_fault_may_be_for_one_lane_alone(self):
        self.routes({"match": [{"headers": {"canarytag": {"exact": "feature-a"}}}],
                     "fault": {"abort": {"httpStatus": 503, "percentage": {"value": 100}}}, "route": [FEATURE_A]}, {"route": [BASELINE]})
        self.assertEqual(self.ask(CART + "/", {"canarytag": "feature-a"}).status, 503)
        self.assert_version(self.ask(CART + "/"), "baseline")

    def test_a_mirror_gets_a_copy(self):
        self.routes({"mirror": {"host": "audit"}, "route": [BASELINE]})
        path = f"/status/{200 + Routing.marks % 90}"
        before = self.counts("audit-baseline", path)
        for _ in range(20):
            self.assertNotEqual(self.ask(CART + path).json["service"], "audit")
        self.eventually(lambda: self.counts("audit-baseline", path) - before == 20, 20, "20 copies")

    def test_a_mirror_gets_its_share(self):
        self.routes({"mirrors": [{"destination": {"host": "audit"}, "percentage": {"value": 25}}], "route": [BASELINE]})
        before = self.counts("audit-baseline", "/")
        client = case.demo_mesh.Client(self.mesh.instance("client.fe-pre").address, 15001)
        asked = 400
        for _ in range(asked):
            client.request(CART + "/", "cart:8080")
        client.close()
        # Copies are sent beside, not before: all are there when for a while no more come.
        seen, since = before, time.monotonic()
        while time.monotonic() < since + 1:
            now = self.counts("audit-baseline", "/")
            seen, since = now, since if now == seen else time.monotonic()
            time.sleep(0.05)
        self.assertLess(abs(seen - before - asked * 0.25), 5 * math.sqrt(asked * 0.25 * 0.75))

    def test_a_redirect_says_where_to_go(self):
        self.routes({"match": [{"uri": {"prefix": "/old"}}],
                     "redirect": {"uri": "/new", "authority": "shop.example", "redirectCode": 307}}, {"route": [BASELINE]})
        answer = self.ask(CART + "/old/x")
        self.assertEqual((answer.status, answer.headers["location"]), (307, "http://shop.example/new"))

    def test_a_rewrite_changes_what_the_service_sees(self):
        self.routes({"match": [{"uri": {"prefix": "/api/"}}], "rewrite": {"uri": "/echo", "authority": "inner.example"}, "route": [BASELINE]},
                    {"match": [{"uri": {"prefix": "/v1/"}}],
                     "rewrite": {"uriRegexRewrite": {"match": "^/v1/([^/?]+)(.*)$", "rewrite": "/echo?was=\\1"}}, "route": [BASELINE]},
                    {"route": [BASELINE]})
        plain = self.ask(CART + "/api/?a=1").json
        self.assertEqual((plain["target"], plain["headers"]["host"]), ("/echo?a=1", "inner.example"))
        self.assertEqual(self.ask(CART + "/v1/items").json["target"], "/echo?was=items")

    def test_a_direct_response_needs_no_service(self):
        self.routes({"directResponse": {"status": 503, "body": {"string": "closed for stocktaking"}}})
        answer = self.ask(CART + "/")
        self.assertEqual((answer.status, answer.body), (503, b"closed for stocktaking"))

    def test_headers_are_set_added_and_removed_both_ways(self):
        self.routes({"headers": {"request": {"set": {"x-lane": "set"}, "add": {"x-more": "added"}, "remove": ["x-secret"]},
                                 "response": {"set": {"x-served-by": "cart"}, "remove": ["content-type"]}}, "route": [BASELINE]})
        answer = self.ask(CART + "/echo", {"x-lane": "asked", "x-secret": "1", "x-more": "own"})
        seen = answer.json["headers"]
        self.assertEqual(seen["x-lane"], "set")
        self.assertNotIn("x-secret", seen)
        self.assertIn("added", seen["x-more"])
        self.assertEqual(answer.headers["x-served-by"], "cart")
        self.assertNotIn("content-type", answer.headers)

    def test_cors_answers_for_the_service(self):
        self.routes({"corsPolicy": {"allowOrigins": [{"exact": "https://shop.example"}], "allowMethods": ["GET", "PUT"],
                                    "allowHeaders": ["canarytag"], "maxAge": "1h", "allowCredentials": True}, "route": [BASELINE]})
        preflight = self.ask(CART + "/", {"origin": "https://shop.example", "access-control-request-method": "PUT"}, method="OPTIONS")
        self.assertEqual(preflight.status, 200)
        self.assertEqual(preflight.headers["access-control-allow-origin"], "https://shop.example")
        self.assertEqual(preflight.headers["access-control-allow-methods"], "GET,PUT")
        self.assertEqual(preflight.headers["access-control-max-age"], "3600")
        real = self.ask(CART + "/", {"origin": "https://shop.example"})
        self.assertEqual(real.headers.get("access-control-allow-origin"), "https://shop.example")
        self.assertNotIn("access-control-allow-origin", self.ask(CART + "/", {"origin": "https://evil.example"}).headers)

    def test_a_destination_that_does_not_exist_is_a_503_not_a_hang(self):
        self.routes({"match": [{"uri": {"prefix": "/none"}}], "route": [{"destination": {"host": "cart", "subset": "nowhere"}}]},
                    {"match": [{"uri": {"prefix": "/gone"}}], "route": [{"destination": {"host": "nobody"}}]},
                    {"route": [BASELINE]})
        for path in ("/none", "/gone"):
            answer = self.ask(CART + path)
            self.assertEqual(answer.status, 503, path)
        self.assert_version(self.ask(CART + "/"), "baseline")

    def test_consistent_hashing_keeps_a_user_with_an_instance(self):
        self.change("rules.yaml", case.rule("cart", "baseline", "feature-a",
                                            policy={"loadBalancer": {"consistentHash": {"httpHeaderName": "x-user"}}}))
        self.routes({"route": [{"destination": {"host": "cart"}}]})
        seen = {}
        for user in range(30):
            seen[user] = {self.ask(CART + "/", {"x-user": f"user-{user}"}).json["instance"] for _ in range(3)}
        self.assertTrue(all(len(instances) == 1 for instances in seen.values()), seen)
        self.assertEqual(len({next(iter(instances)) for instances in seen.values()}), 2, "and both have users")

    def test_the_access_log_names_the_objects_that_decided(self):
        self.ask(CART + "/?who-decided", {"canarytag": "feature-a"})

        def logged():
            text = self.log.read_text() if self.log.exists() else ""
            lines = text.rpartition("\n")[0].splitlines()  # the last may be half written
            return [entry for entry in map(json.loads, lines) if entry["path"] == "/?who-decided"]

        self.eventually(logged, 30, "Envoy writes its log every ten seconds")
        networking = "/apis/networking.istio.io/v1/namespaces/fe-pre"
        self.assertEqual([(entry["rule"], entry["policy"], entry["response_code"]) for entry in logged()],
                         [(f"{networking}/virtual-service/cart", f"{networking}/destination-rule/cart", 200)])

    def test_zz_envoy_refused_nothing_of_all_this(self):
        self.mesh.settled()
        self.assertEqual(self.mesh.rejections(), {})


if __name__ == "__main__":
    case.skip_without_envoy()
    unittest.main(verbosity=2)
