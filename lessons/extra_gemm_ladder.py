# %% [markdown]
# # Extra: how a matrix product becomes fast
#
# **Goal.** C = A B is three nested loops.  Written as in a textbook they reach a few per cent of
# what the processor can do; five small steps later they are near its limit, still in plain Python
# that Numba compiles.
# Each step is one idea.
#
# Run it as a script (`python lessons/extra_gemm_ladder.py [--fast]`, under 30 s) or cell by cell as
# a notebook.

# %% Goal
import argparse
import inspect
import json
import os
import platform
import sys
import time
from pathlib import Path

if "numpy" not in sys.modules:
    # NumPy's product on one core too; it looks only once, when it is loaded
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
import matplotlib
import numpy as np
from matplotlib.figure import Figure

import minigrad_ae as mg
from minigrad_ae.command_line import Parser
from minigrad_ae.files import write_png, write_text
from minigrad_ae.kernels import ladder, roofline
from minigrad_ae.teaching.lesson import BLACK, BLUE, GREEN, STYLE, lessons_folder, plain

notebook = "ipykernel" in sys.modules
parser: argparse.ArgumentParser = Parser(prog="extra_gemm_ladder")
parser.add_argument("--fast", action="store_true", help="fewer repetitions, a few seconds")
parser.add_argument("--out", type=Path, help="folder for the figure")
options = parser.parse_args([] if notebook else None)
root = lessons_folder().parent
checkout = (root / "setup.cfg").is_file() and not options.fast
out = options.out or (root / "figures" if checkout else Path("minigrad_ae_figures"))
mg.kernels.set_num_threads(1)

# %% [markdown]
# ## Predict
#
# A is 320 x 256 and B is 256 x 320, float32.  The textbook loop and the loop that is two lines
# swapped do the same multiplications in another order.  How much faster is the second?  (The answer
# is in the table
# below.)
#
# ## The roof
#
# A core of this kind starts one or two fused multiply-adds a cycle, each on 8 or 16 float32
# numbers. `roofline.peak_flops` does nothing else, on a few thousand numbers that never leave the
# cache beside the registers: no program that multiplies large matrices can be faster.

# %% The roof
M, K, N = 320, 256, 320
rng = np.random.default_rng(0)
A, B = (
    rng.standard_normal((M, K)).astype(np.float32),
    rng.standard_normal((K, N)).astype(np.float32),
)
flops = 2.0 * M * K * N
print(f"C = A B with A {A.shape}, B {B.shape}: {flops / 1e6:.0f} million operations")
roofline.peak_flops(rounds=1)  # compiled, before anything is timed

# %% [markdown]
# ## The climb
#
# Each rung is a function in `minigrad_ae/kernels/ladder.py`, ten to twenty lines; its first line
# says the idea.
#
# 0. *triple loop*: the definition.  Walking down a column of B touches a new cache line at every
# step. 1. *row by row*: swap the loops over j and k.  Memory is read in order, and the compiler
# fills
# vector lanes with j.
#    Now every multiply-add loads and stores an element of C: memory is what it waits for.
# 2. *four rows of B*: four steps of k at once, so that C is loaded and stored a quarter as often.
# 3. *3 x 3 sums*: nine sums stay in registers; six loads serve nine multiply-adds.  But each sum is
# spread over the lanes
#    of a vector and has to be added up at the end.
# 4. *register tile*: 4 rows of 2 vectors of C, lanes along j.  Nothing to add up, and eight
# independent sums keep both
#    multipliers busy while each waits four cycles for its own result.
# 5. *blocked and packed*: blocks of A and B, copied so that they lie in the caches in the order of
#    use, and a tile of as many rows as there are registers for, 6 or 12, which takes LLVM's own
#    language (micro.py). This is `mg.kernels.matmul`; it also takes any size, any strides, and
#    several threads.

# %% The climb
IDEAS = {
    "triple loop": ladder.triple_loop,
    "row by row": ladder.row_by_row,
    "four rows of B": ladder.four_rows_of_b,
    "3 x 3 sums (B transposed)": ladder.square_of_sums,
    "register tile": ladder.register_tile,
    "blocked and packed": "Rung 5, higher tiles, on blocks that fit the caches",
}


def idea(rung: object) -> str:
    """What a rung says about itself, up to the colon."""
    text = (
        rung
        if isinstance(rung, str)
        else (inspect.getdoc(getattr(rung, "py_func", rung)) or "").split("\n")[0]
    )
    return text.split(": ")[0]


def seconds(run, budget: float) -> float:
    """The shortest time of one call: what else the machine does can only add to it."""
    shortest, end = np.inf, time.perf_counter() + budget
    while shortest == np.inf or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        shortest = min(shortest, time.perf_counter() - start)
    return float(shortest)


rungs = ladder.rungs(A, B)
exact = A.astype(np.float64) @ B.astype(np.float64)
bound = K * np.finfo(np.float32).eps * (np.abs(A) @ np.abs(B))
for name, run in rungs.items():
    # and compiled, before anything is timed
    assert np.all(np.abs(run() - exact) <= bound), f"{name} is wrong"
contenders = dict(rungs)
if os.environ.get("OPENBLAS_NUM_THREADS") == "1":
    contenders["NumPy (OpenBLAS)"] = lambda: A @ B

times, peak = dict.fromkeys(contenders, np.inf), 0.0
# in turns: the clock of a processor changes from one second to the next
for _ in range(5 if options.fast else 16):
    peak = max(peak, roofline.peak_flops(rounds=10))
    for name, run in contenders.items():
        times[name] = min(times[name], seconds(run, 0.01))

print(
    f"the roof: {peak / 1e9:.0f} GFLOP/s on one core\n\n{'rung':<28} {'GFLOP/s':>8} "
    f"{'of the roof':>12}   idea"
)
rows = []
for name, shortest in times.items():
    speed = flops / shortest
    rows.append({"rung": name, "gflops": speed / 1e9, "fraction_of_peak": speed / peak})
    print(
        f"{name:<28} {speed / 1e9:8.1f} {speed / peak:12.0%}   "
        f"{idea(IDEAS[name])[:72] if name in IDEAS else ''}"
    )

# %% [markdown]
# ## What the figure says
#
# Swapping two lines is worth more than any other step.  Every further step removes one kind of
# waiting: for memory, for the cache, for the multiplier's own latency; what a step is worth depends
# on what was waited for,
# and so on the size (exercise 3).  The arithmetic never changed.

# %% The figure
matplotlib.rcParams.update(STYLE)
figure = Figure(figsize=(8, 3.8))
ax = figure.subplots()
for k, row in enumerate(rows):
    ours = row["rung"] in IDEAS
    ax.barh(k, row["fraction_of_peak"], color=BLUE if ours else GREEN)
    label = f"{row['fraction_of_peak']:.0%}, {row['gflops']:.0f} GFLOP/s"
    inside = row["fraction_of_peak"] > 0.6
    place = {"ha": "right", "color": "white"} if inside else {"ha": "left", "color": BLACK}
    ax.text(
        row["fraction_of_peak"] + (-0.01 if inside else 0.01),
        k,
        label,
        va="center",
        fontsize=8,
        **place,
    )
ax.axvline(1, color=BLACK, lw=1, ls="--")
top, bottom = rows[len(IDEAS) - 1], rows[0]
ax.set(
    yticks=range(len(rows)),
    yticklabels=[r["rung"] for r in rows],
    xlim=(0, 1.15),
    xlabel=f"fraction of the peak of one core ({peak / 1e9:.0f} GFLOP/s, float32, {M} x {K} x {N})",
    title=f"Five ideas: {top['gflops'] / bottom['gflops']:.0f} times as fast as the textbook loop",
)
ax.invert_yaxis()
out.mkdir(parents=True, exist_ok=True)
write_png(out / "gemm_ladder.png", figure, dpi=75 if options.fast else 150)
numbers = {
    "shape": [M, K, N],
    "peak_gflops": peak / 1e9,
    "machine": platform.machine(),
    "rungs": rows,
}
write_text(out / "gemm_ladder.json", json.dumps(plain(numbers), indent=1) + "\n")
print(f"\nfigure: {out / 'gemm_ladder.png'}")
if notebook:
    from IPython.display import display

    display(figure)

# %% [markdown]
# ## Exercises
#
# 1. `NUMBA_DISABLE_JIT=1` runs the rungs as Python.  Which of the rungs is then the fastest, and
#    why is the order another?
# 2. The tile has 4 x 2 vectors.  A core with AVX2 has 16 vector registers: what happens with 8 x 2?
#    (Count them.)
# 3. Make K much larger, 4096.  Which rungs lose, which do not, and at what K does the panel of B
#    leave the first cache?
