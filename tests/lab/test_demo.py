"""The demo as a user starts it."""

from __future__ import annotations

import re
import subprocess

import pytest

from demo.users import QUESTIONS
from lab.places import CHECKOUT
from tests.lab.conftest import own_name

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]


def test_the_demo_ends_with_a_table_in_which_every_check_held() -> None:
    words = [str(CHECKOUT / "script/demo"), "--name", own_name("demo")]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:]
    table = done.stdout[done.stdout.rindex("\n\n  first synchronization ") :]
    assert table.rstrip().endswith("every check held")
    for when in ("after the promotion", "after a boot"):
        assert len(re.findall(rf"^  {when}: .*  yes  ", table, re.MULTILINE)) == len(QUESTIONS)
    assert re.search(r"^  all that within a minute of power on +yes  ", table, re.MULTILINE)
