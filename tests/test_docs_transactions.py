"""The files of docs/transactions.md that need a database server, or a process of their own, run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported one by one, without a package around them

import pg_server

pytestmark = pytest.mark.checkout
PAGE = Path(__file__).resolve().parents[1] / "docs" / "transactions.md"
WHERE = "postgresql://shop@db/shop"


def block(name: str) -> str:
    found = re.search(rf"```python\n(# {name}\n.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def ran(text: str, folder: Path) -> str:
    (folder / "shop.py").write_text(text, encoding="utf-8")
    done = subprocess.run([sys.executable, "-W", "error::ResourceWarning", "shop.py"], cwd=folder, timeout=120,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["shop_psycopg.py", "shop_asyncio.py"])
def test_a_psycopg_transaction_is_joined_as_the_page_says(name: str, tmp_path: Path) -> None:
    text = block(name)
    assert text.count(WHERE) == 1
    with pg_server.database() as url:
        assert ran(text.replace(WHERE, url), tmp_path) == "paid\n"


def test_a_django_transaction_is_joined_as_the_page_says(tmp_path: Path) -> None:
    pytest.importorskip("django")
    assert ran(block("shop_django.py"), tmp_path) == "paid\n"
