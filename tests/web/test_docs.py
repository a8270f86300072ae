"""The page of the documentation."""

import re

import pytest


def test_the_page_names_no_other_host(client):
    page = client.get("/docs").text

    assert re.findall(r"https?:|<script>|style=| on\w+=", page) == []


def test_what_the_page_loads_is_there_and_is_kept_for_a_year(client):
    urls = re.findall(r'(?:src|href)="(.+?)"', client.get("/docs").text)
    answers = [client.get(url) for url in urls]

    assert len(urls) == 4
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.headers["Cache-Control"] for answer in answers} == {"public, max-age=31536000, immutable"}


def test_nothing_but_its_own_files_may_run(client):
    for path in ("/docs", "/docs/x/start.js"):
        policy = client.get(path).headers["Content-Security-Policy"]

        assert policy.startswith("default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';")
        assert policy.endswith("; img-src 'self' data:; style-src 'self' 'unsafe-inline'")


def test_a_file_of_another_release_is_not_kept(client):
    answer = client.get("/docs/0123456789abcdef/swagger-ui.css")

    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-cache"
    again = client.get("/docs/x/swagger-ui.css", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize("name", ["index.html", "..", "%2e%2e%2fflask_swagger_ui.py", "LICENSE"])
def test_other_files_are_not_served(client, name):
    assert client.get(f"/docs/x/{name}").status_code == 404
