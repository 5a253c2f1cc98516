"""The mechanisms behind each guarantee, and how each is switched off: without it the named test must fail.

`python -m tests.faults.mutations [G4 ...]` copies the tree, switches one mechanism off at a time there, runs the test
that is named and tells whether it failed; exit 1 when one did not. docs/reliability.md holds the same table.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.architecture.sources import ROOT

#: The parts that a copy of the tree needs to run tests.
_PARTS = ("nurture", "workers", "tests", "bench", "docs", "email_templates", "pyproject.toml", "README.md")
_SECONDS_MAX = 600


@dataclass(frozen=True, slots=True)
class Mutation:
    """One mechanism switched off."""

    guarantee: str
    # The mechanism, in words.
    what: str
    file: str
    # A piece of the file that stands there once, and what it becomes.
    before: str
    after: str
    # The test that must fail, as pytest takes it.
    test: str

    def applied(self, text: str) -> str:
        """Return the file's text without the mechanism. Raises ValueError when it does not stand there once."""
        if text.count(self.before) != 1:
            message = f"{self.file}: {self.before!r} stands there {text.count(self.before)} times"
            raise ValueError(message)
        return text.replace(self.before, self.after)

    def row(self) -> str:
        """Return the row of the table in docs/reliability.md."""
        return f"| {self.guarantee} | {self.what} | `{self.file}` | `{self.test}` |"


_KILL = "tests/faults/test_kill.py::test_a_worker_killed_here_loses_and_repeats_nothing"
_RACES = "tests/delivery/test_races.py"
_CELLS = "tests/journey/test_merges_and_erasures.py"
MUTATIONS = [
    Mutation(
        "G1",
        "a request is answered only after the commit",
        "nurture/app/group_commit.py",
        '            with timed("inbox"):\n',
        "            for waiting in group:\n                waiting.stored.set_result(None)\n            group = []\n"
        '            with timed("inbox"):\n',
        "tests/faults/test_kill.py::test_an_event_that_a_killed_http_process_did_not_answer_is_sent_again_and_applied_once"
        "[sqlite-inbox.accepted]",
    ),
    Mutation(
        "G1",
        "what was applied before is known by its id",
        "nurture/journey/deduplicate.py",
        "        if number is None:\n",
        "        if number is None and not row.id:\n",
        "tests/journey/test_drain_races.py::test_an_event_delivered_five_times_at_once_is_applied_once",
    ),
    Mutation(
        "G2",
        "a batch takes what is pending for its people in every shard, oldest first",
        "nurture/contacts/locking.py",
        "*inbox_queries.load_rows(connection, found)",
        "",
        "tests/journey/test_drain_races.py::test_drains_of_two_shards_keep_the_order_of_one_person",
    ),
    Mutation(
        "G3",
        "the run of a send is keyed by its occasion",
        "nurture/domain/journey/entry.py",
        "return firing.occasion or None",
        'return f"{firing.occasion}:{id(firing)}"',
        "tests/faults/test_operators.py::test_a_send_broken_off_and_asked_for_twice_reaches_everybody_once",
    ),
    Mutation(
        "G4",
        "a mail on the wire whose sender is gone is in doubt, not due again",
        "nurture/delivery/send_gate_queries.py",
        '        .where(_LEASED, messages.c.status == "ready", messages.c.lease_until <= lease)\n',
        "        .where(_LEASED, messages.c.lease_until <= lease)\n",
        f"{_RACES}::test_a_worker_killed_after_a_mail_left_leaves_it_in_doubt_and_no_worker_repeats_it",
    ),
    Mutation(
        "G4",
        "marketing mail in doubt is settled and never due again",
        "nurture/delivery/outcomes.py",
        '"due_at": FOREVER, "settled_at": now}',
        '"due_at": now + EVIDENCE_WAIT, "settled_at": None}',
        "tests/delivery/test_deliver.py::test_a_marketing_mail_in_doubt_is_never_sent_again",
    ),
    Mutation(
        "G5",
        "the send gate compares the contact's version",
        "nurture/delivery/send_gate_queries.py",
        "            contacts.c.version == messages.c.contact_version,\n",
        "",
        f"{_RACES}::test_an_unsubscribe_committed_before_the_gate_is_seen_by_it",
    ),
    Mutation(
        "G6",
        "the chunk gate holds the person's contact while it counts",
        "nurture/delivery/claim_queries.py",
        "    .with_for_update(of=contacts, skip_locked=True)\n",
        "",
        f"{_RACES}::test_a_cap_of_one_holds_under_two_guards",
    ),
    Mutation(
        "G7",
        "the send gate compares the track",
        "nurture/delivery/send_gate_queries.py",
        "messages.c.track == contacts.c.track)",
        "sa.true())",
        "tests/delivery/test_deliver.py::test_a_change_between_the_gates_sends_the_mail_back_to_the_guard",
    ),
    Mutation(
        "G7",
        "the guard compares the track",
        "nurture/domain/guard/checks.py",
        '    if written in ("any", present):\n',
        "    if written:\n",
        "tests/domain/guard/test_guard.py",
    ),
    Mutation(
        "G8",
        "a verdict is written for every mail that the chunk gate has looked at",
        "nurture/delivery/claim.py",
        "            rows.append(_row_not_sent(item, verdict, scope.now))\n",
        "",
        "tests/delivery/test_deliver.py::test_every_planned_mail_is_counted_in_exactly_one_column",
    ),
    Mutation(
        "G9",
        "every process looks by itself",
        "workers/poll.py",
        "            thread.start()\n",
        "",
        "tests/workers/test_worker.py::test_without_redis_everything_is_slower_and_nothing_stops",
    ),
    Mutation(
        "G9",
        "what a dead worker had claimed is due again when its lease has lapsed",
        "nurture/delivery/send_gate_queries.py",
        '    values = {**_NO_LEASE, "status": "waiting", "reason": "lease_lapsed", "due_at": now}\n',
        "    return 0\n    values = {}\n",
        "tests/delivery/test_deliver.py::test_a_lease_that_lapses_before_the_send_gate_frees_the_mail",
    ),
    Mutation(
        "G10",
        "an event and all that comes of it are one transaction",
        "nurture/contacts/save_queries.py",
        '    counts["messages"] = _save_messages(connection, advances)\n',
        '    counts["messages"] = _save_messages(connection, advances)\n'
        '    connection.exec_driver_sql("COMMIT")\n    connection.exec_driver_sql("BEGIN")\n',
        f"{_KILL}[postgresql-drain.applied]",
    ),
    Mutation(
        "G11",
        "what a dead process had on the wire is settled by how far its journal says each mail got",
        "nurture/delivery/journal/recovery.py",
        "    if content.boot == file_format.read_boot_id() and not content.broken:\n",
        "    if not content.name:\n",
        "tests/delivery/journal/test_window.py::test_killed_senders_repeat_no_marketing_and_lose_no_receipt[postgresql-short]",
    ),
    Mutation(
        "G11",
        "the outcomes of a window are written before the next one passes its gate",
        "nurture/delivery/send_gate.py",
        "            self.outcome_writer.wait()\n",
        "",
        "tests/delivery/test_outcome_writer.py::test_one_window_at_a_time_has_no_written_outcome[postgresql]",
    ),
    Mutation(
        "G12",
        "another address that only a hint gives is withheld from the person",
        "nurture/domain/identity.py",
        "        if self._is_proof or self._home is None:\n",
        "        if self._home != -1:\n",
        "tests/journey/test_proof.py::test_a_hint_of_another_address_asks_the_new_one_and_changes_nothing",
    ),
    Mutation(
        "G12",
        "after a merge, an address that proof gave comes before one of a hint",
        "nurture/journey/sending_address.py",
        '        return told != "hint", since, email\n',
        "        return True, since, email\n",
        "tests/journey/test_merge.py::test_a_merge_does_not_move_mail_to_an_address_that_only_a_hint_gave",
    ),
    Mutation(
        "G13",
        "suppressing, erasing and merging ask whether the key stands in a page",
        "nurture/web/api/customerio.py",
        "    if principal.is_hint:\n",
        "    if not principal.actor:\n",
        "tests/security/test_browser_keys.py::test_it_may_not_do",
    ),
    Mutation(
        "G14",
        "the suppressions of a person's contacts count at every address",
        "nurture/domain/consent/suppressions.py",
        "        or (row.contact_id and row.contact_id in member_ids)\n",
        "",
        "tests/consent/test_suppressions_follow.py::test_a_word_follows_the_person_to_a_new_address",
    ),
    Mutation(
        "G15",
        "an error of a measure's rules is that measure's",
        "nurture/domain/journey/set_aside.py",
        "        before.restore(work)\n        _set_aside(work, measure.root, at, error)\n",
        "        raise\n",
        "tests/journey/test_set_aside.py::test_only_the_measure_that_fails_is_set_aside",
    ),
    Mutation(
        "G16",
        "the guard counts open replies of the contact and of all merged into it as holds",
        "nurture/delivery/load_guard_input.py",
        "                *(replies[member] for member in member_ids if member in replies),\n",
        "",
        f"{_CELLS}::test_merge[dialogues]",
    ),
    Mutation(
        "G17",
        "grants of files are left out where the topic was ever withdrawn",
        "nurture/domain/consent/permissions.py",
        "_without_refuted_grants([row for row in rows if row.contact_id in family])",
        "[row for row in rows if row.contact_id in family]",
        "tests/domain/consent/test_permissions.py::test_a_file_never_follows_a_withdrawal_told_to_us",
    ),
    Mutation(
        "G18",
        "a confirmation looks for a withdrawal after its request",
        "nurture/consent/from_pages.py",
        "    return asked_at is not None and find_withdrawal(rows, topic, since=asked_at) is not None\n",
        "    return asked_at == -1\n",
        "tests/web/pages/test_public.py::test_a_link_that_was_followed_grants_nothing_after_a_later_unsubscribe",
    ),
    Mutation(
        "G18",
        "only an open request is carried out",
        "nurture/consent/request_queries.py",
        ".where(requests.c.id == number, _OPEN, requests.c.valid_until > now)",
        ".where(requests.c.id == number)",
        f"{_CELLS}::test_change_of_address[requests]",
    ),
    Mutation(
        "G19",
        "cancellations reach the mail of ended runs by their entity",
        "nurture/contacts/save_queries.py",
        "            if bool(target[2]) == about_entities\n",
        "            if not target[2] and not about_entities\n",
        "tests/journey/test_runs.py::test_a_reversal_cancels_the_waiting_mail_of_ended_runs_about_that_order_alone",
    ),
    Mutation(
        "G20",
        "due alarms of both ring before a merge",
        "nurture/journey/merge.py",
        "    ring_due_alarms(connection, (survivor, other), now=now, playbook=playbook)\n",
        "",
        "tests/journey/test_runs.py::test_an_alarm_that_was_due_before_a_merge_rings_first",
    ),
]


def survivors(mutations: list[Mutation]) -> Iterator[Mutation]:
    """Run each mutation's test in a copy of the tree without the mechanism; yield those that pass all the same."""
    for mutation in mutations:
        with tempfile.TemporaryDirectory(prefix="nurture-mutation-") as folder:
            tree = Path(folder)
            for part in _PARTS:
                copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2
                copy(ROOT / part, tree / part)
            file = tree / mutation.file
            file.write_text(mutation.applied(file.read_text()))
            done = subprocess.run(
                [sys.executable, "-m", "pytest", "-q", "-n", "0", "-x", "-m", "", mutation.test],
                cwd=tree,
                capture_output=True,
                text=True,
                timeout=_SECONDS_MAX,
                check=False,
            )
            reason = [line for line in done.stdout.splitlines() if line.startswith("E  ")][:2]
            sys.stdout.write(f"{mutation.guarantee} {mutation.what}: exit {done.returncode} {reason}\n")
            sys.stdout.flush()
            # 1: tests failed; anything else means that none was run.
            if done.returncode != 1:
                yield mutation


def main() -> int:
    """Try the mutations of the guarantees named, or all."""
    wanted = set(sys.argv[1:])
    chosen = [mutation for mutation in MUTATIONS if not wanted or mutation.guarantee in wanted]
    alive = list(survivors(chosen))
    for mutation in alive:
        sys.stdout.write(f"nobody notices without it: {mutation.row()}\n")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
