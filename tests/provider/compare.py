#!/usr/bin/env python3
"""What vendors' own clients and LiteLLM make of the corpus.

    pip install openai anthropic google-genai litellm
    python3 tests/provider/compare.py [--misses] [DIALECT…]

Each answer of tests/provider/<dialect>/ is served from a loopback socket as it stands there, and
asked for with every client that speaks the dialect, without retries and with a second's patience. A
client can only return or raise. So of the failures those are left out that no client is to see
(content, usage, filters, other models, our own timeouts); what is left it should raise for, and for
what is healthy it should not. `--misses` names each one that came out otherwise.
"""

import os
import pathlib
import re
import socket
import struct
import sys
import threading
from importlib.metadata import version

# LiteLLM otherwise fetches a price list when it is imported.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
HERE = pathlib.Path(__file__).resolve().parent
PATIENCE = 1.0
# Far beyond any patience that was asked for, on a busy machine too.
HANGS_AFTER = 40.0
# What a client is to raise for.
RAISES = {
    "connection_reset", "stalled_stream", "truncated_stream", "stream_error", "http_400",
    "http_401", "http_403", "http_404", "http_413", "rate_limited", "quota_exhausted",
    "overloaded", "server_error", "wrong_content_type", "malformed_json", "schema_mismatch",
}


class Fixture:
    def __init__(self, path):
        header, body = path.read_text().split("---\n", 1)
        pairs = [line.split(":", 1) for line in header.splitlines()]
        self.name = path.stem
        self.fields = {name: value.strip() for name, value in pairs}
        self.headers = [value.strip() for name, value in pairs if name == "header"]
        self.is_whole = self.fields.get("asked") == "whole"
        if self.fields.get("final") == "cut":
            body = body.rstrip("\n")
        breaks = {"crlf": "\r\n", "cr": "\r"}.get(self.fields.get("lines"), "\n")
        body = body.replace("\n", breaks).encode()
        if self.fields.get("escapes"):
            body = re.sub(rb"\\x(..)", lambda found: bytes([int(found[1], 16)]), body)
        self.body = (b"\xef\xbb\xbf" if self.fields.get("bom") else b"") + body

    @property
    def is_streamed(self):
        return not self.is_whole

    def serve(self, connection):
        """Reads one request and answers it."""
        request = b""
        while b"\r\n\r\n" not in request:
            request += connection.recv(65536) or exit_thread()
        head, rest = request.split(b"\r\n\r\n", 1)
        length = re.search(rb"content-length: (\d+)", head, re.I)
        while length and len(rest) < int(length[1]):
            rest += connection.recv(65536) or exit_thread()
        lines = [f"HTTP/1.1 {self.fields['status']} X", "transfer-encoding: chunked"]
        if self.fields["content-type"] != "-":
            lines.append(f"content-type: {self.fields['content-type']}")
        answer = "\r\n".join(lines + self.headers + ["connection: close"]) + "\r\n\r\n"
        connection.sendall(answer.encode())
        if self.body:
            connection.sendall(f"{len(self.body):x}\r\n".encode() + self.body + b"\r\n")
        ends = self.fields["ends"]
        if ends == "eof":
            connection.sendall(b"0\r\n\r\n")
        elif ends == "connection_reset":
            # What was sent must be there before the reset is.
            threading.Event().wait(0.05)
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        else:
            threading.Event().wait(PATIENCE * 3)


def exit_thread():
    raise SystemExit


class Server:
    """Serves one fixture at a time, to whoever connects."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.fixture = None
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection):
        with connection:
            try:
                self.fixture.serve(connection)
            except OSError:
                pass


def openai_client(url):
    import openai

    return openai.OpenAI(api_key="k", base_url=f"{url}/v1", max_retries=0, timeout=PATIENCE)


def openai_chat(url, stream):
    messages = [{"role": "user", "content": "x"}]
    answer = openai_client(url).chat.completions.create(model="m", messages=messages, stream=stream)
    return [chunk for chunk in answer] if stream else answer.choices[0].message.content


def openai_responses(url, stream):
    answer = openai_client(url).responses.create(model="m", input="x", stream=stream)
    return [event for event in answer] if stream else answer.output_text


def anthropic_messages(url, stream):
    import anthropic

    client = anthropic.Anthropic(api_key="k", base_url=url, max_retries=0, timeout=PATIENCE)
    messages = [{"role": "user", "content": "x"}]
    answer = client.messages.create(model="m", max_tokens=9, messages=messages, stream=stream)
    return [event for event in answer] if stream else list(answer.content)


def google_genai(url, stream):
    from google import genai

    options = {"base_url": url, "timeout": int(PATIENCE * 1000)}
    client = genai.Client(api_key="k", http_options=options)
    if stream:
        return list(client.models.generate_content_stream(model="m", contents="x"))
    return client.models.generate_content(model="m", contents="x").text


def litellm(model, base):
    def ask(url, stream):
        import litellm as library

        library.suppress_debug_info = True
        answer = library.completion(
            model=model, api_key="k", api_base=base.replace("URL", url), stream=stream,
            messages=[{"role": "user", "content": "x"}], timeout=PATIENCE, num_retries=0,
        )
        return list(answer) if stream else answer.choices[0].message.content

    return ask


CLIENTS = [
    ("openai_chat", "openai", openai_chat),
    ("openai_chat", "litellm", litellm("openai/m", "URL/v1")),
    ("openai_responses", "openai", openai_responses),
    ("anthropic_messages", "anthropic", anthropic_messages),
    ("anthropic_messages", "litellm", litellm("anthropic/m", "URL")),
    ("gemini", "google-genai", google_genai),
    ("gemini", "litellm", litellm("gemini/m", "URL")),
]


def outcome(ask, url, stream):
    """`returned`, or the name of what was raised."""
    found = []

    def run():
        try:
            ask(url, stream)
            found.append("returned")
        except Exception as error:  # whatever a client raises is its verdict
            found.append(type(error).__name__)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(HANGS_AFTER)
    return found[0] if found else "hangs"


def main():
    shows_misses = "--misses" in sys.argv
    dialects = [name for name in sys.argv[1:] if not name.startswith("-")]
    server = Server()
    print(f"{'dialect':<20}{'client':<24}{'raises for failures':>20}{'false alarms':>16}")
    for dialect, client, ask in CLIENTS:
        if dialects and dialect not in dialects:
            continue
        # What a client loads at its first question is no answer's doing.
        server.fixture = Fixture(HERE / dialect / "whole-good.txt")
        outcome(ask, server.url, False)
        caught = failures = alarms = healthy = 0
        misses = []
        for path in sorted((HERE / dialect).glob("*.txt")):
            fixture = Fixture(path)
            expected = fixture.fields["expect"]
            # No client has a stricter manner to choose.
            is_strict = "terminal" in fixture.fields
            if is_strict or expected not in RAISES and expected != "none":
                continue
            server.fixture = fixture
            came = outcome(ask, server.url, fixture.is_streamed)
            has_raised = came not in ("returned", "hangs")
            if expected == "none":
                healthy += 1
                alarms += came != "returned"
            else:
                failures += 1
                caught += has_raised
            if (expected != "none") != has_raised or came == "hangs":
                misses.append(f"    {fixture.name}: {expected}, and it {came}")
        named = f"{client} {version(client)}"
        counts = f"{f'{caught} of {failures}':>20}{f'{alarms} of {healthy}':>16}"
        print(f"{dialect:<20}{named:<24}{counts}", flush=True)
        if shows_misses:
            print("\n".join(misses), flush=True)


if __name__ == "__main__":
    main()
