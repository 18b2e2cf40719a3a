"""Asks a router with the official OpenAI and Anthropic clients, as their users do, and prints what
came back as JSON, a line for each case.

python3 sdks.py URL KEY CASE=MODEL...: a case is the name of one of the functions below.
"""

import json
import os
import sys

root = os.environ.get("BELLWETHER_PEERS") or os.path.join(os.path.dirname(__file__), "../../.peers")
sys.path.insert(0, os.path.join(root, "sdks"))

import anthropic  # noqa: E402
import openai  # noqa: E402

url, key = sys.argv[1], sys.argv[2]
# What the clients themselves repeat would hide what the router does.
chat = openai.OpenAI(base_url=url + "/v1", api_key=key, max_retries=0, timeout=20)
messages = anthropic.Anthropic(base_url=url, api_key=key, max_retries=0, timeout=20)

ask = [{"role": "user", "content": "say exactly 7f3a"}]
schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
picture = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABpfZFQAAAAABJRU5ErkJggg=="


def openai_plain(model):
    raw = chat.chat.completions.with_raw_response.create(model=model, messages=ask, max_tokens=16)
    answer = raw.parse()
    return {
        "text": answer.choices[0].message.content,
        "finish": answer.choices[0].finish_reason,
        "tokens": answer.usage.completion_tokens,
        "arm": raw.headers.get("x-bellwether-arm"),
    }


def openai_stream(model):
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


def responses_plain(model):
    raw = chat.responses.with_raw_response.create(model=model, input=ask, max_output_tokens=16)
    answer = raw.parse()
    return {
        "text": answer.output_text,
        "finish": answer.status,
        "tokens": answer.usage.output_tokens,
        "arm": raw.headers.get("x-bellwether-arm"),
    }


def responses_stream(model):
    with chat.responses.stream(model=model, input=ask, max_output_tokens=16) as stream:
        for _ in stream:
            pass
        answer = stream.get_final_response()
    return {
        "text": answer.output_text,
        "finish": answer.status,
        "tokens": answer.usage.output_tokens,
    }


def openai_embeddings(model):
    answer = chat.embeddings.create(model=model, input=["a", "b"])
    return {"sizes": [len(one.embedding) for one in answer.data]}


def openai_models(_):
    return {"ids": sorted(model.id for model in chat.models.list())}


def anthropic_plain(model):
    raw = messages.messages.with_raw_response.create(model=model, messages=ask, max_tokens=16)
    answer = raw.parse()
    return {
        "text": answer.content[0].text,
        "finish": answer.stop_reason,
        "tokens": answer.usage.output_tokens,
        "arm": raw.headers.get("x-bellwether-arm"),
    }


def anthropic_stream(model):
    with messages.messages.stream(model=model, messages=ask, max_tokens=16) as stream:
        text = "".join(stream.text_stream)
        last = stream.get_final_message()
    return {"text": text, "finish": last.stop_reason, "tokens": last.usage.output_tokens}


def anthropic_models(_):
    return {"ids": sorted(model.id for model in messages.models.list())}


def openai_turn(model, is_streamed):
    """A picture and a system prompt, a call of a tool, its result, the answer."""
    said = [
        {"role": "system", "content": "be brief"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "the weather in Ulm"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64," + picture}},
            ],
        },
    ]
    function = {"name": "weather", "description": "tells it", "parameters": schema}
    asked = {
        "model": model,
        "max_tokens": 64,
        "tools": [{"type": "function", "function": function}],
        "tool_choice": "auto",
    }

    def hear():
        if not is_streamed:
            answer = chat.chat.completions.create(messages=said, **asked)
        else:
            with chat.chat.completions.stream(messages=said, **asked) as stream:
                for _ in stream:
                    pass
                answer = stream.get_final_completion()
        return answer.choices[0]

    first = hear()
    call = first.message.tool_calls[0]
    said.append(first.message.model_dump(exclude_none=True, exclude={"parsed"}))
    said.append({"role": "tool", "tool_call_id": call.id, "content": "rain"})
    last = hear()
    return {
        "call": [call.function.name, json.loads(call.function.arguments), first.finish_reason],
        "last": [last.message.content, last.finish_reason],
    }


def openai_tools(model):
    return openai_turn(model, False)


def openai_tools_stream(model):
    return openai_turn(model, True)


def anthropic_turn(model, is_streamed):
    """The same."""
    source = {"type": "base64", "media_type": "image/png", "data": picture}
    said = [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "the weather in Ulm"},
                {"type": "image", "source": source},
            ],
        }
    ]
    asked = {
        "model": model,
        "max_tokens": 64,
        "system": "be brief",
        "tools": [{"name": "weather", "description": "tells it", "input_schema": schema}],
    }

    def hear():
        if not is_streamed:
            return messages.messages.create(messages=said, **asked)
        with messages.messages.stream(messages=said, **asked) as stream:
            for _ in stream:
                pass
            return stream.get_final_message()

    first = hear()
    call = next(block for block in first.content if block.type == "tool_use")
    said.append({"role": "assistant", "content": first.content})
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "rain"}
    said.append({"role": "user", "content": [result]})
    last = hear()
    return {
        "call": [call.name, call.input, first.stop_reason],
        "last": [last.content[0].text, last.stop_reason],
    }


def anthropic_tools(model):
    return anthropic_turn(model, False)


def anthropic_tools_stream(model):
    return anthropic_turn(model, True)


def openai_thoughts(model):
    answer = chat.chat.completions.create(model=model, messages=ask, max_tokens=64)
    message = answer.choices[0].message
    return {"thought": getattr(message, "reasoning_content", None), "text": message.content}


def openai_thoughts_stream(model):
    thought, text = "", ""
    with chat.chat.completions.create(
        model=model, messages=ask, max_tokens=64, stream=True
    ) as stream:
        for chunk in stream:
            for choice in chunk.choices:
                thought += getattr(choice.delta, "reasoning_content", None) or ""
                text += choice.delta.content or ""
    return {"thought": thought, "text": text}


def blocks(answer):
    return {
        "thought": "".join(block.thinking for block in answer.content if block.type == "thinking"),
        "text": "".join(block.text for block in answer.content if block.type == "text"),
    }


def anthropic_thoughts(model):
    return blocks(messages.messages.create(model=model, messages=ask, max_tokens=64))


def anthropic_thoughts_stream(model):
    with messages.messages.stream(model=model, messages=ask, max_tokens=64) as stream:
        for _ in stream:
            pass
        return blocks(stream.get_final_message())


for asked in sys.argv[3:]:
    case, model = asked.split("=", 1)
    try:
        said = globals()[case](model)
    except Exception as error:  # noqa: BLE001 - which one it is, is what is asked
        inner = getattr(error, "__cause__", None)
        said = {
            "error": type(error).__name__,
            "status": getattr(error, "status_code", None),
            "message": str(error),
            "cause": inner and type(inner).__name__,
        }
    print(json.dumps(said))
