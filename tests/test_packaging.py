"""What travels: the packages listed, the lessons, the data, and the README's commands."""

import configparser
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg")


def test_every_package_is_listed():
    listed = {name for name in SETUP["options"]["packages"].split() if name != "minigrad_ae.lessons"}
    found = {".".join(p.parent.relative_to(ROOT).parts) for p in (ROOT / "minigrad_ae").rglob("__init__.py")}
    assert listed == found


def test_the_lessons_travel_in_the_wheel():
    assert "minigrad_ae.lessons" in SETUP["options"]["packages"].split()
    assert "minigrad_ae.lessons = lessons" in SETUP["options"]["package_dir"]


def test_run_time_packages_are_four():
    names = {re.split(r"[<>=]", line)[0] for line in SETUP["options"]["install_requires"].split()}
    assert names == {"numpy", "numba", "matplotlib", "tqdm"}


def test_the_readme_opens_with_a_picture_and_two_commands():
    text = (ROOT / "README.md").read_text()
    first, second = re.findall(r"^```([^\n`]*)\n(.*?)^```", text, re.S | re.M)[:2]
    assert first[0] == second[0] == "sh"
    assert "lesson all --fast" in first[1]
    assert "pytest" in second[1]
    assert text.index("](figures/") < text.index("```sh")
    for picture in re.findall(r"\]\((figures/[^)]+)\)", text):
        assert (ROOT / picture).is_file(), picture


@pytest.mark.parametrize("folder", ["minigrad_ae", "lessons", "tests", "benchmarks"])
def test_no_path_of_one_machine(folder):
    for path in (ROOT / folder).rglob("*.py"):
        assert not re.search(r"[\"']/(home|root|work|Users)/", path.read_text()), path
