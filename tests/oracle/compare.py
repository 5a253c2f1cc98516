"""Run the engine and the oracle on generated playbooks and histories, and tell the first differences as stories.

python -m tests.oracle.compare --seeds 1-4 --people 60
python -m tests.oracle.compare --seeds 11-30 --people 300 --jobs 2 --minutes 30

With --minutes it stops by itself and says how far it came: a seed that is not compared by then is no difference.
"""

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent import futures
from pathlib import Path
from typing import Any

from .generate_history import DAYS, make_history
from .generate_playbook import write_playbook
from .oracle import simulate

ENGINE = [sys.executable, "-m", "tests.oracle.engine"]
Mail = tuple[str, str, str, str]
LAST_EVENTS = 25


def main() -> int:
    """Compare seed by seed; 1 where anything differs."""
    args = arguments()
    first, _, last = args.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    if args.minutes or args.jobs > 1:
        return compare_beside(args, list(seeds))
    return 1 if sum([compare_seed(args, seed) for seed in seeds]) else 0


def compare_seed(args: argparse.Namespace, seed: int) -> int:
    """Write one seed's playbook and history, and compare both sides on them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(args.keep or name) / f"playbook_{seed}"
        shutil.rmtree(folder, ignore_errors=True)
        write_playbook(folder, seed, modern=not args.classic)
        history = make_history(seed, args.people, folder, days=args.days)
        file = folder.with_suffix(".json")
        file.write_text(json.dumps(history), "utf-8")
        return compare(args, seed, folder, file, history)


def compare_beside(args: argparse.Namespace, seeds: list[int]) -> int:
    """Compare some seeds at a time, each in a process of its own, until all are done or the minutes are over."""
    limit = f"at most {args.minutes} minutes" if args.minutes else "no limit of time"
    say(f"seeds {args.seeds}, {args.people} people each, {limit}")
    children: dict[int, subprocess.Popen[str]] = {}
    codes: dict[int, int] = {}
    with futures.ThreadPoolExecutor(args.jobs) as pool:
        seed_of = {pool.submit(compare_in_process, args, seed, children): seed for seed in seeds}
        try:
            for done in futures.as_completed(seed_of, timeout=args.minutes * 60 or None):
                codes[seed_of[done]], text = done.result()
                say(text.rstrip())
        except TimeoutError:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in children.values():
                if child.poll() is None:
                    os.killpg(child.pid, signal.SIGKILL)
    differ = sorted(seed for seed, code in codes.items() if code)
    say(f"{len(codes)} of {len(seeds)} seeds compared, {len(differ)} differ: {differ or 'none'}")
    if len(codes) < len(seeds):
        say(f"stopped after {args.minutes} minutes; not compared: {sorted(set(seeds) - set(codes))}")
    return 1 if differ else 0


def compare_in_process(
    args: argparse.Namespace, seed: int, children: dict[int, subprocess.Popen[str]]
) -> tuple[int, str]:
    """Compare one seed in a process of its own; return its exit code and what it printed."""
    command = [sys.executable, "-m", "tests.oracle.compare", "--seeds", str(seed)]
    command += ["--people", str(args.people), "--days", str(args.days), "--stories", str(args.stories)]
    command += ["--engine", args.engine, "--engine-folder", args.engine_folder]
    command += ["--keep", args.keep] if args.keep else []
    command += [name for name, wanted in (("--classic", args.classic), ("--reuse", args.reuse)) if wanted]
    children[seed] = child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    text, _ = child.communicate()
    return child.returncode, text


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="1-4")
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--jobs", type=int, default=1, help="how many seeds at a time")
    parser.add_argument("--minutes", type=int, default=0, help="stop after so many; 0: when all is compared")
    parser.add_argument("--classic", action="store_true", help="only what playbooks had before entities")
    parser.add_argument("--keep", help="a folder in which the playbooks and histories stay")
    parser.add_argument(
        "--reuse", action="store_true", help="with --keep: do not ask the engine the same twice"
    )
    parser.add_argument("--stories", type=int, default=3, help="how many differences are told")
    parser.add_argument(
        "--engine", default=" ".join(ENGINE), help="the engine's side; gets folder and history"
    )
    parser.add_argument("--engine-folder", default=".", help="where the engine's side runs")
    return parser.parse_args()


def compare(args: argparse.Namespace, seed: int, folder: Path, file: Path, history: dict[str, Any]) -> int:
    """Compare one seed; the number of people who differ."""
    engine = run_engine(args, folder, file)
    theirs = [mail for mail in engine if mail["at"] < history["until"]]
    ours = [mail for mail in simulate(folder, history, in_holdout(engine)) if mail["at"] < history["until"]]
    one, two = by_person(theirs), by_person(ours)
    people = [who for who in sorted(set(one) | set(two)) if one.get(who) != two.get(who)]
    sent = sum(1 for mail in ours if mail["status"] == "sent")
    word = "equal" if not people else f"{len(people)} people differ"
    say(f"seed {seed}: {args.people} people, {len(ours)} mails decided, {sent} sent: {word}")
    for who in people[: args.stories]:
        mine = [[mail for mail in side if mail["who"] == who] for side in (theirs, ours)]
        tell(who, mine[0], mine[1], history)
    return len(people)


def in_holdout(mails: list[dict[str, Any]]) -> frozenset[tuple[str, str]]:
    """People, by each of their names, and measures of which the engine's hash has kept them without."""
    held = {(mail["who"], mail["measure"]) for mail in mails if mail.get("in_holdout")}
    others = {("id:u" + who[1:].partition("@")[0], measure) for who, measure in held if who.startswith("p")}
    return frozenset(held | others)


def run_engine(args: argparse.Namespace, folder: Path, file: Path) -> list[dict[str, Any]]:
    """The engine's mails; with --reuse those of the last time for the same input."""
    answer = file.with_suffix(".engine")
    asked = digest(folder, file)
    if args.reuse and answer.exists() and answer.read_text("utf-8").startswith(asked):
        return mails_in(answer.read_text("utf-8"))
    command = [*args.engine.split(), str(folder.resolve()), str(file.resolve())]
    done = subprocess.run(command, cwd=args.engine_folder, capture_output=True, text=True, check=False)
    if done.returncode:
        output = f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        raise SystemExit(f"{folder.parent.name}: the engine's side failed:\n{output}")
    answer.write_text(f"{asked}\n{done.stdout}", "utf-8")
    return mails_in(done.stdout)


def digest(folder: Path, file: Path) -> str:
    """A hash of everything that the engine is given."""
    result = hashlib.blake2b(file.read_bytes(), digest_size=16)
    for part in sorted(folder.rglob("*.yaml")):
        result.update(part.read_bytes())
    return result.hexdigest()


def mails_in(text: str) -> list[dict[str, Any]]:
    """The mails among the lines of the engine's side."""
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [line for line in lines if "measure" in line]


def key(mail: dict[str, Any]) -> Mail:
    """A mail as it is compared: what was sent and in which minute, else how it ended."""
    reason = "" if mail["status"] in {"expired", "waiting"} else mail["reason"]
    state = mail["at"][:16] if mail["status"] == "sent" else reason
    return mail["measure"], mail["step"], mail["status"], state


def by_person(mails: list[dict[str, Any]]) -> dict[str, Counter[Mail]]:
    """The mails of each person."""
    result: dict[str, Counter[Mail]] = {}
    for mail in mails:
        result.setdefault(mail["who"], Counter())[key(mail)] += 1
    return result


def tell(who: str, theirs: list[dict[str, Any]], ours: list[dict[str, Any]], history: dict[str, Any]) -> None:
    """One person's difference, with the last events before it."""
    say(f"\n  {who}")
    only = [
        (mail["at"], side, mail)
        for side, mails, others in (("engine", theirs, ours), ("oracle", ours, theirs))
        for mail in less(mails, others)
    ]
    only.sort(key=lambda result: result[:2])
    for at, side, mail in only:
        say(f"    {side} only: {mail['measure']} {mail['step']}: {mail['status']} {mail['reason']} {at[:16]}")
    first = only[0][0]
    events = [
        entry for entry in history["events"] if belongs(entry["who"], who) and entry["received_at"] <= first
    ]
    for entry in events[-LAST_EVENTS:]:
        late = (
            "" if entry["occurred_at"] == entry["received_at"] else f" (occurred {entry['occurred_at'][:16]})"
        )
        say(f"      {entry['received_at'][:16]} {entry['name']} {short(entry)}{late}")


def less(mails: list[dict[str, Any]], others: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The mails of one side that the other side has not."""
    left = Counter(key(mail) for mail in others)
    result = []
    for mail in mails:
        left[key(mail)] -= 1
        if left[key(mail)] < 0:
            result.append(mail)
    return result


def belongs(entry: Any, who: str) -> bool:
    """Whether an event is one of a person's."""
    names = {"id:u" + who[1:].split("@", maxsplit=1)[0], who}
    if isinstance(entry, dict):
        return entry.get("email") in names or f"id:{entry.get('user_id')}" in names
    return entry in names


def short(entry: dict[str, Any]) -> str:
    """An event's values."""
    values = {**entry["properties"], **entry["traits"]}
    own_page = " web" if entry["source"] == "web" else ""
    return f"{entry['message_id']} {json.dumps(values) if values else ''}{own_page}"


def say(text: str) -> None:
    """Print one line."""
    sys.stdout.write(text + os.linesep)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
