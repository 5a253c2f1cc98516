"""Commands of operators notify the workers, which need not find the work by looking."""

import subprocess
import sys
from pathlib import Path

import redis

from tests.architecture.sources import ROOT
from tests.rig import warm
from tests.workers.installation import environment, installed, settings_of


def ops(shop: dict[str, str], *words: str) -> None:
    """Run a command as ops do."""
    imports = ["nurture.cli", "nurture.app.installation", "nurture.app.tracking", "workers.notify"]
    assert warm.start(["nurture.cli", *words], imports=imports, env=shop).wait(60) == 0


def test_a_command_calls_the_workers_for_what_it_leaves_them(
    postgresql_url: str, redis_url: str, tmp_path: Path
) -> None:
    shop = environment(tmp_path, postgresql_url, broker_url=redis_url)
    settings = settings_of(tmp_path, postgresql_url, broker_url=redis_url)
    with installed(settings), redis.Redis.from_url(redis_url) as keys:
        ops(shop, "audience", "True", "--count")
        assert (keys.llen("inbox"), keys.llen("deliver")) == (0, 0)
        # This one imports for itself, as commands do.
        command = [sys.executable, "-m", "nurture.cli", "track", "ada@shop.example", "Newsletter Signup"]
        subprocess.run(command, cwd=ROOT, env=shop, check=True, timeout=60)
        assert (keys.llen("inbox"), keys.llen("deliver")) == (1, 0)
        ops(shop, "resume", "main")
        assert (keys.llen("inbox"), keys.llen("deliver")) == (1, 1)


def test_a_command_does_its_work_while_nobody_can_be_called(postgresql_url: str, tmp_path: Path) -> None:
    shop = environment(tmp_path, postgresql_url, broker_url="redis://127.0.0.1:1/0")
    with installed(settings_of(tmp_path, postgresql_url)) as services:
        ops(shop, "track", "ada@shop.example", "Newsletter Signup")
        with services.database.read() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM inbox").scalar() == 1
