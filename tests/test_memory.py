"""Steps of training find their memory again."""

import os
import platform
import subprocess
import sys

import pytest

# Ten steps of a network whose graph holds 40 arrays of 1 MB.  In a process of its own: what was
# freed before, by other tests, is what the C library learns from.
STEPS = """
import resource
import numpy as np
import minigrad_ae as mg

rng = np.random.default_rng(0)
X = rng.normal(size=(1024, 256)).astype(np.float32)
W = mg.tensor(np.eye(256, dtype=np.float32), requires_grad=True)
OPTIMIZER = mg.optim.SGD([W], lr=1e-6)


def step():
    OPTIMIZER.zero_grad()
    h = mg.tensor(X)
    for _ in range(20):
        h = mg.tanh(h @ W)
    (h * h).mean().backward()
    OPTIMIZER.step()


def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


for _ in range(5):
    step()
before = faults()
for _ in range(10):
    step()
print((faults() - before) / 10)
"""


def page_faults(tmp_path, text):
    command = [sys.executable, "-c", text]
    settings = ("MALLOC_", "GLIBC_TUNABLES")  # with them the C library does not learn
    env = {name: value for name, value in os.environ.items() if not name.startswith(settings)}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, timeout=300, env=env
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout.splitlines()[-1])


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have other rules")
def test_a_step_brings_no_memory_in_anew(tmp_path):
    """A step writes some 20 MB, 5,000 pages; it may bring in 20.

    Without the large block that is freed it brings in thousands, unless the process had to
    compile its kernels: the compiler frees large blocks, too.
    """
    assert page_faults(tmp_path, STEPS) <= 20
