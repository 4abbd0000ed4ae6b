"""Made-up tokens of many kinds, none of them whole in a source file, and what text is put in or encoded as."""

import base64
import gzip
import json
import random
import string
import zlib
from collections.abc import Callable

LETTERS, HEX = string.ascii_letters + string.digits, string.hexdigits.lower()[:16]


def some(count: int, letters: str = LETTERS) -> str:
    return "".join(random.Random(count).choices(letters, k=count))


TOKENS = {
    "GitHub, fine-grained": f"github_pat_{some(22)}_{some(59)}",
    "GitHub": "ghp_" + some(36),
    "GitHub, of an app": "ghs_" + some(36),
    "Google": "AIza" + some(35),
    "Google, of a client": "GOCSPX-" + some(28),
    "Google, of a session": "ya29." + some(120),
    "AWS, the name": "AKIA" + some(16, string.ascii_uppercase + "234567"),
    "AWS, the key": f"aws_secret_access_key = {some(40)}",
    "Anthropic": f"sk-ant-api03-{some(93)}AA",
    "Anthropic, of a session": f"sk-ant-oat01-{some(93)}AA",
    "OpenAI": f"sk-proj-{some(74)}T3BlbkFJ{some(74)}",
    "OpenAI, of a service": f"sk-svcacct-{some(74)}T3BlbkFJ{some(74)}",
    "OpenAI, of old": f"sk-{some(20)}T3BlbkFJ{some(20)}",
    "the Hub": "hf_" + some(34),
    "the Hub, of little entropy": "hf_" + "Ab3" * 12,
    "the Hub, by OAuth": "hf_oauth_" + some(40),
    "Google, to renew": "1//0" + some(60),
    "the Hub, of an organisation": "api_org_" + some(34),
    "GitLab": "glpat-" + some(20),
    "Slack": f"xoxb-{some(12, string.digits)}-{some(13, string.digits)}-{some(24)}",
    "npm": "npm_" + some(36),
    "PyPI": "pypi-AgEIcHlwaS5vcmc" + some(80),
    "DigitalOcean": "dop_v1_" + some(64, HEX),
    "OpenRouter": "sk-or-v1-" + some(64, HEX),
    "Azure": "AccountKey=" + base64.b64encode(some(64).encode()).decode(),
}


def escaped(form: str) -> Callable[[str], bytes]:
    return lambda text: "".join(form.format(ord(letter)) for letter in text).encode()


def encoded(text: str) -> bytes:
    return base64.b64encode(text.encode())


def dumped(text: str) -> bytes:
    """Return what ``hexdump -C`` prints."""
    lines = [text.encode()[start : start + 16] for start in range(0, len(text), 16)]
    return b"\n".join(b"%08x  %s  |%s|" % (16 * at, line.hex(" ").encode(), line) for at, line in enumerate(lines))


ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "alone": str.encode,
    "in code": lambda text: f'TOKEN = "{text}"  # of mine\n'.encode(),
    "in an address": lambda text: f"https://example.org/?key={text}&a=1".encode(),
    "behind an escape": lambda text: f'"a\\n{text}\\n"'.encode(),
    "in a notebook": lambda text: json.dumps({"cells": [{"source": [f"a = '{text}'\n"]}]}).encode(),
    "in a binary": lambda text: b"\x7fELF\0\1\2" + text.encode() + b"\0\xff",
    "UTF-16": lambda text: f"a\r\n{text}".encode("utf-16"),
    "UTF-16, big end first": lambda text: text.encode("utf-16-be"),
    "UTF-32": lambda text: text.encode("utf-32"),
    "base64": encoded,
    "base64, wrapped": lambda text: base64.encodebytes(b"some text before it " * 4 + text.encode()),
    "base64 of addresses": lambda text: base64.urlsafe_b64encode(b">>>???" + text.encode()),
    "base64 twice": lambda text: base64.b64encode(encoded(text)),
    "base64 behind a word": lambda text: b"Basic_" + encoded(text),
    "base64 of UTF-16": lambda text: base64.b64encode(text.encode("utf-16-le")),
    "base32": lambda text: base64.b32encode(text.encode()),
    "base32, small": lambda text: base64.b32encode(text.encode()).lower(),
    "base85": lambda text: b"a = '%s'" % base64.b85encode(text.encode()),
    "hexadecimal": lambda text: text.encode().hex().encode(),
    "hexadecimal with colons": lambda text: text.encode().hex(":").upper().encode(),
    "an array of C": lambda text: ", ".join(map(hex, text.encode())).encode(),
    "percent": escaped("%{:02X}"),
    "quoted-printable": escaped("={:02X}"),
    "JSON": escaped("\\u{:04x}"),
    "escapes": escaped("\\x{:02x}"),
    "escapes of 8 digits": escaped("\\U{:08x}"),
    "octal": escaped("\\{:03o}"),
    "octal, short": escaped("\\{:o}"),
    "a list of numbers": lambda text: str([*text.encode()]).encode(),
    "numbers in code": escaped("chr({}) + "),
    "HTML": escaped("&#{};"),
    "a dump": dumped,
    "zlib": lambda text: b"blob" + zlib.compress(text.encode()),
    "gzip": lambda text: gzip.compress(text.encode()),
    "base64 of gzip": lambda text: base64.b64encode(gzip.compress(text.encode())),
}
JOINED: dict[str, Callable[[str], bytes]] = {
    "added up": lambda text: f'token = "{text[:9]}" + "{text[9:]}"'.encode(),
    "strings below each other": lambda text: f'token = ("{text[:15]}"\n         "{text[15:]}")'.encode(),
    "wrapped": lambda text: f"token: |\n  {text[:15]}\n  {text[15:]}\n".encode(),
    "continued": lambda text: f"export TOKEN={text[:15]}\\\n{text[15:]}".encode(),
}
