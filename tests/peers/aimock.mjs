#!/usr/bin/env node
// Starts @copilotkit/aimock on a free loopback port and says where. Ends when stdin does.
//
//   node tests/peers/aimock.mjs [KEY]      demands KEY (default `sk-peer`) from every asker
//
// Models, in every dialect, streamed and whole:
//   mock-1          answers the last word of the last user message, so a nonce check passes
//   mock-other      the same, but says that the model `mock-substitute` answered
//   mock-error      503 with an error body
//   mock-limited    429 with Retry-After: 3
//   mock-truncated  cuts the connection mid-stream: in chat after its first content, in Messages
//                   before it
//   mock-tools      calls `weather` for Ulm where it is asked for with a tool, and says `rain` back
//   mock-thoughts   thinks `hm` before it answers as mock-1 does
// Any other model matches no fixture: 404.

import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const peers = process.env.BELLWETHER_PEERS ?? join(here, "..", "..", ".peers");
const { LLMock } = createRequire(join(peers, "aimock", "x"))("@copilotkit/aimock");

// aimock turns a Messages request into this shape before it asks for an answer.
const text = (content) =>
  typeof content === "string" ? content : (content ?? []).map((part) => part.text ?? "").join(" ");
const echo = (request) => {
  const asked = request.messages.filter((message) => message.role === "user").at(-1);
  const last = text(asked?.content).trim().split(/\s+/).at(-1);
  return { content: last.replace(/^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu, "") || "ok" };
};

const mock = new LLMock({
  port: 0,
  host: "127.0.0.1",
  auth: { apiKeys: [process.argv[2] ?? "sk-peer"] },
  logLevel: "warn",
});
const pace = { chunkSize: 3, streamingProfile: { ttft: 20, tps: 200 } };
const error = (message, type, status, more) => ({ error: { message, type }, status, ...more });
mock.addFixture({ match: { model: "mock-1" }, response: echo, ...pace });
mock.addFixture({
  match: { model: "mock-other" },
  response: (request) => ({ ...echo(request), model: "mock-substitute" }),
  ...pace,
});
mock.addFixture({
  match: { model: "mock-error" },
  response: error("no capacity", "server_error", 503),
});
mock.addFixture({
  match: { model: "mock-limited" },
  response: error("slow down", "rate_limit_error", 429, { retryAfter: 3 }),
});
mock.addFixture({
  match: { model: "mock-truncated" },
  response: echo,
  ...pace,
  truncateAfterChunks: 3,
});
mock.addFixture({
  match: { model: "mock-tools" },
  response: (request) => {
    // Whatever was lost on the way shows in the answer.
    const system = request.messages.find((message) => message.role === "system");
    const result = request.messages.at(-1);
    if (result.role === "tool") return { content: `${text(system?.content)}: ${result.content}` };
    const [tool] = request.tools;
    const name = (tool.function ?? tool).name;
    return { toolCalls: [{ name, arguments: JSON.stringify({ city: "Ulm" }) }] };
  },
  ...pace,
});
mock.addFixture({
  match: { model: "mock-thoughts" },
  response: (request) => ({ ...echo(request), reasoning: "hm" }),
  ...pace,
});

console.log(`listening on ${await mock.start()}`);
// A test that dies closes this pipe: nothing is left behind.
process.stdin.on("end", () => process.exit(0)).resume();
