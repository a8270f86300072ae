"""The page, used as a person would use it."""

import os
import re
import signal
import subprocess
import sys

import pytest
import requests

from service import keys
from tests.models.families import SERVED, build, build_reranker
from tests.programs import program
from tests.server.browser import LOOKS, judge, keep, launch

pytestmark = [pytest.mark.server, pytest.mark.model]

TEXTS = 'It\'s a "text" for 5 $\n你好'

VIEWS = ("try", "compare", "live", "fork", "models")


FILES = pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "one\n\ntwo, three\n"),
        ("a.csv", 'id,text\n1,one\n2,"two, ""three"""\n'),
        ("a.jsonl", '{"id": 1, "text": "one"}\n"two"\n'),
    ],
)


@pytest.fixture(scope="module")
def chromium():
    with launch() as browser:
        yield browser


@pytest.fixture
def browser(chromium):
    yield chromium
    problems = list(chromium.problems)
    chromium.close()
    assert problems == []


@pytest.fixture
def page(browser, service):
    return browser.open(service.url)


def texts(page, selector):
    return page.locator(selector).all_inner_texts()


def use(page, view):
    """Show a view and do what fills it."""
    page.click(f"nav a[href='#{view}']")
    if view == "try":
        page.click("#embed")
        page.wait_for_selector("#results li")
    elif view == "compare":
        page.click("#relate")
        page.wait_for_selector("#ranked li")
    elif view == "live":
        page.wait_for_selector("#refusals canvas")
    elif view == "fork":
        page.wait_for_selector("#holds tbody tr")


@pytest.mark.parametrize("look", LOOKS)
def test_every_view_can_be_read_by_everybody(browser, service, look):
    page = browser.open(service.url, **LOOKS[look])
    for view in VIEWS:
        use(page, view)
        keep(page, f"{view}-{look}")

        assert judge(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view


def test_a_text_is_shown_as_the_model_reads_it(page):
    page.fill("#texts", "A \U0001f984\n" + "word " * 300)
    page.click("#embed")
    page.wait_for_selector("#results li")
    short, long = page.locator("#results li").all()

    assert short.locator(".chip").all_inner_texts() == ["[CLS]", "A", "\U0001f984[UNK]", "[SEP]"]
    assert long.locator(".cut-here").inner_text() == "cut here: 46 tokens are not read"
    assert (long.locator("s.cut").count(), long.locator(".chip").last.inner_text()) == (46, "[SEP]")
    assert long.locator(".vector").inner_text().endswith("384 numbers, norm 1.0000")
    assert [each.split()[0] for each in texts(page, "#time li")] == ["tokenize", "queue", "model", "serialize"]


def test_options_are_sent(page):
    page.fill("#texts", "A text")
    page.fill("#dimensions", "8")
    page.select_option("#output", "int8")
    page.click("#embed")
    page.wait_for_selector("#results li")

    assert re.fullmatch(r"\[(-?\d+, ){7}-?\d+\] 8 numbers.*", page.inner_text("#results .vector"))


def test_the_copied_request_runs(page):
    page.fill("#texts", TEXTS)
    command = page.inner_text("#snippet").replace("curl", program("curl"), 1)
    done = subprocess.run([program("sh"), "-c", command], capture_output=True, text=True, check=True)

    assert done.stdout.count('"embedding":[') == 2


@pytest.mark.parametrize(
    ("output", "numbers"),
    [
        ("float", r"\[(-?0\.\d+, ){3}-?0\.\d+\]"),
        ("int8", r"\[(-?\d+(\.0)?, ){3}-?\d+(\.0)?\]"),
        ("base64", r"[\w+/]{4}"),
    ],
)
def test_the_copied_python_program_runs(page, output, numbers):
    page.fill("#texts", TEXTS)
    page.fill("#dimensions", "8")
    page.select_option("#output", output)
    page.select_option("#client", "openai-python")
    done = subprocess.run(
        [sys.executable, "-c", page.inner_text("#snippet")], capture_output=True, text=True, check=True
    )

    assert re.fullmatch(f"2 {numbers}\n", done.stdout)


def test_the_copy_button_fills_the_clipboard(browser, service):
    page = browser.open(service.url, permissions=["clipboard-read", "clipboard-write"])
    page.click("#copy")
    page.wait_for_selector("#copied:text-is('Copied.')")

    assert page.evaluate("navigator.clipboard.readText()") == page.inner_text("#snippet")


def test_without_a_clipboard_the_request_is_selected(page):
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('refused')); }")
    page.click("#copy")
    page.wait_for_selector("#copied:text-is('Selected: press Ctrl+C.')")

    assert page.evaluate("String(getSelection())") == page.inner_text("#snippet")


@FILES
def test_a_file_gives_its_texts(page, name, content):
    page.set_input_files("#file", {"name": name, "mimeType": "text/plain", "buffer": content.encode()})
    page.wait_for_selector("#count:text-is('2 texts')")

    assert page.input_value("#texts").startswith("one\ntwo")


@FILES
def test_a_file_that_is_dropped_gives_its_texts(page, name, content):
    file = page.evaluate_handle(
        "([name, content]) => {"
        " const carried = new DataTransfer(); carried.items.add(new File([content], name)); return carried; }",
        [name, content],
    )
    page.dispatch_event("#texts", "drop", {"dataTransfer": file})
    page.wait_for_selector("#count:text-is('2 texts')")

    assert page.input_value("#texts").startswith("one\ntwo")


def test_texts_are_compared(page):
    page.click("nav a[href='#compare']")
    page.click("[data-example][lang=en]")
    page.wait_for_selector("#ranked li")

    assert page.locator("#heat tbody td").count() == 100
    assert page.locator("#map circle").count() == 10
    assert texts(page, "#ranked li")[0].startswith("Water the tomatoes")


@pytest.mark.parametrize("lines", ["one", "alike\nalike\nalike", "a\nb"])
def test_few_texts_and_texts_that_are_alike_have_a_map_too(page, lines):
    page.click("nav a[href='#compare']")
    page.fill("#texts", lines)
    page.click("#relate")
    page.wait_for_selector("#map circle")

    assert page.locator("#map circle").count() == len(lines.split())
    assert "NaN" not in page.inner_html("#map") + page.inner_text("#map-note")


def test_the_heat_map_is_read_with_the_keyboard(page):
    page.click("nav a[href='#compare']")
    page.fill("#texts", "a cat\na kitten\nan engine")
    page.click("#relate")
    page.focus("#heat td[tabindex='0']")
    page.keyboard.press("ArrowRight")

    assert re.fullmatch(r"0\.\d{4}: a cat ↔ a kitten", page.inner_text("#cell"))
    page.keyboard.press("ArrowDown")
    assert page.inner_text("#cell") == "1.0000: a kitten ↔ a kitten"


def test_each_pair_of_fifty_texts_is_drawn(page):
    page.click("nav a[href='#compare']")
    page.fill("#texts", "\n".join(f"text number {i}" for i in range(50)))
    page.click("#relate")
    page.wait_for_selector("#map circle")

    assert page.locator("#heat tbody td").count() == 2500


def test_more_texts_than_can_be_shown_are_refused(page):
    page.fill("#texts", "\n".join(map(str, range(51))))
    page.click("#embed")
    page.wait_for_selector("#problem:not([hidden])")

    assert page.inner_text("#problem") == "The page shows at most 50 texts, and there are 51."


def test_everything_works_with_the_keyboard_alone(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    for _ in range(20):
        if page.evaluate("document.activeElement.id") == "embed":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("#results li")


def test_language_and_theme_can_be_switched(page):
    page.click("[data-language][lang=zh]")
    page.wait_for_selector("html[lang=zh] #embed:text-is('计算向量')")
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")

    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
    page.reload()
    page.wait_for_selector("#embed:text-is('计算向量')")


def test_the_story_of_the_fork_is_this_instances(page, service):
    page.click("nav a[href='#fork']")
    page.wait_for_selector("#holds tbody tr")
    stories, rows = texts(page, "#timeline .story"), texts(page, "#holds tbody tr")

    assert len(stories) == 2
    assert all(re.search(r"forked .* start .* import .* load .* measure .* ready", each) for each in stories)
    assert rows[0].split("\t")[2:5] == ["no", "no", "no"]
    assert {int(row.split("\t")[1]) for row in rows[2:]} == service.workers()
    assert all(row.split("\t")[2:4] == ["yes", "yes"] for row in rows[2:])


def test_the_commands_of_other_launchers_are_told(page):
    page.click("nav a[href='#fork']")
    rows = texts(page, "#launchers tbody tr")

    assert "gunicorn -w 4 --preload\tthe master, before it forks\tfails for every request" in rows
    colors = page.evaluate("[...launchers.querySelectorAll('td:last-child')].map(e => getComputedStyle(e).color)")
    assert [each == colors[0] for each in colors] == [row.split("\t")[2].startswith("works") for row in rows]
    for name in ("forking.md", "forking.zh.md"):
        url = page.locator(f"a[href$='{name}']").evaluate("link => link.href")
        assert "gunicorn -w 4 --preload" in page.request.get(url).text()


def test_the_models_have_a_card(page):
    page.click("nav a[href='#models']")
    card = page.inner_text("#cards")

    assert all(each in card for each in ("all-MiniLM-L6-v2", "openvino", "≥ 0.99", "384", "256"))


def test_a_killed_worker_and_the_end_are_seen_as_they_happen(browser, start):
    service = start(workers=2).wait_until_ready(2)
    page = browser.open(f"{service.url}/#live")
    page.wait_for_selector("#refusals canvas")
    victim = min(service.workers())
    os.kill(victim, signal.SIGKILL)
    page.wait_for_selector(f"#events li:has-text('process {victim} is gone')")
    service.popen.send_signal(signal.SIGINT)
    page.wait_for_selector("#reach.bad:has-text('cannot be reached')")
    browser.problems.clear()  # chromium writes of requests that fail


def test_a_cut_is_shown_where_it_is_and_a_reranker_ranks(browser, start, tmp_path):
    left = build(tmp_path / "left", SERVED["BERT, cut at the left"])
    service = start(model=left, rerank_model=build_reranker(tmp_path / "scorer")).wait_until_ready()
    page = browser.open(service.url)
    page.fill("#texts", "time " * 80 + "\nyear\npeople")
    page.click("#embed")
    page.wait_for_selector("#results li")
    chips = page.locator("#results li").first.locator(".chips > *")

    assert (chips.first.inner_text(), chips.last.inner_text()) == ("[CLS]", "[SEP]")
    assert chips.nth(19).inner_text() == "cut here: 18 tokens are not read"
    assert page.locator("#results s.cut").count() == 18
    page.click("nav a[href='#compare']")
    page.fill("#query", "year")
    page.click("#ranking button")
    page.wait_for_selector("#ranked li")
    answer = requests.post(
        f"{service.url}/v1/rerank", json={"query": "year", "documents": ["year", "people"]}, timeout=60
    )
    scores = {f"{each['relevance_score']:.4f}" for each in answer.json()["results"]}
    assert scores <= {each.split()[-1] for each in texts(page, "#ranked li")}
    page.click("nav a[href='#models']")
    page.wait_for_selector("dd:text-is('scorer')")


def test_with_keys_the_page_asks_for_one_and_keeps_it_in_the_tab(browser, start, tmp_path):
    key = keys.create(str(tmp_path / "keys"), "search", None)
    service = start(api_keys_file=tmp_path / "keys").wait_until_ready()
    page = browser.open_bare(service.url)
    page.wait_for_selector("#door[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector("#problem:text-is('The service needs an API key for that.')")
    page.click("#embed")
    page.fill("#key", "emb_wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("#refused:not([hidden])")
    page.fill("#key", key)
    page.keyboard.press("Enter")
    page.wait_for_selector("#results li")

    assert key not in page.inner_text("#snippet")
    assert "$EMBEDDINGS_KEY" in page.inner_text("#snippet")
    other = page.context.new_page()
    other.goto(service.url)
    other.wait_for_selector("#door[open]")
    assert {"401" in each for each in browser.problems} == {True}
    browser.problems.clear()
