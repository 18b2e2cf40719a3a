"""Starts LiteLLM's proxy on a free loopback port and says where. Ends when stdin does.

python3 tests/peers/litellm.py KEY UPSTREAM: demands KEY, and asks an aimock at UPSTREAM by the same key.

It speaks chat completions, messages, responses, Azure's paths and Gemini's. Models:
  mock-1        LiteLLM's own mock: "bellwether hears seven chunks of it"
  mock-limited, mock-context, mock-error, mock-timeout
                LiteLLM's own faults; what they come to differs by interface
  echo          asks aimock in chat completions, and tells the answer in every interface
  echo-claude   asks it in messages
  echo-limited, echo-error, echo-cut
                aimock's faults by way of LiteLLM: 429, 503, a connection that breaks mid-stream
"""

import json
import os
import socket
import sys
import tempfile
import threading
import urllib.request

root = os.environ.get("BELLWETHER_PEERS") or os.path.join(os.path.dirname(__file__), "../../.peers")
sys.path.insert(0, os.path.join(root, "litellm"))
key, upstream = sys.argv[1], sys.argv[2]


def mock(name, response, **more):
    params = {"model": "openai/mock-1", "api_key": "x", "mock_response": response, **more}
    return {"model_name": name, "litellm_params": params}


def asks(name, model, base):
    return {"model_name": name, "litellm_params": {"model": model, "api_key": key, "api_base": base}}


config = {
    "model_list": [
        mock("mock-1", "bellwether hears seven chunks of it"),
        mock("mock-limited", "litellm.RateLimitError"),
        mock("mock-context", "litellm.ContextWindowExceededError"),
        mock("mock-error", "litellm.InternalServerError"),
        mock("mock-timeout", "late", mock_timeout=True, timeout=0.2),
        asks("echo", "openai/mock-1", upstream + "/v1"),
        asks("echo-claude", "anthropic/mock-1", upstream),
        asks("echo-limited", "openai/mock-limited", upstream + "/v1"),
        asks("echo-error", "openai/mock-error", upstream + "/v1"),
        asks("echo-cut", "openai/mock-truncated", upstream + "/v1"),
    ],
    "general_settings": {"master_key": key},
    # Each fault shall arrive as it is: nothing is tried again, nothing is put aside.
    "litellm_settings": {"num_retries": 0, "telemetry": False},
    "router_settings": {"num_retries": 0, "disable_cooldowns": True},
}
directory = tempfile.TemporaryDirectory()
os.environ["CONFIG_FILE_PATH"] = os.path.join(directory.name, "config.yaml")
with open(os.environ["CONFIG_FILE_PATH"], "w") as file:
    # JSON is YAML.
    json.dump(config, file)
# Nothing is fetched from anywhere.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ["LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS"] = "True"

import uvicorn  # noqa: E402
from litellm.proxy.proxy_server import app  # noqa: E402

# Straight to this machine, whatever proxy there is.
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
listener = socket.create_server(("127.0.0.1", 0))
server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))


def warm(model):
    """Has each interface answer once: at the first question of a kind it reads modules, and hears nobody."""
    said = [{"role": "user", "content": "warm"}]
    chat = {"model": model, "messages": said, "stream": True, "stream_options": {"include_usage": True}}
    for path, question in [
        ("/v1/chat/completions", chat),
        (f"/openai/deployments/{model}/chat/completions?api-version=2024-10-21", chat),
        ("/v1/messages", {"model": model, "messages": said, "max_tokens": 9, "stream": True}),
        ("/v1/responses", {"model": model, "input": "warm", "stream": True}),
        (
            f"/v1beta/models/{model}:streamGenerateContent?alt=sse",
            {"contents": [{"role": "user", "parts": [{"text": "warm"}]}]},
        ),
    ]:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}{path}"
        headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
        request = urllib.request.Request(url, json.dumps(question).encode(), headers)
        try:
            with opener.open(request, timeout=60) as answer:
                answer.read()
        except OSError:
            # Faults warm it, too.
            pass


def tell():
    while not server.started:
        threading.Event().wait(0.05)
    for model in ["echo", "mock-1", "echo-error", "mock-error"]:
        warm(model)
    print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    # A test that dies closes this pipe: nothing is left behind.
    sys.stdin.read()
    directory.cleanup()
    os._exit(0)


threading.Thread(target=tell, daemon=True).start()
server.run(sockets=[listener])
