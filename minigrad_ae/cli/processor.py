"""The processor of this machine, named by what decides how fast kernels are on it."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

BITS = {"avx512": 512, "avx2": 256, "neon": 128, "sse2": 128}  # of a vector register
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


def processor() -> dict[str, Any]:
    """Vendor, family, model, generation (LLVM's name of it), vectors, caches and cores.

    What the system does not tell is None; a virtual machine may hide its processor's name.
    """
    generation, vectors = _as_compiled_for()
    told = _cpuinfo()
    machine = platform.processor() or platform.machine()
    vendor = told.get("vendor_id", machine).removeprefix("Genuine").removeprefix("Authentic")
    names = {"name": told.get("model name", machine), "vendor": vendor.lower()}
    numbers = {"family": told.get("cpu family"), "model": told.get("model")}
    width = {"generation": generation, "vectors": vectors, "vector_bits": BITS[vectors]}
    return {**names, **numbers, **width, "caches": _caches(), "cores": os.cpu_count()}


def slug(found: dict[str, Any]) -> str:
    """A name for files: 'amd-zen3-avx2'."""
    words = (found["vendor"], found["generation"], found["vectors"])
    return "-".join("".join(c for c in word if c.isalnum()) for word in words)


def described(found: dict[str, Any]) -> str:
    """One line of it."""
    family = f" (family {found['family']}, model {found['model']})" if found["family"] else ""
    caches = ", ".join(f"{name} {size}" for name, size in found["caches"].items())
    vectors = f"{found['generation']}, {found['vectors'].upper()}: {found['vector_bits']} bits"
    return (
        f"{found['name']}{family}, {vectors}, {found['cores']} cores; {caches or 'caches unknown'}"
    )


def _as_compiled_for() -> tuple[str, str]:
    """The generation and the widest vectors, as the compiler of the kernels sees them."""
    try:
        from llvmlite import binding
    except ImportError:  # the NumPy definitions run
        return platform.machine() or "unknown", "sse2"
    generation = binding.get_host_cpu_name().replace("znver", "zen")
    features = binding.get_host_cpu_features()
    known = {"avx512f": "avx512", "avx2": "avx2", "neon": "neon"}
    return generation, next((v for f, v in known.items() if features.get(f)), "sse2")


def _cpuinfo() -> dict[str, str]:
    file = Path("/proc/cpuinfo")
    if not file.is_file():
        return {}
    lines = file.read_text(encoding="utf-8").splitlines()
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _caches() -> dict[str, str]:
    """{'L1d': '32K', 'L2': '512K', ...} of the first core."""
    found = {}
    for folder in sorted(CACHES.glob("index*")):
        level, kind, size = (
            (folder / name).read_text(encoding="utf-8").strip()
            for name in ("level", "type", "size")
        )
        if kind != "Instruction":
            found[f"L{level}{'d' if kind == 'Data' else ''}"] = size
    return found
