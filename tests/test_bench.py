"""The benchmarks: laws of the timing helper and of the command; nothing here depends on how fast
the machine is.
"""

import argparse
import json
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad_ae as mg
from minigrad_ae.cli import bench as bench_command
from minigrad_ae.cli import main, processor

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import (  # noqa: E402
    bench_scaling,
    bench_steps,
    footprint,
    gate,
    goals,
    machine,
    report,
    run_all,
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
@pytest.mark.parametrize("names", [("tape", "torch"), ("torch", "compiled"), ("jax", "torch")])
def test_a_wrong_loss_is_never_timed(factor, names):
    class Wrong:
        def __init__(self, factor):
            self.factor = factor

        def ask(self, **request):
            assert "turn" not in request, "it was timed"
            return {"first": 0.1, "losses": [self.factor * 1.0] * request["steps"]}

    with pytest.raises(ValueError, match="nothing was timed"):
        bench_steps.race(
            0, {name: Wrong(1 if name == "torch" else factor) for name in names}, 1, 3, 0.01
        )


def test_every_library_that_can_be_timed_has_a_step():
    assert set(step_peers.STEPS) == set(step_peers.LIBRARIES)
    named = {*report.ON_TAPE, *report.COMPILED, *report.COMPILERS, *bench_steps.SLOW}
    assert named == set(step_peers.LIBRARIES)
    assert {
        peer for m in step_models.MODELS for goals in m.goals.values() for peer in goals
    } <= named


def test_operations_are_counted():
    assert bench_scaling.flops(8, 3) == 5 * 2 * 3 * 8 * 8
    assert {(w, b) for _, w, b in bench_scaling.sizes()} >= {
        (32, 128),
        (2048, 128),
        (512, 16),
        (512, 4096),
    }


# --- what a step asks of the machine --------------------------------------------------------------


def test_the_peak_is_what_a_step_holds_above_what_it_leaves():
    kept, number = [], []

    def step():
        number.append(1)
        if len(number) == 1:
            kept.append(np.ones(30_000))  # there to stay
            np.ones(90_000)  # a first step may need more
        np.ones(5000) + np.ones(5000)  # three arrays at once

    three = 3 * 5000 * 8
    assert three <= footprint.peak(step, []) <= 1.02 * three


def test_live_arrays_are_counted_once_with_the_gradients_of_leaves():
    x = mg.tensor(np.ones((100, 10)))
    W = mg.tensor(np.ones((10, 20)), requires_grad=True)
    y = mg.matmul(x, W)
    loss = (y.reshape(20, 100) + 1.0).sum()  # a reshape is a view
    assert footprint.live(loss) == 8 * (2000 + 2000 + 1 + 200)


def test_calls_are_those_of_the_package():
    x = mg.tensor(np.ones(3))

    def own():
        return mg.tanh(x)

    def more():
        return mg.tanh(mg.tanh(x)), sorted([3, 1], key=lambda k: -k)

    once = footprint.calls(own)
    assert once == footprint.calls(own) > 0
    assert footprint.calls(more) == 2 * once


# --- gate -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "dropped"), [(7, 0), (9, 1), (14, 2), (35, 11)])
def test_the_interval_is_the_narrowest_that_holds_95_per_cent(n, dropped):
    """Between order statistics: the binomial's tail is below 2.5 %, one rank further it is not."""
    ratios = np.random.default_rng(n).permutation(n) + 1.0
    low, high = gate.interval(list(ratios))
    assert (low, high) == (dropped + 1, n - dropped)

    def tail(rank):
        return sum(math.comb(n, k) for k in range(rank + 1)) / 2**n

    assert tail(dropped) <= 0.025 < tail(dropped + 1)


@pytest.mark.parametrize(
    ("ratios", "word"),
    [
        ([1.0] * 6 + [1.07], "passes"),
        ([1.0] * 6 + [1.09], "unclear"),
        ([1.09] * 7, "slower"),
        ([1.09] * 6 + [1.05], "unclear"),
    ],
)
def test_only_what_is_certain_is_called_slower(ratios, word):
    assert gate.verdict(ratios, bar=1.08) == word


def test_what_is_unclear_is_measured_again_alone_and_not_for_ever():
    asked = []

    def measure(rows):
        asked.append(list(rows))
        noise = 1.2 if len(asked) % 2 else 1.0
        return {row: {"slow": 1.2, "same": 1.0, "noisy": noise}[row] for row in rows}

    found = gate.compared(measure, ["slow", "same", "noisy"], 7, 1.08)
    assert [len(found[row]) for row in ("slow", "same", "noisy")] == [7, 7, 7 * gate.AGAIN]
    assert asked[7:] == [["noisy"]] * 7 * (gate.AGAIN - 1)


@pytest.mark.parametrize(
    ("calls", "faults", "code"), [(10, 0.0, 0), (9, 1.0, 0), (11, 0.0, 1), (10, 2.5, 1)]
)
def test_one_call_more_fails_the_gate(calls, faults, code, capsys):
    counted = {"a": {"now": {"calls": calls, "faults": faults}, "then": {"calls": 10, "faults": 0}}}
    assert gate.report({"a": [1.0] * 7}, counted, 1.08) == code
    assert ("1 slower" in capsys.readouterr().out) == bool(code)
    assert gate.report({"a": [0.9] * 7}, counted, 1.08) == 0  # it became faster all the same


def test_a_row_that_stays_unclear_has_an_exit_code_of_its_own():
    assert gate.report({"a": [1.0] * 7, "b": [1.0, 1.2] * 7}, {}, 1.08) == 2


# --- processor ------------------------------------------------------------------------------------


def test_a_processor_has_a_readable_name_for_files():
    found = processor.processor()
    name = processor.slug(found)
    assert re.fullmatch(r"[a-z0-9]+-[a-z0-9]+-(avx512|avx2|neon|sse2)", name)
    assert name == processor.slug({**found, "name": "another", "cores": 1})
    zen = {"vendor": "amd", "generation": "zen3", "vectors": "avx2"}
    assert processor.slug(zen) == "amd-zen3-avx2"
    assert found["vector_bits"] in {128, 256, 512}
    assert f"{found['cores']} cores" in processor.described(found)


def test_results_lie_under_the_name_of_their_processor():
    files = report.processors()
    assert files
    for name, found in files.items():
        assert processor.slug(found["processor"]) == name
        for part in found["parts"].values():
            assert part["date"] and part["minigrad_ae"] and part["measured"]


def test_company_counts_the_work_of_others_only(monkeypatch):
    readings = iter([(0.0, 10.0, 5.0), (10.0, 21.0, 14.0)])
    monkeypatch.setattr(machine, "_work", lambda: next(readings))
    with machine.company() as others:
        assert others == {}
    assert others == {"others": 0.2, "quiet": False}


@pytest.mark.parametrize(
    ("blas", "peak", "clock", "notes"),
    [
        (100.0, 115.0, 3.6, 0),  # 32 operations a tick: two units of 8 lanes
        (100.0, 58.0, 3.6, 1),  # a roof at half the width
        (100.0, 115.0, 1.2, 1),  # 96 a tick
        (30.0, 40.0, 3.6, 1),  # 11 a tick
    ],
)
def test_a_roof_that_does_not_fit_is_said(blas, peak, clock, notes):
    found = {"openblas_gflops": blas, "peak_gflops": peak, "clock_ghz": clock}
    assert len(bench_scaling.misfits(found, 256)) == notes


# --- README ---------------------------------------------------------------------------------------


def test_the_tables_of_the_readme_are_what_the_results_say():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    tables = report.blocks(report.processors())
    assert set(tables) == {name for _, name, _ in report.BLOCK.findall(text)}
    assert report.filled(text, tables) == text


def test_a_column_holds_the_figures_of_its_processor():
    rows = steps_report()["rows"]
    rows[0] |= {"model": step_models.MODELS[0].name}
    part = {"measured": {"rows": rows}}
    found = {"here": {"parts": {"steps": part}}, "there": {"parts": {}}}
    head, _, line = report.markdown(
        "x",
        [("row", report.ratios(step_models.MODELS[0].name, "tape", ("torch", "autograd")))],
        found,
    ).splitlines()
    assert head == "| x | here |"
    assert line == "| row | 100 µs: *2.00*, *0.50* |"  # both miss their goals, 3.8 and 4.4


# --- command --------------------------------------------------------------------------------------


def steps_report(ratio=2.0):
    row = {
        "model": "linear AE 64-8-64",
        "batch": 64,
        "threads": 1,
        "microseconds": {"tape": 100.0},
        "ratio": {"tape": {"torch": ratio, "autograd": 0.5}},
    }
    return {"rows": [row], "pinned": []}


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


@pytest.mark.parametrize(("ratio", "met"), [(3.0, True), (2.99, False)])
def test_a_goal_is_met_from_its_value_on(ratio, met):
    rows = goals.table_rows({"steps": steps_report(ratio)})
    assert [r["met"] for r in rows] == [met, None]
    text = goals.table(rows)
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
    rows = goals.table_rows({"masked": measured})
    assert [r["met"] for r in rows] == [True, True, False]
    assert goals.table_rows({"masked": {**measured, "gaussian": 0.037}})[0]["met"] is False


@pytest.mark.parametrize(("elbo", "seconds", "met"), [(-99.0, 272.0, True), (-99.1, 274.0, False)])
def test_a_vae_on_mnist_is_held_to_nats_and_seconds(elbo, seconds, met):
    setting = {"elbo": -99.0, "log_p": None, "seconds": 273.0}
    measured = {"setting": setting, "elbo": elbo, "seconds_with_log_p": seconds}
    rows = goals.table_rows(
        {"vae": {"baseline": -205.8, "threads": 1, "runs": {"784-400-20": measured}}}
    )
    assert [r["met"] for r in rows] == [met, met]
    assert max(map(len, goals.table(rows).splitlines())) <= 100


def test_a_ratio_from_a_busy_machine_meets_no_goal_and_misses_none():
    busy = steps_report()
    busy["rows"][0]["busy"] = True
    rows = goals.table_rows({"steps": busy})
    assert [r["met"] for r in rows] == [None, None]
    assert "0 of 0 goals met" in goals.table(rows)


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
    (row,) = goals.table_rows({"gemm": {"rows": measured}})
    assert row["ratio"] == pytest.approx(1) and row["met"] and "A^T B" in row["what"]


@pytest.fixture
def scripts(tmp_path, monkeypatch):
    """Scripts that write ready measurements in place of the benchmarks'; how each ends is given by
    `codes`.  Returns the file of this processor's results.
    """

    def build(codes):
        quick = {}
        for part, measured in (("steps", steps_report()), ("scaling", scaling_report())):
            body = (
                "import pathlib, "
                f"sys\npathlib.Path(sys.argv[-1]).write_text({json.dumps(measured)!r})\n"
            )
            script = tmp_path / f"{part}.py"
            script.write_text(body + f"sys.exit({codes.get(part, 0)})\n", encoding="utf-8")
            quick[part] = (script.name,)
        monkeypatch.setattr(run_all, "FOLDER", tmp_path)
        monkeypatch.setattr(run_all, "RESULTS", tmp_path / "results")
        monkeypatch.setattr(run_all, "QUICK", quick)
        return run_all.kept(machine.machine()["processor"])

    return build


def test_what_was_measured_is_kept_with_its_machine(scripts, capfd):
    file = scripts({})
    assert run_all.make() == 0
    assert "2.00  3.00  NO" in capfd.readouterr().out
    found = json.loads(file.read_text(encoding="utf-8"))
    assert found["processor"] == machine.machine()["processor"]
    assert set(found["parts"]) == {"steps", "scaling"}
    part = found["parts"]["steps"]
    assert part["measured"] == steps_report() and part["command"].startswith("python benchmarks/")
    assert {"date", "python", "versions", "minigrad_ae"} <= set(part)


def test_a_script_that_fails_ends_with_1_and_leaves_its_part_as_it_was(scripts, capfd):
    file = scripts({})
    run_all.make()
    before = json.loads(file.read_text(encoding="utf-8"))["parts"]
    scripts({"steps": 1})
    second = file.parent.parent / "second.json"
    assert run_all.make(destination=second) == 1
    assert "steps.py failed" in capfd.readouterr().out
    after = json.loads(file.read_text(encoding="utf-8"))
    assert after["parts"]["steps"] == before["steps"]
    assert json.loads(second.read_text(encoding="utf-8")) == after


def test_one_part_can_be_measured_alone(scripts):
    file = scripts({})
    assert run_all.make(only=["scaling"]) == 0
    assert set(json.loads(file.read_text(encoding="utf-8"))["parts"]) == {"scaling"}


def test_the_command_runs_the_scripts_of_the_checkout(tmp_path, monkeypatch):
    """With the options given, by `make` of run_all.py."""
    file = tmp_path / "run_all.py"
    file.write_text("def make(full, destination):\n    return 40 + full\n", encoding="utf-8")
    monkeypatch.setattr(bench_command, "FOLDER", tmp_path)
    assert [main(["bench"]), main(["bench", "--full"])] == [40, 41]


def test_the_figure_is_of_the_processor_that_was_measured_last(tmp_path):
    found = {
        name: {"parts": {"scaling": {"date": date, "measured": scaling_report()}}}
        for name, date in (("a", "2026-01-02"), ("b", "2026-01-03"), ("c", "2026-01-01"))
    }
    path = report.draw(found, tmp_path)
    assert path.is_file()
    written = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert written["processor"] == "b"
    assert report.draw({"a": {"parts": {}}}, tmp_path) is None


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


def test_doctor_shows_processor_and_kernels(capsys):
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"processor: {processor.described(processor.processor())}" in lines
    line = next(x for x in lines if x.startswith("kernels: "))
    assert "thread(s)" in line and mg.kernels.info()["backend"] in line
