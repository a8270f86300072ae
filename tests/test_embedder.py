"""service.embedder: batches to vectors inside another's pipeline."""

import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from service import embedder as pipeline
from service.embedder import Embedder
from service.errors import BadSetting, InvalidInput
from service.settings import Settings
from tests import programs

ROOT = Path(__file__).parent.parent
TEXTS = ["Hello, world", "你好,世界", "Hello, world", ""]

#: Spark's own environment has pyspark alone: it runs with the packages of the service.
SPARK = sorted((ROOT / ".venv-clients/spark").glob("lib/python*/site-packages"))
SPARKS = {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1", "EMBED_DTYPE": "float32"}


def example(name):
    """Return the program of this pipeline that docs/corpora.md prints."""
    manual = (ROOT / "docs/corpora.md").read_text()
    [program] = re.findall(rf"^{name}:\n\n```python\n(.*?)```", manual, re.MULTILINE | re.DOTALL)
    return program


def run(program, cache, **variables):
    """Run an example; return what it printed, as ids and the first components of their vectors."""
    environ = os.environ | {"EMBED_CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT)} | variables
    done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = re.findall(r"^(\d+) \[(.*)\]$", done.stdout, re.MULTILINE)
    return {int(row): [float(each) for each in vector.replace(",", " ").split()] for row, vector in found}


@pytest.fixture
def embedder(cache):
    return Embedder(cache_dir=cache, dtype="float32")


@pytest.fixture(scope="session")
def expected(reference):
    return reference.encode(TEXTS)


@pytest.mark.model
def test_columns_get_the_vectors_as_a_further_one(cache, expected):
    embedder = Embedder(text="body", vector="embedding", cache_dir=cache, dtype="float32")

    answer = embedder({"id": np.arange(4), "body": np.array(TEXTS, object)})

    assert list(answer) == ["id", "body", "embedding"]
    np.testing.assert_allclose(answer["embedding"], expected, atol=1e-5)


@pytest.mark.model
@pytest.mark.parametrize("kind", [list, np.array, pd.Series])
def test_texts_alone_become_an_array(embedder, expected, kind):
    vectors = embedder(kind(TEXTS))

    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, atol=1e-5)


@pytest.mark.model
def test_no_texts_have_no_vectors(embedder):
    assert embedder([]).shape == (0, 384)


def test_no_texts_need_no_model_if_the_length_is_known(tmp_path):
    assert Embedder(model=tmp_path / "none", dimensions=64)([]).shape == (0, 64)


@pytest.mark.parametrize(("threads", "sharers"), [("2", 4), ("4,2", 2), (" 4 , 2 ", 2), ("0", 1), ("x", 1), ("", 1)])
def test_a_process_takes_the_cores_of_omp_num_threads(monkeypatch, threads, sharers):
    """As OpenMP reads it: the first of a list, and all cores if there is no number."""
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    monkeypatch.setattr(pipeline.cpu, "cores", lambda: 8)
    monkeypatch.setattr(pipeline, "_engines", {})
    monkeypatch.setattr(pipeline, "_load", lambda _, sharers: sharers)

    assert pipeline._find_engine(Settings(), None) == sharers


@pytest.mark.model
def test_it_is_pickled_without_its_model(embedder, expected):
    embedder(TEXTS)
    pickled = pickle.dumps(embedder)

    assert len(pickled) < 2000
    np.testing.assert_allclose(pickle.loads(pickled)(TEXTS), expected, atol=1e-5)


@pytest.mark.model
def test_leading_components_have_length_1(cache):
    vectors = Embedder(cache_dir=cache, dtype="float32", dimensions=64)(TEXTS)

    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors.shape == (4, 64)


@pytest.mark.model
def test_a_prompt_that_the_model_has_not_is_refused(cache):
    with pytest.raises(InvalidInput, match="all-MiniLM-L6-v2 has no prompt 'x'; it has "):
        Embedder(cache_dir=cache, dtype="float32", prompt="x")(TEXTS)


def test_a_row_without_a_text_is_refused():
    with pytest.raises(InvalidInput, match="row 1 of the batch has None in place of a text"):
        Embedder()(["fine", None])


def test_an_unknown_setting_is_refused_at_once():
    with pytest.raises(BadSetting, match="EMBED_MODLE is not a setting; did you mean EMBED_MODEL?"):
        Embedder(modle="x")


@pytest.mark.model
@pytest.mark.clients
def test_the_manuals_spark_program_gives_the_vectors(cache, expected):
    if not (SPARK and shutil.which("java")):
        programs.skip("needs java, and .venv-clients/spark, which make test-clients makes")
    path = os.pathsep.join(map(str, [ROOT, *SPARK]))

    printed = run(example("Spark"), cache, PYTHONPATH=path, **SPARKS)

    assert printed.keys() == {1, 2}
    np.testing.assert_allclose([printed[1], printed[2]], expected[:2, :4], atol=1e-5)
