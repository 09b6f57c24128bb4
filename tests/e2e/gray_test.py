#!/usr/bin/env python3
"""What graymesh adds to lanes, through real Envoys: the baseline stands in for a lane that died, a
gray instance's sidecar names its lane, and a user stays on the version that a weight gave.

    client ── its sidecar ──> cart-baseline, cart-feature-a
    client ── its sidecar ──> web-feature-a (passes no headers on) ── its sidecar ──> cart
"""

import signal
import time
import unittest

import case

CLIENT = case.service("client", "10.96.1.1") + case.pod("client", "baseline", "127.1.2.1", injected=True) \
    .replace("name: client-baseline", "name: client")
RETRIES = {"attempts": 3, "retryOn": "connect-failure,refused-stream,reset", "backoff": "1ms"}
CART = "http://cart:8080/"
IN_A = {"canarytag": "feature-a"}


def annotated(text, annotation, value):
    return text.replace("metadata: {", f'metadata: {{annotations: {{{annotation}: "{value}"}}, ')


def cart_routes(retries=True):
    more = {"retries": RETRIES} if retries else {}
    return case.virtual_service("cart", [
        {"match": [{"headers": {"canarytag": {"exact": "feature-a"}}}],
         "route": [{"destination": {"host": "cart", "subset": "feature-a"}}], **more},
        {"route": [{"destination": {"host": "cart", "subset": "baseline"}}]}])


FALLBACK = annotated(case.rule("cart", "baseline", "feature-a"), "graymesh.io/fallback", "feature-a=baseline")
PODS = case.pod("cart", "baseline", "127.1.2.21") + case.pod("cart", "feature-a", "127.1.2.22")
# Neither passes on what it was given, and one of them is not to be stamped either.
DEAF = case.pod("web", "feature-a", "127.1.2.31", injected=True, calls=[CART]) \
    .replace('"--service"', '"--forward", "none", "--service"')
UNSTAMPED = case.pod("web", "feature-a", "127.1.2.32", injected=True, calls=[CART]) \
    .replace('"--service"', '"--forward", "none", "--service"').replace("name: web-feature-a", "name: web-unstamped") \
    .replace("annotations: {}", 'annotations: {"graymesh.io/lane-stamp": "false"}')


class LaneFallback(case.Case):
    files = {"client.yaml": CLIENT, "pods.yaml": PODS,
             "cart.yaml": case.service("cart", "10.96.1.2") + FALLBACK + cart_routes()}

    def kill(self, instance):
        instance.app.signal(signal.SIGKILL)
        instance.app.wait(10)

    def revive(self, instance):
        if not instance.app.running():
            self.mesh.start_app(instance)

    def test_the_baseline_answers_for_a_killed_lane_and_no_request_fails(self):
        lane = self.mesh.instance("cart-feature-a.fe-pre")
        self.addCleanup(self.revive, lane)
        loads = [case.Load(self.mesh, "client.fe-pre", CART, IN_A, pause=0.001) for _ in range(4)]
        for load in loads:
            load.__enter__()
            self.addCleanup(load.stop)
        for load in loads:
            load.wait_version("feature-a")
        for _ in range(3):
            killed = time.monotonic()
            self.kill(lane)
            met = max(load.wait_version("baseline") for load in loads)
            time.sleep(0.5)  # under load: the dead instance is tried again as its ejection ends
            self.assertFalse([answer for load in loads for at, answer in list(load.answers)
                              if at > met and answer.json.get("version") != "baseline"])
            time.sleep(3)
            self.revive(lane)
            alive = time.monotonic()
            back = max(load.wait_version("feature-a", 15) for load in loads)
            print(f"baseline answers after {(met - killed) * 1000:.0f} ms, the lane is back after {back - alive:.1f} s")
        for load in loads:
            load.stop()
        requests, failures = sum(len(load.answers) for load in loads), [f for load in loads for f in load.failures()]
        print(f"{len(failures)} of {requests} requests failed")
        self.assertEqual(failures, [])
        self.assertEqual(self.mesh.rejections(), {})

    def test_a_lane_without_instances_is_the_baseline_and_is_met_again_when_one_comes(self):
        with case.Load(self.mesh, "client.fe-pre", CART, IN_A) as load:
            load.wait_version("feature-a")
            for _ in range(3):
                self.change("pods.yaml", case.pod("cart", "baseline", "127.1.2.21"))
                load.wait_version("baseline")
                self.change("pods.yaml", PODS)
                load.wait_version("feature-a")
        self.assertEqual(load.failures(), [])
        self.assertEqual(self.mesh.rejections(), {})


class LaneStamp(case.Case):
    files = {"client.yaml": CLIENT, "pods.yaml": PODS + DEAF + UNSTAMPED,
             "web.yaml": case.service("web", "10.96.1.3"),
             "cart.yaml": case.service("cart", "10.96.1.2") + FALLBACK + cart_routes()}

    def way(self, by, headers=None):
        answer = self.mesh.get("web", headers=headers, to=by)
        self.assertEqual(answer.status, 200, answer)
        return answer.path

    def test_an_application_that_passes_no_header_on_stays_in_its_lane(self):
        self.mesh.settled()
        self.assertEqual(self.way("web-feature-a.fe-pre"), "web[feature-a] > cart[feature-a]")

    def test_the_pod_may_say_no(self):
        self.mesh.settled()
        self.assertEqual(self.way("web-unstamped.fe-pre"), "web[feature-a] > cart[baseline]")

    def test_a_lane_that_is_named_is_not_stamped_over(self):
        self.mesh.settled()
        echo = self.ask("http://cart:8080/echo", {"canarytag": "other"}, by="web-feature-a")
        self.assertEqual((echo.json["version"], echo.json["headers"]["canarytag"]), ("baseline", "other"))
        echo = self.ask("http://cart:8080/echo", by="web-feature-a")
        self.assertEqual((echo.json["version"], echo.json["headers"]["canarytag"]), ("feature-a", "feature-a"))


def weights(gray, sticky, mark="/mark"):
    """`mark` is answered 299 by these and no others."""
    return annotated(case.virtual_service("cart", [
        {"match": [{"uri": {"exact": mark}}], "directResponse": {"status": 299}},
        {"route": [{"destination": {"host": "cart", "subset": "feature-a"}, "weight": gray},
                   {"destination": {"host": "cart", "subset": "baseline"}, "weight": 100 - gray}]}]),
        "graymesh.io/sticky", sticky)


class StickyWeights(case.Case):
    """The gray is written first: it is what grows."""

    REST = case.service("cart", "10.96.1.2") + case.rule("cart", "baseline", "feature-a")
    files = {"client.yaml": CLIENT, "pods.yaml": PODS, "cart.yaml": REST + weights(1, "header=x-user")}
    marks = 0

    def weigh(self, gray, sticky):
        """Writes the weights, and waits until the sidecar goes by them."""
        StickyWeights.marks += 1
        mark = f"/mark-{self.marks}"
        self.change("cart.yaml", self.REST + weights(gray, sticky, mark))
        self.eventually(lambda: self.ask(f"http://cart:8080{mark}").status == 299, 15, "the new weights")
        self.mesh.settled()

    def gray_of(self, users, ask):
        return {user for user in users if ask(user).json.get("version") == "feature-a"}

    def test_whoever_is_in_the_gray_by_a_header_stays_there_while_it_grows(self):
        client = case.demo_mesh.Client(self.mesh.instance("client.fe-pre").address, 15001)
        users = [f"user-{i}" for i in range(1000)]
        gray = {}
        for share in (10, 50, 90):
            self.weigh(share, "header=x-user")
            gray[share] = self.gray_of(users, lambda user: client.request(CART, "cart:8080", {"x-user": user}))
            again = self.gray_of(users[:100], lambda user: client.request(CART, "cart:8080", {"x-user": user}))
            self.assertEqual(again, gray[share] & set(users[:100]), "the same users as before")
            self.assertAlmostEqual(len(gray[share]), share * 10, delta=60)
        client.close()
        self.assertLessEqual(gray[10], gray[50])
        self.assertLessEqual(gray[50], gray[90])
        print({share: len(found) for share, found in gray.items()})

    def test_envoy_gives_a_user_a_cookie_that_keeps_the_version_first_met(self):
        self.weigh(50, "cookie=user; ttl=1h; path=/")
        client = case.demo_mesh.Client(self.mesh.instance("client.fe-pre").address, 15001)
        self.addCleanup(client.close)
        met = {"feature-a": [], "baseline": []}
        moved = 0
        for _ in range(200):
            first = client.request(CART, "cart:8080")
            cookie = first.headers["set-cookie"].split(";")[0]
            self.assertTrue(cookie.startswith("user="), first.headers)
            version = first.json["version"]
            for _ in range(2):
                moved += client.request(CART, "cart:8080", {"cookie": cookie}).json["version"] != version
            met[version].append(cookie)
        self.assertEqual(moved, 0, "answers of another version than the first")
        self.assertAlmostEqual(len(met["feature-a"]), 100, delta=40)
        self.weigh(80, "cookie=user; ttl=1h; path=/")
        for cookie in met["feature-a"]:
            self.assert_version(client.request(CART, "cart:8080", {"cookie": cookie}), "feature-a")


if __name__ == "__main__":
    case.skip_without_envoy()
    unittest.main(verbosity=2)
