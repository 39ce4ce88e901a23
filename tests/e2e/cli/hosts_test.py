"""hosts_test.py - `heddle run --hostfile` over two hosts: network namespaces joined by a bridge, which only root may make.

Nothing in Heddle knows that these are no real hosts: Open MPI is told by its own environment variables which agent stands for ssh
(agent.sh) and which network to use.
"""
import json
import os
import shutil
import subprocess
import unittest

import harness
from harness import folder, heddle, tiny


class Hosts(unittest.TestCase):
    def setUp(self):
        if os.geteuid() != 0 or not shutil.which("ip"):
            self.skipTest("network namespaces need root and the ip command")
        mark = f"{os.getpid() % 100000:05d}"
        self.bridge = "hb" + mark
        self.names = [f"hd{mark}a", f"hd{mark}b"]
        self.network = f"10.77.{os.getpid() % 250}"
        self.addCleanup(self.remove)

        def ip(*words):
            run = subprocess.run(["ip", *words], capture_output=True, text=True)
            if run.returncode:
                self.skipTest(f"network namespaces are not allowed here: ip {' '.join(words)}: {run.stderr.strip()}")

        ip("link", "add", self.bridge, "type", "bridge")
        ip("link", "set", self.bridge, "up")
        for i, name in enumerate(self.names, 1):
            outer, inner = f"{self.bridge}{i}"[:15], "eth0"
            ip("netns", "add", name)
            ip("link", "add", outer, "type", "veth", "peer", "name", inner, "netns", name)
            ip("link", "set", outer, "master", self.bridge, "up")
            ip("-n", name, "addr", "add", f"{self.network}.{i}/24", "dev", inner)
            ip("-n", name, "link", "set", inner, "up")
            ip("-n", name, "link", "set", "lo", "up")

    def remove(self):
        for name in self.names:
            pids = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True).stdout.split()
            for pid in pids:
                subprocess.run(["kill", "-9", pid], capture_output=True)
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
        subprocess.run(["ip", "link", "del", self.bridge], capture_output=True)

    def on_first_host(self, *arguments, extra=None):
        """A heddle command typed on the first host."""
        environment = dict(
            os.environ, HEDDLE_TEST_NAMESPACES=" ".join(f"{self.network}.{i}={name}" for i, name in enumerate(self.names, 1)),
            OMPI_MCA_plm_rsh_agent=os.path.join(harness.HERE, "agent.sh"), OMPI_MCA_btl_tcp_if_include=f"{self.network}.0/24",
            OMPI_MCA_oob_tcp_if_include=f"{self.network}.0/24", OMPI_MCA_rmaps_base_mapping_policy="node", **(extra or {}))
        words = ["ip", "netns", "exec", self.names[0], "unshare", "-u", "sh", "-c", f'hostname {self.names[0]}; exec "$@"', "sh",
                 harness.HEDDLE, *[str(a) for a in arguments]]
        return subprocess.run(words, env=environment, capture_output=True, timeout=120, stdin=subprocess.DEVNULL)

    def test_the_same_tokens_as_on_one_host(self):
        place = folder()
        plan = os.path.join(place, "tiny.plan")
        heddle("compile", tiny(os.path.join(place, "tiny.gguf"), weights="q4_0", heads=6, kv_heads=2, width=96, layers=3), "-o", plan)
        hostfile = os.path.join(place, "hosts")
        with open(hostfile, "w", encoding="utf8") as file:
            for i in (1, 2):
                file.write(f"{self.network}.{i} slots=2\n")
        request = ["-p", "The wheel turned over in the black water", "--raw", "-n", 30, "--json", "--logprobs", 2]
        expected = json.loads(heddle("run", plan, *request))["tokens"]
        for ranks in (2, 3):
            run = self.on_first_host("run", plan, *request, "--hostfile", hostfile, "--ranks", ranks, "--threads", 1, "--verbose")
            error = run.stderr.decode(errors="replace")
            self.assertEqual(run.returncode, 0, error[-3000:])
            self.assertEqual(json.loads(run.stdout)["tokens"], expected)

        # The ranks were on both: without the plan there, the second host is named.
        run = self.on_first_host("run", plan, *request, "--hostfile", hostfile, "--ranks", 2, "--threads", 1,
                                 extra={"HEDDLE_TEST_HIDE": plan, "HEDDLE_TEST_HIDE_ON": self.names[1]})
        lines = harness.complaint(run)
        self.assertEqual(run.returncode, 1, lines)
        self.assertEqual(len(lines), 1, lines)
        self.assertIn(self.names[1], lines[0])
        for name in self.names:
            left = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True).stdout.split()
            self.assertEqual(harness.alive(left), [])


if __name__ == "__main__":
    harness.main()
