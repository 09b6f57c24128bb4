#!/usr/bin/env python3
"""Many lanes over a chain of applications at once, through real Envoys: a0 calls a1 calls a2 ..., and
each lane has gray versions of a few of them. Every hop of every request meets the lane's version where
there is one and the baseline where there is none, while other lanes come, go, and lose instances.

GRAYMESH_LANES=N and GRAYMESH_APPLICATIONS=N set how many (8 and 6; 50 and 20 are some 170 Envoys, 7 GB
of memory and many minutes), GRAYMESH_SEED=N replays a run.
"""

import concurrent.futures
import os
import pathlib
import random
import time
import unittest

import case
from release_case import ReleaseCase, application, envoy_of, kill, processes_of

HOST = "shop.example"
# Of all clients together: each costs some milliseconds of CPU, and Envoys must also take configurations.
HOPS_PER_SECOND = 500


def memory_mb(pid):
    """Proportional share of memory: pages that Envoys share are counted once."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return case.first_number(text, r"^Pss: +(\d+) kB") / 1024


class ManyLanes(ReleaseCase):
    def setUp(self):
        self.seed = int(os.environ.get("GRAYMESH_SEED", str(random.randrange(10**6))))
        self.chance = random.Random(self.seed)
        count = int(os.environ.get("GRAYMESH_APPLICATIONS", "6"))
        self.count = int(os.environ.get("GRAYMESH_LANES", "8"))
        self.pause = self.count * count / HOPS_PER_SECOND
        self.chain = [f"a{n}" for n in range(count)]
        following = dict(zip(self.chain, self.chain[1:]))
        self.mesh = self.start(*(application(name, calls=following.get(name), replicas=1,
                                             host=HOST if name == self.chain[0] else None)
                                 for name in self.chain))
        self.lanes = {}  # tag -> {"release", "load", "members"}
        self.plain = self.load(self.mesh, chain=self.chain, pause=self.pause)
        self.allow(self.plain)
        self.plain.stream.thread.start()
        self.past = []  # loads of lanes that are gone
        self.withdrawn_ms = []  # until the last proxy's ACK

    def allow(self, load, lane=(), *, both=False):
        """From now on `load` meets the lane's version of the applications in `lane`; `both`: or the baseline."""
        for name in self.chain:
            load.allow(name, *([load.lane] if name in lane else []), *(["v0"] if both or name not in lane else []))

    def open_lane(self, tag):
        members = self.chance.sample(self.chain, min(self.chance.choice((2, 3, 4)), len(self.chain)))
        load = self.load(self.mesh, tag, chain=self.chain, pause=self.pause)
        self.allow(load, members, both=True)
        load.stream.thread.start()
        self.lanes[tag] = {"load": load, "members": members}
        return tag

    def start_lane(self, tag):
        lane = self.lanes[tag]
        release = self.finished(self.mesh.start_release("fe-pre", lane["members"], tag, wait=1), "gray")
        lane["release"] = release["id"]
        self.allow(lane["load"], lane["members"])

    def close_lane(self, tag):
        lane = self.lanes.pop(tag)
        self.allow(lane["load"], lane["members"], both=True)
        release = self.finished(self.mesh.act(lane["release"], "rollback", "the test", wait=1), "rolled-back")
        self.assertEqual(release["receipts"]["rollback"]["missing"], [])
        self.withdrawn_ms.append(release["receipts"]["rollback"]["last_ms"])
        self.allow(lane["load"])
        self.past.append(lane["load"])

    def finished(self, release, phase):
        """The release once it has that phase: minutes on a machine where 170 Envoys share two cores."""
        def look():
            return now if (now := self.mesh.release(release["id"]))["phase"] == phase else None
        return case.wait_until(look, 900, lambda: f"release {release['tag']} is {phase}: {look() or 'not yet'}", 0.2)

    def each(self, do, tags):
        """Some at a time, as people do; the first error is raised."""
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(do, tag) for tag in tags]:
                done.result()

    def way(self, members, tag):
        return " > ".join(f"{name}[{tag if name in members else 'v0'}]" for name in self.chain)

    def ask_every_lane(self):
        for tag, lane in self.lanes.items():
            answer = self.mesh.get(HOST, headers={"canarytag": tag})
            self.assertEqual((answer.status, answer.path), (200, self.way(lane["members"], tag)))
        answer = self.mesh.get(HOST)
        self.assertEqual((answer.status, answer.path), (200, self.way((), "")))

    def wait_met(self, load, name, version, *, meanwhile=lambda: None):
        """Until an answer that was sent from now on meets `version` of the application; `meanwhile` is done
        before each look."""
        seen = len(load.stream.answers) + 1

        def met():
            meanwhile()
            return any(f"{name}[{version}]" in answer.path for _, answer in load.stream.answers[seen:])
        case.wait_until(met, 120, f"lane {load.lane} meets {name}[{version}]")

    def lose_the_last_instance(self, tag):
        """SIGKILL for it, while two clients of the lane ask without a pause. Its keeper starts it again after
        0.1 s, which may be before the caller's proxy has heard that it is gone: it is killed for as long as
        nobody has met the baseline."""
        lane = self.lanes[tag]
        name = self.chance.choice(lane["members"])
        victim = next(i for i in self.mesh.instances_now() if i["application"] == name and i["tag"] == tag)
        busy = [self.load(self.mesh, tag, chain=self.chain, pause=0) for _ in range(2)]
        for load in (lane["load"], *busy):
            self.allow(load, lane["members"])
            load.allow(name, tag, "v0")
        for load in busy:
            load.stream.thread.start()
        self.wait_met(busy[0], name, tag)
        self.wait_met(busy[0], name, "v0", meanwhile=lambda: kill(processes_of(self.mesh, victim)[0]))
        self.wait_met(busy[0], name, tag)
        for load in busy:
            load.stream.stop()
        self.past += busy

    def test_no_lane_disturbs_another(self):
        count = self.count
        with self.subTest(seed=self.seed):
            begun = time.monotonic()
            self.each(self.start_lane, [self.open_lane(f"lane-{n}") for n in range(count)])
            up = time.monotonic() - begun
            self.ask_every_lane()

            # A quarter goes and as many come, at the same time.
            going = self.chance.sample(sorted(self.lanes), max(1, count // 4))
            coming = [self.open_lane(f"late-{n}") for n in range(len(going))]
            self.each(lambda tag: self.close_lane(tag) if tag in going else self.start_lane(tag),
                      [tag for pair in zip(going, coming) for tag in pair])
            self.ask_every_lane()

            dying = self.chance.sample(sorted(self.lanes), max(2, count // 10))
            for tag in dying:
                self.lose_the_last_instance(tag)

            envoys = [memory_mb(envoy_of(processes_of(self.mesh, instance)[1])) for instance in self.mesh.instances_now()]
            loads = [self.plain, *self.past, *(lane["load"] for lane in self.lanes.values())]
            total = self.assert_clean(loads, least=200)
            for load in loads:
                self.assertGreater(len(load.stream.answers), 5, f"lane {load.lane}")
            print(f"\n{count} lanes over {len(self.chain)} applications (seed {self.seed}): {len(envoys)} Envoys, "
                  f"{sum(envoys) / len(envoys):.0f} MB each; lanes up after {up:.0f} s, {len(going)} gone and as many "
                  f"come, {len(dying)} lost their last instance of an application; {total} requests of "
                  f"{len(self.chain)} hops, 0 failed, 0 in a wrong version; a lane was withdrawn at the last proxy "
                  f"after {sorted(self.withdrawn_ms)[len(going) // 2]:.0f} ms (median)")


if __name__ == "__main__":
    case.skip_without_envoy()
    unittest.main(verbosity=2)
