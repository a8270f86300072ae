import pytest

from tests.fakes import vector_of


def raw(*inputs, **choices):
    return {"inputs": list(inputs), "normalize": False, **choices}


@pytest.mark.parametrize("route", ["/", "/ping", "/health"])
def test_a_platform_that_asks_for_health_gets_200(client, route):
    assert client.get(route).status_code == 200


def test_each_instance_gets_its_own_vectors(client):
    answer = client.post("/vertex", json={"instances": [raw("a"), raw("bc", "d"), raw([97])]})

    assert answer.json == {"predictions": [[vector_of("a")], [vector_of("bc"), vector_of("d")], [vector_of("a")]]}


def test_each_instance_makes_its_own_choices(client):
    answer = client.post(
        "/vertex", json={"instances": [raw("ab", prompt_name="query"), raw("cd"), raw("e", dimensions=1)]}
    )

    assert answer.json == {"predictions": [[vector_of("query: ab")], [vector_of("cd")], [[1]]]}


def test_instances_that_choose_the_same_share_a_request(app, client):
    engine, sizes = app.extensions["engines"]().find(), []
    embed, engine.embed = (
        engine.embed,
        lambda inputs, *args, **more: sizes.append(len(inputs)) or embed(inputs, *args, **more),
    )
    client.post("/vertex", json={"instances": [raw("a"), raw("b", prompt_name="query"), raw("c", "d")]})

    assert sizes == [3, 1]


def test_a_cut_text_is_told_by_its_place_among_all(client, model):
    model.max_length = 9
    long = "abcdefghij"
    answer = client.post(
        "/vertex", json={"instances": [raw("a", prompt_name="query"), raw("b", long), raw(long, prompt_name="query")]}
    )

    assert answer.headers["X-Truncated"] == "2,3"


def test_an_error_names_the_instance_and_the_text(client, model):
    model.max_length = 3
    answer = client.post("/vertex", json={"instances": [raw("a"), raw("b", "abcd", truncate=False)]})

    assert answer.status_code == 422
    assert answer.json["error"].startswith("instances[1].inputs[1] is longer")


@pytest.mark.parametrize(
    ("instances", "status", "complaint"),
    [
        ([], 400, "instances is an empty list"),
        ([{}], 422, "instances[0]: object missing required field `inputs`"),
        ([raw()], 400, "instances[0].inputs is an empty list"),
        ([raw(*["a"] * 2000), raw(*["a"] * 49)], 422, "instances has 2049 texts; send at most 2048"),
    ],
)
def test_bad_instances_are_refused(client, instances, status, complaint):
    answer = client.post("/vertex", json={"instances": instances})

    assert answer.status_code == status
    assert complaint in answer.json["error"]
