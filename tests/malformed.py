"""Strategies of hypothesis: request bodies, headers and bytes on the wire that are wrong, or nearly right."""

import json
import string
from typing import Any

from hypothesis import strategies as st

#: A valid body for each member that a client may send.
VALID: dict[str, Any] = {
    "input": ["a text", "another"],
    "model": "fake",
    "encoding_format": "base64",
    "dimensions": 2,
    "user": {"id": [1, 2.5, None, True]},
}

#: Spelt as Python would never write them: too large, no JSON, half a character, or an escape that is none.
ODD_TOKENS = [
    *("NaN", "-Infinity", "1e999", "-1e-999", "-0", "01", "+1", "1.", ".5", "0x10", "1_000", "9" * 400, "9" * 5000),
    *("18446744073709551616", "-9223372036854775809", "1e18446744073709551616"),
    *('"\\ud800"', '"\\udc00\\ud800"', '"\\ud83d\\u00e9"', '"\\x41"', '"\\u12"', '"\\', '"\x00"', '"\ud800"', "'a'"),
    *(
        "",
        "undefined",
        "True",
        "null",
        "[]",
        "{}",
        "[[]]",
        "[1, 2]",
        '[""]',
        '[null, "a"]',
        '{"a"}',
        "[,]",
        "[1,]",
        "//",
    ),
]
ENCODINGS = ["utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "utf-32-be", "utf-7", "gb18030", "cp037"]

#: Request headers that the service, its framework or its server read.
HEADERS = [
    *("Content-Type", "Content-Encoding", "Accept", "Accept-Encoding", "Authorization", "api-key", "Cookie", "Host"),
    *("X-Request-ID", "traceparent", "X-Request-Timeout", "X-Request-Start", "X-Priority", "X-Forwarded-For", "Range"),
    *("If-None-Match", "If-Modified-Since", "Expect", "Upgrade", "Connection", "Origin", "Content-MD5"),
]
ODD_VALUES = [
    *("", " ", "gzip", "gzip, br", "GZIP ,identity", "application/json; charset=utf-16", "multipart/form-data", "1e9"),
    *(
        "multipart/form-data; boundary=",
        "text/html; charset=\xff",
        "Bearer",
        "Bearer \xe9",
        "Basic !",
        "Digest a=",
        "-1",
    ),
    *("t=", "t=1e3", "t=0", "nan", "inf", "00-" + "0" * 32 + "-" + "1" * 16 + "-01", "bytes=0-", "bytes=a", '"', "W/"),
    *("100-continue", "h2c", "websocket", "[::1", "a:b:c", "\x00", "a" * 9000, "\xad", ";;;", ",", "=?utf-8?q?a?="),
]


def values() -> st.SearchStrategy[Any]:
    """Return any JSON, half characters and numbers beyond 64 bits included."""
    characters = st.characters(codec=None, exclude_categories=[])
    texts = st.text(characters, max_size=20)
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | texts
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=4),
        max_leaves=12,
    )


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Return a body that was valid before one to five things happened to it."""
    members = draw(st.lists(_members(), min_size=1, max_size=6))
    text = "{" + ", ".join(f"{json.dumps(name)}: {value}" for name, value in members) + "}"
    encoding = draw(st.sampled_from(ENCODINGS))
    body = text.encode(encoding, "surrogatepass" if encoding.startswith(("utf-8", "utf-16", "utf-32")) else "replace")
    for _ in range(draw(st.integers(0, 3))):
        body = _damage(draw, body)
    return body


def nestings() -> st.SearchStrategy[bytes]:
    """Return lists and objects inside each other, closed again or not, alone or in a member."""
    return st.builds(
        lambda opening, closing, depth, around: around[0] + opening * depth + b"1" + closing * depth + around[1],
        st.sampled_from([b"[", b'{"input":', b'[{"a":', b"[[],"]),
        st.sampled_from([b"", b"]", b"}", b"}]"]),
        st.integers(1, 3000),
        st.sampled_from([(b"", b""), (b'{"input": ', b"}"), (b'{"other": ', b', "input": "a"}')]),
    )


def headers(names: list[str] = HEADERS) -> st.SearchStrategy[dict[str, str]]:
    """Return headers that are known by their names and odd in their values, and unknown ones."""
    latin = st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=30)
    token = st.text(string.ascii_letters + string.digits + "-_!#$%&'*+.^`|~", min_size=1, max_size=20)
    return st.dictionaries(st.sampled_from(names) | token, st.sampled_from(ODD_VALUES) | latin, max_size=4)


def _members() -> st.SearchStrategy[tuple[str, str]]:
    """Return a name and its JSON; drawn twice, a member is there twice."""
    valid = st.sampled_from(sorted(VALID)).map(lambda name: (name, json.dumps(VALID[name])))
    spelling = st.sampled_from(ODD_TOKENS) | st.builds(json.dumps, values(), ensure_ascii=st.booleans())
    return valid | st.tuples(st.sampled_from(sorted(VALID)) | st.text(max_size=5), spelling)


def _damage(draw: st.DrawFn, body: bytes) -> bytes:
    at = draw(st.integers(0, len(body)))
    piece = draw(
        st.binary(max_size=4) | st.sampled_from([b"", b"\xff", b"\xed\xa0\x80", b"\x00", b'"', b"\\", b"}", b","])
    )
    left_out = draw(st.integers(0, 3) | st.integers(0, len(body)))
    return body[:at] + piece + body[at + left_out :]


GOOD = b'{"input": "a text"}'

#: Each ends with its line break.
HEADER_LINES = [
    *(
        b"Host: x\r\n",
        b"Connection: keep-alive\r\n",
        b"Expect: 100-continue\r\n",
        b"Upgrade: h2c\r\n",
        b"X-Priority: bulk\r\n",
    ),
    *(
        b"no colon\r\n",
        b": no name\r\n",
        b"Name : space\r\n",
        b"\tfolded\r\n",
        b" \r\n",
        b"bare: feed\n",
        b"bare: return\r",
    ),
    *(b"nul: \x00\r\n", b"\xff\xfe: \xe9\r\n", b"\x00\r\n", b"Host:\r\n", b"UWSGI_FILE: x\r\n", b"Script-Name: /a\r\n"),
    *(b"Status: 500\r\n", b"Content-Length: 19\r\n"),
]
#: More than uWSGI has room for.
HUGE = {
    "method": b"M" * 70_000 + b" / HTTP/1.1\r\n\r\n",
    "path": b"GET /%b HTTP/1.1\r\n\r\n" % (b"p" * 70_000),
    "query": b"GET /livez?%b HTTP/1.1\r\n\r\n" % (b"q" * 70_000),
    "version": b"GET /livez HTTP/%b\r\n\r\n" % (b"1" * 70_000),
    "name": b"GET /livez HTTP/1.1\r\n%b: a\r\n\r\n" % (b"a" * 70_000),
    "value": b"GET /livez HTTP/1.1\r\na: %b\r\n\r\n" % (b"a" * 70_000),
    "headers": b"GET /livez HTTP/1.1\r\n%b\r\n" % (b"many: a\r\n" * 600),
}

LENGTHS = [
    *(b"0", b"-1", b"+19", b"19, 19", b"0x13", b"1e9", b"\xd9\xa3", b"19.0", b"18", b"20", b"4000", b"30000000", b""),
    *(b"40000000", b"9223372036854775808", b"9" * 40, b"9" * 5000, b"019", b" 19 ", b"1 9", b"19\x00"),
]
CHUNK_SIZES = [
    *(
        b"13",
        b"0",
        b"",
        b"-1",
        b"+13",
        b"0x13",
        b"013",
        b"12",
        b"14",
        b"FFFFFFFF",
        b"7fffffffffffffff",
        b"f" * 40,
        b"g",
        b" 13",
    ),
    *(b"13;name=value", b'13;a="\r\n"', b"13 ", b"13\x00", b"13\r", b"10000001", b"\xb2"),
]


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """Return a request line and headers that are odd, with or without an end, and a body."""
    methods = st.sampled_from([b"GET", b"POST", b"", b"get", b"P\x00ST"]) | st.binary(max_size=8)
    targets = st.sampled_from([b"/embed", b"/livez", b"*", b"", b"//", b"http://a/embed", b"/%zz%00"])
    versions = st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/9.9", b"HTTP/", b"", b"HTTP/1.1 HTTP/1.1", b"SIP/2.0"])
    spaces = st.sampled_from([b" ", b" ", b" ", b"", b"\t", b"  ", b"\x00"])
    ends = st.sampled_from([b"\r\n", b"\r\n", b"\n", b"\r", b"", b"\r\n\r\n"])
    parts = (methods, spaces, targets | st.binary(max_size=40), spaces, versions | st.binary(max_size=12), ends)
    lines = st.lists(st.sampled_from(HEADER_LINES) | st.binary(max_size=40), max_size=5)
    return b"".join(map(draw, parts)) + b"".join(draw(lines)) + draw(ends) + draw(st.sampled_from([b"", GOOD]))


def lengths() -> st.SearchStrategy[bytes]:
    """Return requests with one or two lengths, most of which are not that of the body."""
    line = st.sampled_from(LENGTHS).map(b"Content-Length: %b\r\n".__mod__)
    coding = st.sampled_from([b"chunked", b"Chunked", b"gzip, chunked", b"identity", b"chunked, chunked", b"x", b""])
    lines = st.lists(line | coding.map(b"Transfer-Encoding: %b\r\n".__mod__), min_size=1, max_size=3)
    bodies = st.sampled_from([GOOD, b"", b"13\r\n%b\r\n0\r\n\r\n" % GOOD, GOOD + b"GET /livez HTTP/1.1\r\n\r\n"])
    return st.builds(lambda given, body: _post(b"".join(given)) + body, lines, bodies)


def chunks() -> st.SearchStrategy[bytes]:
    """Return requests with chunks whose sizes and borders are mostly wrong."""
    ends = st.sampled_from([b"\r\n", b"\r\n", b"\n", b"", b"\r", b"\x00\r\n"])
    chunk = st.tuples(
        st.sampled_from(CHUNK_SIZES), ends, st.sampled_from([GOOD, GOOD, b""]) | st.binary(max_size=30), ends
    )
    last = st.sampled_from([b"0\r\n\r\n", b"0\r\n", b"0\r\nTrailer: a\r\n\r\n", b"", b"00000\r\n\r\n"])
    pieces = st.lists(chunk.map(b"".join), max_size=3)
    return st.builds(lambda sent, end: _post(b"Transfer-Encoding: chunked\r\n") + b"".join(sent) + end, pieces, last)


def halves() -> st.SearchStrategy[bytes]:
    """Return the beginnings of a good request."""
    chunked = _post(b"Transfer-Encoding: chunked\r\n") + b"13\r\n%b\r\n0\r\n\r\n" % GOOD
    whole = st.sampled_from([_post(b"Content-Length: 19\r\n") + GOOD, chunked])
    return st.builds(lambda request, left_out: request[: -1 - left_out], whole, st.integers(0, 80))


def _post(header_lines: bytes) -> bytes:
    return b"POST /embed HTTP/1.1\r\nHost: x\r\n%b\r\n" % header_lines
