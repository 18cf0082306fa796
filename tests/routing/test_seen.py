"""What a batch has asked before: found by digest, in flat arrays, and never taken for something else."""

from hashlib import sha256

import pytest

from routing.batch import Line
from routing.seen import Questions
from routing.tray import HELD, Job, Joined, Trays
from tests.doubles import ask


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def test_a_question_leads_to_its_line_and_hand_in_and_a_later_line_may_take_its_place():
    asked = Questions()
    assert asked.find(digest("a")) is None
    asked.put(digest("a"), 7, "one")
    asked.put(digest("b"), 8, "two")
    assert (asked.find(digest("a")), asked.find(digest("b"))) == (("one", 7), ("two", 8))
    asked.put(digest("a"), 9, "two")
    assert asked.find(digest("a")) == ("two", 9)


def test_a_question_whose_hash_begins_alike_is_another_question(monkeypatch):
    asked = Questions()
    monkeypatch.setattr(asked._ids, "first", lambda _, __: 0)
    asked.put(digest("a"), 1, "one")
    asked.put(digest("b"), 2, "one")
    assert (asked.find(digest("a")), asked.find(digest("b"))) == (("one", 1), None)


def test_a_hundred_thousand_questions_take_little():
    asked = Questions()
    for number in range(1, 100_001):
        asked.put(digest(f"question {number}"), number, f"job {number % 3}")
    assert asked.find(digest("question 500")) == ("job 2", 500)
    arrays = asked._ids._hashes, asked._ids._lines, asked._checks, asked._lines, asked._jobs
    assert sum(len(array) * array.itemsize for array in arrays) <= 100_000 * 72
    assert len(asked._names) == 3


class Kept:
    """A log in memory."""

    def __init__(self, job: Job) -> None:
        self.job, self.joins = job, 0

    def open(self):
        return [self.job]

    def note(self, job):
        raise AssertionError(job)

    def join(self, joined):
        self.joins += 1
        self.job = self.job.joined(joined)


def test_twins_of_what_is_handed_in_are_put_on_record_before_they_are_too_many():
    log = Kept(Job("one", "p/m", (1,), "sent", 0.0))
    trays = Trays(log, joins=True)
    trays.sent()
    trays.lead(Line(1, "1", ask()), "one")
    for number in range(2, HELD + 2):
        assert trays.joined(Line(number, str(number), ask()), number * 10)
    assert log.joins == 1 and len(log.job.lines) == HELD + 1 and log.job.items == [1]
    trays.note()
    assert log.joins == 1


@pytest.mark.parametrize("first", [2, 5])
def test_a_job_begins_where_the_first_of_its_lines_does(first):
    job = Job("one", "p/m", (3, 4), "sent", 0.0, offset=30).joined(Joined("one", {first: 3}, first * 10))
    assert (job.lines, job.offset) == (tuple(sorted((3, 4, first))), min(first, 3) * 10)
    assert (job.asks(3), job.asks(first), job.asks(9)) == (True, False, False)
