#!/usr/bin/env python3
"""How many workers the sidecars of instances have: what --concurrency says, else the MeshConfig."""

import json
import os
import pathlib
import tempfile
import unittest

import case
from platform_mesh import PlatformMesh

MESH_CONFIG = "proxyHttpPort: 15001\n"


class OnlyTheMeshConfig(PlatformMesh):
    def control_plane_arguments(self):
        words = super().control_plane_arguments()
        at = words.index("--concurrency")
        return words[:at] + words[at + 2:]


class Concurrency(unittest.TestCase):
    def workers(self, mesh_type, more):
        """Of each sidecar, by what its Envoy says of itself."""
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as mesh_config:
            mesh_config.write(MESH_CONFIG + more)
            mesh_config.flush()
            with mesh_type(mesh_config=pathlib.Path(mesh_config.name)) as mesh:
                infos = [json.loads(mesh.admin_at(instance["address"], "/server_info").body)
                         for instance in mesh.instances_now()]
                return {info["command_line_options"]["concurrency"] for info in infos}

    def test_the_mesh_config_says_it_where_no_flag_does(self):
        self.assertEqual(self.workers(OnlyTheMeshConfig, "defaultConfig: {concurrency: 3}\n"), {3})

    def test_zero_is_one_for_each_core(self):
        cores = os.cpu_count()
        self.assertEqual(self.workers(OnlyTheMeshConfig, "defaultConfig: {concurrency: 0}\n"), {min(cores, 64)})

    def test_it_is_one_where_nobody_says_anything(self):
        self.assertEqual(self.workers(OnlyTheMeshConfig, ""), {1})

    def test_the_flag_leads(self):
        self.assertEqual(self.workers(PlatformMesh, "defaultConfig: {concurrency: 3}\n"), {1})


if __name__ == "__main__":
    case.skip_without_envoy()
    unittest.main(verbosity=2)
