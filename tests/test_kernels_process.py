"""What needs a process of its own: lazy import, caches, fork, threads, the JIT switched off, Numba
missing.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(code, check=True, cwd=ROOT, **env):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA", "MINIGRAD"))}
    environment |= {"PYTHONPATH": str(cwd), "PYTHONWARNINGS": "default"} | env
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0 or not check, done.stderr
    return done


def test_importing_the_package_does_not_import_numba():
    run("""
import sys, minigrad_ae.kernels as kernels
assert kernels.use and kernels.set_num_threads(1) is None and "numba" not in sys.modules
kernels.relu
assert "numba" in sys.modules
""")


def test_compiling_is_announced_once_and_not_when_the_cache_answers(tmp_path):
    code = """
import numpy as np, minigrad_ae.kernels as k
x = np.ones(3, np.float32)
k.exp(x), k.relu(x), print(k.info()["cache"])
"""
    first, second = (run(code, NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2))
    assert first.stderr.count("compiling kernels (once)...") == 1
    assert second.stderr.count("compiling") == 0
    assert first.stdout.startswith(str(tmp_path))


def test_the_users_own_numba_code_compiles_whatever_its_module(tmp_path):
    run(
        """
import sys, numba, numpy as np, minigrad_ae as mg
from types import SimpleNamespace
from numba.core import event
mg.kernels.exp(np.ones(3))
slp, stderr, sys.stderr = numba.config.SLP_VECTORIZE, sys.stderr, None
space = {}
exec("def f(x): return x + 1", space)  # __module__ is None
assert numba.njit(space["f"])(1) == 2
odd = [SimpleNamespace(py_func=len), SimpleNamespace(py_func=SimpleNamespace(__module__=7)), None]
for data in (None, {}, *({"dispatcher": dispatcher} for dispatcher in odd)):
    event.start_event("numba:compile", data), event.end_event("numba:compile", data)
assert numba.config.SLP_VECTORIZE == slp
mg.kernels.sigmoid(np.ones(3))
sys.stderr = stderr
""",
        NUMBA_CACHE_DIR=str(tmp_path),
    )


def test_a_changed_helper_in_another_file_makes_the_cache_stale(tmp_path):
    import shutil

    shutil.copytree(
        ROOT / "minigrad_ae", tmp_path / "minigrad_ae", ignore=shutil.ignore_patterns("__pycache__")
    )
    code = "import numpy as np, minigrad_ae.kernels as k; print(float(k.exp(np.zeros(1))[0]))"
    assert float(run(code, cwd=tmp_path).stdout) == 1
    scalar = tmp_path / "minigrad_ae" / "kernels" / "scalar.py"
    scalar.write_text(
        scalar.read_text(encoding="utf-8").replace(
            "return p * power_of_two(half, n)", "return 2 * p * power_of_two(half, n)"
        ),
        encoding="utf-8",
    )
    assert float(run(code, cwd=tmp_path).stdout) == 2


def test_this_numba_has_what_the_cache_needs():
    """If this fails, kernels are compiled in every process: see CACHE_FILE in kernels/jit.py."""
    from minigrad_ae.kernels import loops
    from minigrad_ae.kernels.jit import CACHE_FILE

    cache_file = loops.exp._cache._cache_file
    assert [name for name in CACHE_FILE if not hasattr(cache_file, name)] == []


def test_a_numba_whose_cache_cannot_be_dated_does_not_cache(tmp_path):
    """It would serve stale kernels; here its cache file calls the stamp by another name."""
    code = """
import numba.core.caching as caching
class Renamed(caching.IndexDataCacheFile):
    def __init__(self, cache_path, filename_base, source_stamp):
        super().__init__(cache_path, filename_base, source_stamp)
        self.__dict__["_stamp"] = self.__dict__.pop("_source_stamp")
caching.IndexDataCacheFile = Renamed
import numpy as np, minigrad_ae.kernels as k
assert k.relu(np.ones(3))[0] == 1 and k.info()["cache"] is None
"""
    run(code, NUMBA_CACHE_DIR=str(tmp_path))
    assert list(tmp_path.rglob("*.nb?")) == []


def test_without_a_place_to_cache_kernels_still_run(tmp_path):
    run("""
import numba.core.caching as caching
def nowhere(*args): raise RuntimeError("cannot cache function: no locator available for file")
caching.FunctionCache.__init__ = nowhere
import numpy as np, minigrad_ae.kernels as k
assert k.relu(np.ones(3))[0] == 1 and k.info()["cache"] is None
""")


def test_fork_after_a_threaded_kernel_and_calls_from_several_threads():
    run(
        """
import os, threading, numpy as np, minigrad_ae.kernels as k
k.set_num_threads(2)
a = np.random.default_rng(0).random((300, 300), np.float32)
expected = k.matmul(a, a).tobytes()
pid = os.fork()
if pid == 0:
    os._exit(0 if k.matmul(a, a).tobytes() == expected else 1)
assert os.waitpid(pid, 0)[1] == 0
wrong = []
def work():
    for _ in range(20):
        if k.matmul(a, a).tobytes() != expected: wrong.append(1)
threads = [threading.Thread(target=work) for _ in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
assert not wrong
""",
        PYTHONWARNINGS="ignore",
    )


def test_a_process_pool_after_a_threaded_kernel():
    run(
        """
import multiprocessing as mp, numpy as np, minigrad_ae.kernels as k
a = np.random.default_rng(0).random((300, 300), np.float32)
def total(_): return float(k.matmul(a, a).sum())
if __name__ == "__main__":
    k.set_num_threads(2); one = total(0)
    with mp.get_context("fork").Pool(2) as pool: assert pool.map(total, range(4)) == [one] * 4
""",
        PYTHONWARNINGS="ignore",
    )


REDUCED = """
import numpy as np, minigrad_ae.kernels as k
rng = np.random.default_rng(0)
for dtype in (np.float32, np.float64):
    near = dict(rtol=64 * np.finfo(dtype).eps, atol=64 * np.finfo(dtype).eps)
    x, g = (rng.standard_normal((6, 7)).astype(dtype) for _ in range(2))
    w = rng.standard_normal(7).astype(dtype)
    for name in "exp tanh sigmoid relu softplus erf gelu softmax log_softmax".split():
        kernel, back = getattr(k, name), getattr(k, name + "_backward")
        assert np.allclose(kernel(x), kernel.definition(x), **near), name
        assert np.allclose(back(g, x), back.definition(g, x), **near), name
    nothing = np.ones((6, 0), dtype), np.ones((0, 3), dtype)
    for a, b in ((x, g.T), (x.T.copy().T, g.T.copy()), nothing):
        assert np.allclose(k.matmul(a, b), a @ b, **near)
    assert np.allclose(k.layer_norm(x, w, w)[0], k.layer_norm.definition(x, w, w)[0], **near)
    assert np.allclose(k.attention(x, g, x)[0], k.attention.definition(x, g, x)[0], **near)
    loss, slope = np.empty((), dtype), np.empty_like(x)
    k.fused.loss("bernoulli", x, g, loss, slope)
    assert np.allclose(loss, (np.logaddexp(0, x) - x * g).sum(), **near)
    p, q = x.copy(), x.copy()
    k.adam_step(p, g, x * 0, x * 0, 1, 0.1); k.adam_step.definition(q, g, x * 0, x * 0, 1, 0.1)
    assert np.allclose(p, q, **near)
"""


@pytest.mark.parametrize("env", [{"NUMBA_DISABLE_JIT": "1"}, {"MINIGRAD_AE_KERNELS": "numpy"}, {}])
def test_a_reduced_suite_passes_however_the_kernels_run(env):
    run(REDUCED, **env)


def test_without_numba_the_definitions_run_and_it_is_said_once():
    done = run("import sys; sys.modules['numba'] = None\n" + REDUCED + "print(k.info()['backend'])")
    assert done.stdout.strip() == "numpy" and done.stderr.count("Numba cannot be imported") == 1


def test_use_acts_at_once_and_is_undone():
    run("""
import numpy as np, minigrad_ae.kernels as k
from minigrad_ae.kernels import backend
assert backend.backend() == "numba"
with k.use("numpy"):
    assert backend.backend() == "numpy"
    k.tanh(np.ones(2))
assert backend.backend() == "numba"
k.use("numpy")
assert backend.backend() == "numpy"
""")


def test_an_unknown_backend_in_the_environment_is_named():
    code = "import numpy as np, minigrad_ae.kernels as k; k.tanh(np.ones(2))"
    done = run(code, check=False, MINIGRAD_AE_KERNELS="cuda")
    assert done.returncode == 1 and "MINIGRAD_AE_KERNELS=cuda" in done.stderr


@pytest.mark.parametrize("pattern", ["*.nbi", "*.nbc"])
@pytest.mark.parametrize("content", [b"", b"damaged"])
def test_a_damaged_cache_is_named_compiled_anew_and_replaced(tmp_path, pattern, content):
    program = "import numpy as np, minigrad_ae as mg; print(mg.kernels.exp(np.zeros(300))[0])"
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}

    def go(*argv):
        return subprocess.run(
            [sys.executable, *argv], env=environment, capture_output=True, text=True, timeout=120
        )

    assert go("-c", program).stdout == "1.0\n"
    files = list(tmp_path.rglob(pattern))
    for path in files:
        path.write_bytes(content)
    doctor = go("-m", "minigrad_ae", "doctor")
    assert files and doctor.returncode == 1 and f"damaged: {files[0]}" in doctor.stdout
    again = go("-c", program)
    assert (again.returncode, again.stdout) == (
        0,
        "1.0\n",
    ) and "cannot be read: compiling again" in again.stderr
    healed = go("-c", program)
    assert (healed.returncode, healed.stderr) == (0, "")
