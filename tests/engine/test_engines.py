import pytest

from service.engine.engines import Engines
from service.engine.host import Host
from service.engine.limits import Limits
from service.errors import ClientGone, Overloaded, UnknownModel
from tests.fakes import FakeModel, StuckModel, token_ids


class Named(FakeModel):
    def __init__(self, name, dimension=4):
        super().__init__()
        self.name, self.dimension = name, dimension

    def embed(self, batch):
        return super().embed(batch)[:, : self.dimension]


def serve(*models, **options):
    return Engines(models, Host(pytest.fail), **options)


def hang(engine):
    """Have a batch computed that does not end, and give its request up."""
    with pytest.raises(ClientGone):
        engine.embed(["a"], is_gone=engine.model.started.is_set)


@pytest.fixture
def two():
    engines = serve(Named("one"), Named("other", dimension=2), aliases={"ada": "other"})
    yield engines
    engines.close()


@pytest.fixture
def stuck():
    """The first model hangs until the test is over."""
    model = StuckModel()
    engines = serve(model, Named("other"), limits=Limits(max_queue_tokens=100))
    yield engines
    model.released.set()
    engines.close()


def test_a_model_is_found_by_its_name_and_by_its_alias(two):
    assert [two.find(name).model.name for name in ("one", "other", "ada")] == ["one", "other", "other"]


def test_without_a_name_the_first_model_is_meant(two):
    assert two.find().model.name == two.find("").model.name == "one"


def test_of_several_models_an_unknown_one_is_refused_with_all_names(two):
    with pytest.raises(UnknownModel, match="no model 'gpt'; this service has one, other, ada"):
        two.find("gpt")


def test_one_model_answers_to_any_name(model):
    engines = serve(model)

    assert engines.find("gpt").model is model
    with pytest.raises(UnknownModel):
        engines.get("gpt")
    engines.close()


def test_each_model_computes_its_own_texts(two):
    shapes = [two.find(name).embed(["abc", "d"]).vectors.shape for name in ("one", "other")]

    assert shapes == [(2, 4), (2, 2)]
    assert [engine.model.batches for engine in two] == [[["d", "abc"]], [["d", "abc"]]]


def test_each_model_is_measured(two):
    two.calibrate()

    assert all(0 < engine._lane.tokens_per_second() < float("inf") for engine in two)


def test_closed_engines_are_not_ready(two):
    assert two.is_ready()
    two.close()
    assert not two.is_ready()


def test_engines_whose_batch_is_late_are_not_ready(stuck):
    stuck._watchdog.is_late = lambda: True

    assert not stuck.is_ready()


def test_a_hanging_model_does_not_hold_the_exit(stuck, monkeypatch):
    monkeypatch.setattr("service.engine.engines.CLOSE_SECONDS", 0.1)
    hang(stuck.find())

    stuck.close()


def test_what_waits_for_one_model_counts_for_the_other(stuck):
    """They share the memory of the queue and the thread."""
    engine = stuck.find()
    hang(engine)
    with pytest.raises(ClientGone):
        engine.embed(["x" * 99], is_gone=iter([False, True]).__next__)  # once it waits
    engine.submit(token_ids(99))

    with pytest.raises(Overloaded, match="99 tokens wait already"):
        stuck.find("other").embed(["abc"])
