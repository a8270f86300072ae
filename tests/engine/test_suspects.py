import numpy as np
import pytest

from service.engine.batcher import Batcher
from service.engine.host import Host
from service.engine.lane import Lane
from service.engine.limits import Limits
from service.engine.meter import Meter
from service.engine.request import Request
from service.engine.suspects import Suspects
from service.errors import ModelFailed
from tests.fakes import FakeModel, token_ids

A, B, C = token_ids(5, 6, 7)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "batch.1"


def end_during(path, *texts, hung=False, person=b""):
    """Leave the record as a process does that ends in this batch."""
    suspects = Suspects(path)
    suspects.begin(texts, person)
    if hung:
        suspects.accuse()


def test_a_text_that_hung_alone_is_guilty(path):
    end_during(path, A, hung=True)

    assert Suspects(path).is_guilty(A)
    assert not Suspects(path).is_guilty(B)


def test_texts_of_a_batch_that_hung_are_suspects(path):
    end_during(path, A, B, hung=True)
    suspects = Suspects(path)

    assert [suspects.is_suspect(text) for text in (A, B, C)] == [True, True, False]
    assert not suspects.is_guilty(A)


def test_a_text_is_guilty_for_the_model_that_hung_on_it(path):
    end_during(path, A, hung=True, person=b"one")

    assert [Suspects(path).is_guilty(A, each) for each in (b"one", b"other")] == [True, False]


def test_a_killed_process_accuses_nobody_at_first(path):
    end_during(path, A)

    assert Suspects(path).is_suspect(A)
    assert not Suspects(path).is_guilty(A)


def test_a_suspect_that_hangs_alone_is_guilty(path):
    end_during(path, A, B, hung=True)
    end_during(path, A, hung=True)
    suspects = Suspects(path)

    assert suspects.is_guilty(A)
    assert suspects.is_suspect(B)


def test_however_often_a_process_is_killed_nobody_is_guilty(path):
    for _ in range(3):
        end_during(path, A)

    assert not Suspects(path).is_guilty(A)


def test_a_text_that_ended_two_processes_can_be_blamed(path):
    """Where nobody else kills: the second time it was alone."""
    end_during(path, A, B)
    end_during(path, A)

    assert Suspects(path, blames_kills=True).is_guilty(A)
    assert not Suspects(path, blames_kills=True).is_guilty(B)


def test_a_suspect_that_was_computed_alone_is_cleared(path):
    end_during(path, A, B)
    suspects = Suspects(path)
    suspects.begin([A])
    suspects.end([A])

    assert not suspects.is_suspect(A)
    assert suspects.is_suspect(B)


def test_a_finished_batch_leaves_no_suspects(path):
    suspects = Suspects(path)
    suspects.begin([A, B])
    suspects.end([A, B])

    assert not Suspects(path)


def test_a_suspect_that_was_cleared_stays_so(path):
    end_during(path, A, B)
    suspects = Suspects(path)
    suspects.begin([A])
    suspects.end([A])

    assert [Suspects(path).is_suspect(text) for text in (A, B)] == [False, True]


def test_what_an_operator_removed_is_not_written_again(path):
    end_during(path, A, hung=True)
    end_during(path, B, C)
    suspects = Suspects(path)
    for file in path.parent.iterdir():
        file.unlink()
    suspects.begin([B])
    suspects.end([B])

    assert not Suspects(path)


def test_guilt_is_forgotten_after_an_hour(path, monkeypatch):
    """Nothing is compared with it any more, either."""
    end_during(path, A, hung=True)
    suspects = Suspects(path)
    monkeypatch.setattr("service.engine.suspects.FORGET_SECONDS", 0.0)

    assert not suspects.is_guilty(A)
    assert not suspects


def test_a_process_does_not_learn_what_is_an_hour_old(path, monkeypatch):
    end_during(path, A, hung=True)
    end_during(path, B, C)
    assert Suspects(path).is_suspect(B)
    monkeypatch.setattr("service.engine.suspects.FORGET_SECONDS", 0.0)

    assert not Suspects(path)


def test_each_worker_keeps_notes_of_its_own(path):
    """In one file, of two workers that hung at a time the second would write over what the first has learnt."""
    end_during(path, A, hung=True)
    assert Suspects(path).is_guilty(A)

    assert not Suspects(path.with_name("batch.2"))
    assert Suspects(path).is_guilty(A)


@pytest.mark.parametrize("notes", [b"{", b"[]", b'{"suspects": {"\xff": 1}}'])
def test_a_damaged_record_is_no_reason_not_to_start(path, notes):
    path.write_bytes(b"\xff" * 3)
    path.with_name("batch.1.json").write_bytes(notes)

    assert not Suspects(path).is_guilty(A)


class Lengths(FakeModel):
    dimension = 1

    def embed(self, batch):
        self.batches.append([len(text) for text in batch])
        return np.array([[len(text)] for text in batch], np.float32)


def test_the_batcher_computes_suspects_alone_and_the_guilty_not(path):
    lane = Lane(model := Lengths(), Limits())
    end_during(path, A, hung=True, person=lane.person)
    end_during(path, B, C, hung=True, person=lane.person)
    batcher = Batcher([lane], Meter(), Host(pytest.fail, record=path))
    guilty, others = Request(token_ids(5), 1), Request(token_ids(6, 7, 8), 1)
    for request in (guilty, others):
        batcher.submit(lane, request)
    assert guilty.wait(60)
    assert others.wait(60)
    batcher.close()

    with pytest.raises(ModelFailed):
        guilty.raise_error()
    assert others.vectors.tolist() == [[6.0], [7.0], [8.0]]
    assert sorted(model.batches) == [[6], [7], [8]]
