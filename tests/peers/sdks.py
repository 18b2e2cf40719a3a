"""Asks a router with the official OpenAI and Anthropic clients, as their users do, and prints what
came back as JSON.

python3 sdks.py URL CASE KEY MODEL: a case is the name of one of the functions below.
"""

import json
import os
import sys

root = os.environ.get("BELLWETHER_PEERS") or os.path.join(os.path.dirname(__file__), "../../.peers")
sys.path.insert(0, os.path.join(root, "sdks"))

import anthropic  # noqa: E402
import openai  # noqa: E402

url, case = sys.argv[1], sys.argv[2]
key, model = sys.argv[3], sys.argv[4]
# What the clients themselves repeat would hide what the router does.
chat = openai.OpenAI(base_url=url + "/v1", api_key=key, max_retries=0, timeout=20)
messages = anthropic.Anthropic(base_url=url, api_key=key, max_retries=0, timeout=20)

ask = [{"role": "user", "content": "say exactly 7f3a"}]


def openai_plain():
    raw = chat.chat.completions.with_raw_response.create(model=model, messages=ask, max_tokens=16)
    answer = raw.parse()
    return {
        "text": answer.choices[0].message.content,
        "finish": answer.choices[0].finish_reason,
        "tokens": answer.usage.completion_tokens,
        "arm": raw.headers.get("x-bellwether-arm"),
    }


def openai_stream():
    text, finish, usage = "", None, None
    with chat.chat.completions.create(
        model=model,
        messages=ask,
        max_tokens=16,
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        for chunk in stream:
            for choice in chunk.choices:
                text += choice.delta.content or ""
                finish = choice.finish_reason or finish
            usage = chunk.usage or usage
    return {"text": text, "finish": finish, "tokens": usage and usage.completion_tokens}


def openai_models():
    return {"ids": sorted(model.id for model in chat.models.list())}


def anthropic_plain():
    raw = messages.messages.with_raw_response.create(model=model, messages=ask, max_tokens=16)
    answer = raw.parse()
    return {
        "text": answer.content[0].text,
        "finish": answer.stop_reason,
        "tokens": answer.usage.output_tokens,
        "arm": raw.headers.get("x-bellwether-arm"),
    }


def anthropic_stream():
    with messages.messages.stream(model=model, messages=ask, max_tokens=16) as stream:
        text = "".join(stream.text_stream)
        last = stream.get_final_message()
    return {"text": text, "finish": last.stop_reason, "tokens": last.usage.output_tokens}


def anthropic_models():
    return {"ids": sorted(model.id for model in messages.models.list())}


try:
    said = globals()[case]()
except Exception as error:  # noqa: BLE001 - which one it is, is what is asked
    inner = getattr(error, "__cause__", None)
    said = {
        "error": type(error).__name__,
        "status": getattr(error, "status_code", None),
        "message": str(error),
        "cause": inner and type(inner).__name__,
    }
print(json.dumps(said))
