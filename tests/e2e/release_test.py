#!/usr/bin/env python3
"""The release platform before real Envoys: release after release under steady load, while instances
die, sidecars restart and graymeshd is killed. No request fails, and every answer comes from the
version that it must come from.

GRAYMESH_RELEASES=N sets how many releases in a row (default 30), GRAYMESH_SEED=N replays a run.
"""

import collections
import os
import random
import signal
import time
import unittest

import case
from platform_mesh import ApiError
from release_case import ReleaseCase, application, envoy_of, kill, processes_of, versions


class Releases(ReleaseCase):
    def test_release_after_release_under_load_while_everything_dies(self):
        releases = int(os.environ.get("GRAYMESH_RELEASES", "30"))
        seed = int(os.environ.get("GRAYMESH_SEED", str(random.randrange(10**6))))
        chance = random.Random(seed)
        mesh = self.start(application("web", calls="cart", host="shop.example"), application("cart"))
        mesh.start_release("fe-pre", "web", "kept")
        baseline = {"web": "v0", "cart": "v0"}
        plain, kept = self.load(mesh, chain=["web", "cart"]), self.load(mesh, "kept", chain=["web", "cart"])
        for load in (plain, kept):
            load.allow("web", "kept" if load is kept else "v0")
            load.allow("cart", "v0")
            load.stream.thread.start()
        faults = collections.Counter()
        kills = promoted = back = 0
        receipts = []
        for number in range(1, releases + 1):
            name, tag = chance.choice(("web", "cart")), f"r{number}"
            with self.subTest(seed=seed, number=number):
                release = self.patiently(mesh, lambda: mesh.start_release("fe-pre", name, tag))
                self.assertEqual(release["phase"], "gray", release)
                answer = mesh.get("pre.shop.example", headers={"canarytag": tag})
                self.assertEqual(versions(answer), {**baseline, name: tag}, answer)
                fault = self.strike(mesh, chance) if chance.random() < 0.5 else None
                if fault:
                    faults[fault["how"]] += 1
                    kept.allow("web", "kept", *([baseline["web"]] if fault["lane"] == "kept" else []))
                    # Half of them are still down while the release goes on.
                    if fault["lane"] == "kept" or chance.random() < 0.5:
                        self.wait_recovered(mesh, fault, kept)
                        kept.allow("web", "kept")
                if chance.random() < 0.2:
                    mesh.kill_control_plane()
                    mesh.start_control_plane()
                    kills += 1
                if chance.random() < 0.4:
                    both = (baseline[name], tag)
                    for load in (plain, kept):
                        if load is plain or name == "cart":
                            load.allow(name, *both)
                    release = self.patiently(mesh, lambda: mesh.act(release["id"], "promote"))
                    self.assertEqual(release["phase"], "promoted", release)
                    baseline[name] = tag
                    for load in (plain, kept):
                        if load is plain or name == "cart":
                            load.allow(name, tag)
                    promoted += 1
                else:
                    release = self.patiently(mesh, lambda: mesh.act(release["id"], "rollback", "a test"))
                    self.assertEqual(release["phase"], "rolled-back", release)
                    receipts.append(release["receipts"]["rollback"])
                    self.assertEqual(receipts[-1]["missing"], [])
                    self.assertEqual(receipts[-1]["acked"], receipts[-1]["proxies"])
                    back += 1
        self.wait_all_ready(mesh)
        inbound = {}
        def everyone_passes_requests():
            inbound.update({i["name"]: mesh.inbound_requests(i["address"]) for i in mesh.instances_now()
                            if i["application"] != "gateway"})
            return all(inbound.values())
        case.wait_until(everyone_passes_requests, 30, lambda: f"every sidecar has passed requests: {inbound}")
        total = self.assert_clean((plain, kept))
        last = sorted(receipt["last_ms"] for receipt in receipts)
        print(f"\n{releases} releases (seed {seed}): {promoted} promoted, {back} rolled back; struck: "
              f"{dict(sorted(faults.items()))}, graymeshd {kills}; {total} requests, 0 failed, 0 in a wrong version; "
              f"rollback reached the last proxy after {last[len(last) // 2]:.1f} ms (median), {last[-1]:.1f} ms at most")

    def patiently(self, mesh, ask):
        """Again if graymeshd was just killed; a plan may also have to wait for what runs still."""
        deadline = time.monotonic() + 60
        while True:
            try:
                return ask()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def strike(self, mesh, chance):
        """Something happens to one instance whose work another can do: one of two of a baseline, or a
        gray one. None if there is no such instance now. Never the gateway's: its clients are not ours.

        application   SIGKILL
        envoy         SIGKILL; `graymesh sidecar run` starts another
        sidecar       SIGKILL for `graymesh sidecar run`, with which its Envoy goes; the keeper starts both
        restart       SIGTERM for `graymesh sidecar run`: it drains and ends in order, and is started again
        """
        self.wait_all_ready(mesh)
        instances = [i for i in mesh.instances_now() if i["application"] != "gateway" and i["phase"] == "ready"]
        siblings = collections.Counter(i["group"] for i in instances)
        spared = [i for i in instances if siblings[i["group"]] > 1 or i["tag"]]
        if not spared:
            return None
        victim, how = chance.choice(spared), chance.choice(("application", "envoy", "sidecar", "restart"))
        app, sidecar = processes_of(mesh, victim)
        envoy = envoy_of(sidecar)
        if how == "restart":
            os.kill(sidecar, signal.SIGTERM)
        else:
            kill({"application": app, "envoy": envoy, "sidecar": sidecar}[how])
        return {"how": how, "lane": victim["tag"], "victim": victim, "before": (app, sidecar, envoy)}

    def wait_all_ready(self, mesh):
        case.wait_until(lambda: all(i["phase"] == "ready" for i in mesh.instances_now()), 60,
                        lambda: f"all instances are ready again: {mesh.instances_now()}")

    def wait_recovered(self, mesh, fault, kept):
        """Until what was struck runs anew, and all are ready; `kept` has then met its lane again."""
        def runs_anew():
            app, sidecar = processes_of(mesh, fault["victim"])
            now = (app, sidecar, envoy_of(sidecar))
            return all(now) and now != fault["before"]
        case.wait_until(runs_anew, 60, lambda: f"{fault} runs anew")
        self.wait_all_ready(mesh)
        if fault["lane"] == "kept":
            seen = len(kept.stream.answers) + 1
            case.wait_until(lambda: any("web[kept]" in answer.path for _, answer in kept.stream.answers[seen:]), 30,
                            "the lane answers again")

    def test_the_last_instance_of_a_lane_dies_under_load(self):
        mesh = self.start(application("web", calls="cart", host="shop.example"), application("cart"))
        mesh.start_release("fe-pre", ["web", "cart"], "feature-a")
        loads = [self.load(mesh, "feature-a") for _ in range(4)]
        for load in loads:
            load.allow("web", "feature-a")
            load.allow("cart", "feature-a", "v0")
            load.stream.thread.start()

        answers = loads[-1].stream.answers

        def wait_met(version, after, what):
            """Until an answer behind the first `after` meets that version of cart; how many there were with it."""
            def met():
                return next((at + 1 for at in range(after, len(answers))
                             if versions(answers[at][1]).get("cart") == version), None)
            return case.wait_until(met, 30, lambda: f"{what}: {[answer for _, answer in answers[-3:]]}")
        wait_met("feature-a", 0, "the lane answers")
        for _ in range(3):
            victim = next(i for i in mesh.instances_now() if i["application"] == "cart" and i["tag"] == "feature-a")
            seen = len(answers)
            self.assertTrue(kill(processes_of(mesh, victim)[0]))
            seen = wait_met("v0", seen, "the baseline answers")
            wait_met("feature-a", seen, "the lane answers again")
        self.assert_clean(loads, least=100)

    def test_many_lanes_side_by_side_each_fall_back_where_they_should(self):
        mesh = self.start(application("web", calls="cart", host="shop.example", replicas=1),
                          application("cart", calls="pay", replicas=1), application("pay", replicas=1))
        members = {f"lane-{n}": [name for bit, name in enumerate(("web", "cart", "pay")) if n >> bit & 1]
                   for n in range(1, 8)}
        for lane, applications in members.items():
            mesh.start_release("fe-pre", applications, lane)
        for lane, applications in members.items():
            for how in ({"headers": {"canarytag": lane}}, {"path": f"/?canarytag={lane}"},
                        {"headers": {"cookie": f"a=b; canarytag={lane}; c=d"}},
                        {"headers": {"baggage": f"x=y,canarytag={lane}"}}):
                answer = mesh.get("pre.shop.example", **how)
                wanted = {name: lane if name in applications else "v0" for name in ("web", "cart", "pay")}
                self.assertEqual(versions(answer), wanted, f"{how} {answer}")
        linked = mesh.get("pre.shop.example", "/?canarytag=lane-2")
        self.assertIn("canarytag=lane-2; Path=/", linked.headers["set-cookie"])
        self.assertEqual(set(versions(mesh.get("pre.shop.example")).values()), {"v0"})

    def test_a_gray_instance_carries_its_lane_for_an_application_that_forgets_it(self):
        mesh = self.start(application("web", calls="cart", host="shop.example", replicas=1, forward="none"),
                          application("cart", replicas=1))
        mesh.start_release("fe-pre", ["web", "cart"], "feature-a")
        answer = mesh.get("pre.shop.example", headers={"canarytag": "feature-a"})
        self.assertEqual(versions(answer), {"web": "feature-a", "cart": "feature-a"})

    def test_a_user_stays_on_the_version_met_while_the_weight_grows(self):
        mesh = self.start(application("web", host="shop.example", replicas=1))
        release = mesh.start_release(
            "fe-pre", "web", "feature-a",
            "  steps: [{weight: 20, pause: {approval: true}}, {weight: 60, pause: {approval: true}}]\n")
        self.assertEqual(release["progress"]["waitsFor"], "approval of step 1 (weight 20)")

        def meet(cookie=None):
            answer = mesh.get("pre.shop.example", headers={"cookie": cookie} if cookie else None)
            return versions(answer)["web"], answer.headers.get("set-cookie", "").split(";")[0]
        users = [meet() for _ in range(300)]
        share = sum(version == "feature-a" for version, _ in users) / len(users)
        self.assertTrue(0.08 < share < 0.35, share)  # five standard deviations
        self.assertEqual([meet(cookie)[0] for _, cookie in users], [version for version, _ in users])
        mesh.act(release["id"], "approve")
        grown = [meet(cookie)[0] for _, cookie in users]
        for (version, _), now in zip(users, grown):
            self.assertTrue(now == "feature-a" or version != "feature-a", "a user left the gray version")
        self.assertGreater(grown.count("feature-a") / len(grown), share)

    def test_a_plan_that_cannot_hold_is_refused_with_its_reason(self):
        mesh = self.start(application("web", host="shop.example", replicas=1))
        mesh.start_release("fe-pre", "web", "a", "  steps: [{weight: 60}]\n")
        with self.assertRaises(ApiError) as refused:
            mesh.start_release("fe-pre", "web", "b", "  steps: [{weight: 50}]\n")
        self.assertIn("gray versions of fe-pre/web would get 110 % of its requests", str(refused.exception.problem))


if __name__ == "__main__":
    case.skip_without_envoy()
    unittest.main(verbosity=2)
