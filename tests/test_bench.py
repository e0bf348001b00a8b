"""The benchmarks: laws of the timing helper and of the command; nothing here depends on how fast
the machine is.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad_ae as mg
from minigrad_ae.cli import bench as bench_command
from minigrad_ae.cli import main

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import (  # noqa: E402
    bench_scaling,
    bench_steps,
    report,
    step_models,
    step_peers,
    timing,
)


def scripted(values):
    """A contender, or a gauge, whose times are given."""
    remaining = iter(values)
    return lambda: next(remaining)


def quiet(rounds):
    return scripted([1.0] * 2 * rounds)


# --- timing ---------------------------------------------------------------------------------------


def test_a_ratio_is_the_median_of_the_ratios_of_each_round():
    race = timing.interleave(
        {"ours": scripted([1, 2, 10]), "theirs": scripted([3, 4, 10])}, 3, quiet(3)
    )
    # of 3, 2, 1; the ratio of the medians happens to be 2 as well:
    assert race.ratio("theirs") == 2
    race = timing.interleave(
        {"ours": scripted([1, 2, 10]), "theirs": scripted([5, 8, 10])}, 3, quiet(3)
    )
    assert race.ratio("theirs") == 4 and race.median("theirs") / race.median("ours") == 4
    assert race.spread("theirs") == (1, 5)


def test_a_disturbance_that_hits_both_leaves_the_ratio_alone():
    slow = np.array([1, 7, 1, 30, 2.5])
    race = timing.interleave({"ours": scripted(slow), "theirs": scripted(3 * slow)}, 5, quiet(5))
    assert race.ratio("theirs") == pytest.approx(3)


def test_disturbed_rounds_are_dropped_and_counted():
    # before and after each of five rounds: 2nd and 4th disturbed
    watch = scripted([1, 1, 1, 9, 1.1, 1, 4, 1, 1, 1.2])
    race = timing.interleave({"ours": scripted([1, 50, 1, 60, 1])}, 5, watch)
    assert race.times["ours"] == [1, 1, 1]
    assert (race.kept, race.dropped) == (3, 2)


@pytest.mark.parametrize("n", [1, 2, 3, 10, 31])
def test_the_calmest_third_is_kept_however_bad_it_is(n):
    gauged = [1.0 * 2**k for k in range(n)]
    kept = timing.calm(gauged)
    assert kept == list(range(max(1, round(n / 3))))


def test_everyone_gets_every_place_in_the_order():
    seen = []

    def contender(name):
        return lambda: seen.append(name) or 1.0

    timing.interleave({name: contender(name) for name in "abc"}, 3, quiet(3))
    rounds = [seen[k : k + 3] for k in (0, 3, 6)]
    assert all(sorted(r) == list("abc") for r in rounds)
    assert {r[0] for r in rounds} == set("abc")


def test_a_race_needs_a_contender_and_a_round():
    with pytest.raises(ValueError, match="contender"):
        timing.interleave({})
    with pytest.raises(ValueError, match="round"):
        timing.interleave({"ours": lambda: 1.0}, 0)


def test_a_turn_reports_the_time_of_one_call():
    now, calls = [0.0], []

    def work():
        calls.append(1)
        now[0] += 0.002

    spent = timing.turn(work, seconds=0.004, timer=lambda: now[0])
    assert spent() == pytest.approx(0.002)
    assert timing.clock(work, 5, lambda: now[0]) == pytest.approx(0.002)


def test_threads_are_pinned_in_the_environment_of_a_worker():
    environment = timing.environment(2)
    assert all(environment[name] == "2" for name in timing.THREADS)
    assert str(ROOT) in environment["PYTHONPATH"].split(":")


def test_a_worker_answers_and_its_death_is_told(tmp_path):
    script = tmp_path / "echo.py"
    script.write_text(
        "import json, sys\nfor line in sys.stdin:\n    r = json.loads(line)\n"
        "    if 'die' in r: raise SystemExit('out of paper')\n    print(json.dumps(r['x'] + 1), "
        "flush=True)\n",
        encoding="utf-8",
    )
    worker = timing.Worker(script, 1)
    assert [worker.ask(x=1), worker.ask(x=41)] == [2, 42]
    with pytest.raises(RuntimeError, match="out of paper"):
        worker.ask(die=1)
    worker.close()


# --- steps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", step_models.MODELS, ids=lambda m: m.name)
def test_both_versions_of_a_model_have_the_same_loss_and_gradients(model):
    weights, x, noise = model.draw()
    params, loss = model.ours([w.astype(np.float32) for w in weights])
    value = loss(mg.tensor(x), noise)
    value.backward()
    copies = [mg.tensor(w, requires_grad=True) for w in weights]
    table = argparse.Namespace(
        linear=lambda a, W, b: a @ W + b,
        tanh=mg.tanh,
        sigmoid=mg.sigmoid,
        exp=mg.exp,
        sum=mg.sum,
        bernoulli=lambda y, t: mg.sum(mg.softplus(y) - t * y),
        half_squares=lambda y, t: 0.5 * mg.sum((y - t) ** 2),
        argsort=lambda a: a.argsort(axis=1),
        permute=mg.transpose,
        table=lambda p: p,
        concatenate=mg.concatenate,
        pick=lambda a, which: a[np.arange(len(a))[:, None], which],
        broadcast=mg.broadcast_to,
        layer_norm=mg.layer_norm,
        gelu=lambda a: mg.gelu(a, approximate="tanh"),
        attention=mg.attention,
        relu=mg.relu,
        abs=mg.abs,
        unit_rows=lambda W: W / mg.sqrt(mg.sum(W**2, axis=1, keepdims=True)),
        product=mg.matmul,
        row_squares=lambda W: mg.sum(W * W, axis=1),
    )
    with mg.kernels.use("numpy"):
        other = model.theirs(table, copies, mg.tensor(x), noise)
        other.backward()
    assert float(value) == pytest.approx(float(other), rel=2e-6)
    # beside it, what is zero by symmetry (a bias of keys) is noise
    largest = max(np.abs(q.grad).max() for q in copies)
    for p, q in zip(params, copies, strict=True):
        assert p.shape == q.shape
        np.testing.assert_allclose(
            p.grad, q.grad, rtol=2e-4, atol=max(2e-5 * np.abs(q.grad).max(), 1e-6 * largest)
        )


@pytest.mark.parametrize("factor", [1 + 5e-5, float("nan"), float("inf")])
@pytest.mark.parametrize("names", [("ours", "torch"), ("torch", "ours"), ("jax", "torch")])
def test_a_wrong_loss_is_never_timed(factor, names):
    class Wrong:
        def __init__(self, factor):
            self.factor = factor

        def ask(self, **request):
            assert "turn" not in request, "it was timed"
            return [self.factor * 1.0] * request["steps"]

    with pytest.raises(ValueError, match="nothing was timed"):
        bench_steps.race(
            0, {name: Wrong(1 if name == "torch" else factor) for name in names}, 1, 3, 0.01
        )


def test_every_library_that_can_be_timed_has_a_step():
    assert set(step_peers.STEPS) == set(step_peers.LIBRARIES) == {"ours", *report.PEERS}


def test_operations_are_counted():
    assert bench_scaling.flops(8, 3) == 5 * 2 * 3 * 8 * 8
    assert {(w, b) for _, w, b in bench_scaling.sizes()} >= {
        (32, 128),
        (2048, 128),
        (512, 16),
        (512, 4096),
    }


# --- command --------------------------------------------------------------------------------------


def steps_report(ratio=2.0):
    row = {
        "model": "VAE",
        "batch": 128,
        "threads": 1,
        "microseconds": {"ours": 100.0},
        "ratio": {"torch": ratio, "jax": 0.5},
        "goal": {"torch": 2.0},
    }
    return {"rows": [row], "machine": {}, "pinned": []}


def scaling_report():
    rows = [
        {
            "series": s,
            "width": 32,
            "batch": 8,
            "flops": f,
            "bytes": f,
            "seconds": 1e-9 * f,
            "peak_gflops": 10.0,
            "fraction_of_peak": {"step": 0.5, "product": 0.9},
        }
        for s, f in (("width", 1e6), ("width", 2e6), ("batch", 3e6), ("large", 1e7))
    ]
    roofs = {"peak_gflops": 10.0, "bandwidth_gbytes": 5.0}
    return {"rows": rows, "roofs": roofs, "goals": {"product": 0.8, "step": 0.75}}


@pytest.mark.parametrize(("ratio", "met"), [(2.0, True), (1.99, False)])
def test_a_goal_is_met_from_its_value_on(ratio, met):
    rows = report.table_rows({"steps": steps_report(ratio)})
    assert [r["met"] for r in rows] == [met, None]
    text = report.table(rows)
    assert f"{int(met)} of 1 goals met" in text
    assert max(map(len, text.splitlines())) <= 100


def test_a_masked_autoencoder_on_mnist_is_held_to_the_gaussian_conditional_and_ten_minutes():
    measured = {
        "targets": {"masked_error": 0.033, "ratio": 0.85, "seconds": 600},
        "threads": 2,
        "masked_error": 0.032,
        "gaussian": 0.043,
        "seconds": 700.0,
    }
    rows = report.table_rows({"masked": measured})
    assert [r["met"] for r in rows] == [True, True, False]
    assert report.table_rows({"masked": {**measured, "gaussian": 0.037}})[0]["met"] is False


@pytest.mark.parametrize(("elbo", "seconds", "met"), [(-99.0, 272.0, True), (-99.1, 274.0, False)])
def test_a_vae_on_mnist_is_held_to_nats_and_seconds(elbo, seconds, met):
    setting = {"elbo": -99.0, "log_p": None, "seconds": 273.0}
    measured = {"setting": setting, "elbo": elbo, "seconds_with_log_p": seconds}
    rows = report.table_rows(
        {"vae": {"baseline": -205.8, "threads": 1, "runs": {"784-400-20": measured}}}
    )
    assert [r["met"] for r in rows] == [met, met]
    assert max(map(len, report.table(rows).splitlines())) <= 100


def test_a_ratio_from_a_busy_machine_meets_no_goal_and_misses_none():
    busy = steps_report()
    busy["rows"][0]["busy"] = True
    rows = report.table_rows({"steps": busy})
    assert [r["met"] for r in rows] == [None, None]
    assert "0 of 0 goals met" in report.table(rows)


def test_busy_is_told_from_the_gauge():
    alone = min(timing.gauge(1)() for _ in range(50))
    times = {"ours": [1.0]}
    assert timing.busy(timing.Race(times, 1, 0, gauge=10 * alone), threads=2)
    assert not timing.busy(timing.Race(times, 1, 0, gauge=0.0), threads=2)
    assert not timing.busy(timing.Race(times, 1, 0, gauge=10 * alone), threads=1)


def test_products_are_summed_up_by_their_geometric_mean():
    measured = [
        {"kernel": "matmul", "dtype": "float32", "kind": "TN", "ratio": r} for r in (0.5, 2.0)
    ]
    (row,) = report.table_rows({"gemm": {"rows": measured}})
    assert row["ratio"] == pytest.approx(1) and row["met"] and "A^T B" in row["what"]


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder of benchmarks whose scripts write ready measurements; how each ends is given by
    `codes`.
    """

    def build(codes):
        folder = tmp_path / "benchmarks"
        folder.mkdir()
        shutil.copy(ROOT / "benchmarks" / "report.py", folder)
        for script, measured in (
            ("bench_steps.py", steps_report()),
            ("bench_scaling.py", scaling_report()),
        ):
            body = (
                "import pathlib, "
                f"sys\npathlib.Path(sys.argv[-1]).write_text({json.dumps(measured)!r})\n"
            )
            (folder / script).write_text(
                body + f"sys.exit({codes.get(script, 0)})\n", encoding="utf-8"
            )
        monkeypatch.setattr(bench_command, "FOLDER", folder)
        return tmp_path

    return build


def test_the_command_writes_figures_and_numbers(checkout, capfd):
    root = checkout({})
    assert main(["bench", "--json", str(root / "all.json")]) == 0
    assert "2.00  2.00  yes" in capfd.readouterr().out
    written = sorted(p.name for p in (root / "figures").iterdir())
    assert written == [
        "bench_ratios.json",
        "bench_ratios.png",
        "bench_scaling.json",
        "bench_scaling.png",
    ]
    written = json.loads((root / "all.json").read_text(encoding="utf-8"))
    assert {"what", "threads", "peer", "ours", "ratio", "goal", "met", "busy"} == set(
        written["rows"][0]
    )


def test_a_script_that_fails_ends_with_1_and_the_others_are_still_shown(checkout, capfd):
    root = checkout({"bench_steps.py": 1})
    assert main(["bench"]) == 1
    assert "bench_steps.py failed" in capfd.readouterr().out
    assert (root / "figures" / "bench_scaling.png").is_file()


@pytest.mark.parametrize("options", [[], ["--full"]])
def test_without_a_checkout_it_says_so_in_three_lines(tmp_path, options):
    """The package alone, as a wheel installs it: no benchmarks beside it."""
    shutil.copytree(
        ROOT / "minigrad_ae", tmp_path / "minigrad_ae", ignore=shutil.ignore_patterns("__pycache__")
    )
    done = subprocess.run(
        [sys.executable, "-m", "minigrad_ae", "bench", *options],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    what, where, fix = done.stderr.splitlines()
    assert what == "minigrad-ae: the benchmarks are not here"
    assert str(tmp_path / "benchmarks") in where and "checkout" in where
    assert fix.startswith("  fix: clone the repository")


def test_an_output_that_cannot_be_written_is_refused_first(tmp_path, capsys):
    assert main(["bench", "--json", str(tmp_path / "no" / "b.json")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_doctor_shows_the_kernels(capsys):
    assert main(["doctor"]) == 0
    line = next(x for x in capsys.readouterr().out.splitlines() if x.startswith("kernels: "))
    assert "thread(s)" in line and mg.kernels.info()["backend"] in line
