#!/usr/bin/env node
// Asks a router with the official OpenAI and Anthropic clients for Node, as their users do, and prints
// what came back as JSON, a line for each case.
//
//   node tests/peers/sdks.mjs URL KEY CASE=MODEL...   a case is one of those below

import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const peers = process.env.BELLWETHER_PEERS ?? join(here, "..", "..", ".peers");
const require = createRequire(join(peers, "node-sdks", "x"));
const OpenAI = require("openai");
const Anthropic = require("@anthropic-ai/sdk");

const [url, key, ...cases] = process.argv.slice(2);
// What the clients themselves repeat would hide what the router does.
const few = { apiKey: key, maxRetries: 0, timeout: 20_000 };
const chat = new OpenAI({ baseURL: `${url}/v1`, ...few });
const messages = new Anthropic({ baseURL: url, ...few });

const ask = [{ role: "user", content: "say exactly 7f3a" }];
const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const picture =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABpfZFQAAAAABJRU5ErkJggg==";

// A picture and a system prompt, a call of a tool, its result, the answer.
const openaiTurn = async (model, isStreamed) => {
  const image = { type: "image_url", image_url: { url: `data:image/png;base64,${picture}` } };
  const said = [
    { role: "system", content: "be brief" },
    { role: "user", content: [{ type: "text", text: "the weather in Ulm" }, image] },
  ];
  const declared = { name: "weather", description: "tells it", parameters: schema };
  const tools = [{ type: "function", function: declared }];
  const asked = { model, messages: said, max_tokens: 64, tools, tool_choice: "auto" };
  const hear = async () => {
    const answer = isStreamed
      ? await chat.chat.completions.stream(asked).finalChatCompletion()
      : await chat.chat.completions.create(asked);
    return answer.choices[0];
  };
  const first = await hear();
  const [call] = first.message.tool_calls;
  const { role, content, tool_calls } = first.message;
  said.push({ role, content, tool_calls });
  said.push({ role: "tool", tool_call_id: call.id, content: "rain" });
  const last = await hear();
  return {
    call: [call.function.name, JSON.parse(call.function.arguments), first.finish_reason],
    last: [last.message.content, last.finish_reason],
  };
};

const anthropicTurn = async (model, isStreamed) => {
  const source = { type: "base64", media_type: "image/png", data: picture };
  const content = [
    { type: "text", text: "the weather in Ulm" },
    { type: "image", source },
  ];
  const said = [{ role: "user", content }];
  const tools = [{ name: "weather", description: "tells it", input_schema: schema }];
  const asked = { model, messages: said, max_tokens: 64, system: "be brief", tools };
  const hear = () =>
    isStreamed ? messages.messages.stream(asked).finalMessage() : messages.messages.create(asked);
  const first = await hear();
  const call = first.content.find((block) => block.type === "tool_use");
  said.push({ role: "assistant", content: first.content });
  const result = { type: "tool_result", tool_use_id: call.id, content: "rain" };
  said.push({ role: "user", content: [result] });
  const last = await hear();
  return {
    call: [call.name, call.input, first.stop_reason],
    last: [last.content[0].text, last.stop_reason],
  };
};

const blocks = (answer) => {
  const all = (type, field) =>
    answer.content.filter((block) => block.type === type).map((block) => block[field]);
  return { thought: all("thinking", "thinking").join(""), text: all("text", "text").join("") };
};

const known = {
  async openai_plain(model) {
    const asked = chat.chat.completions.create({ model, messages: ask, max_tokens: 16 });
    const { data, response } = await asked.withResponse();
    const [choice] = data.choices;
    return {
      text: choice.message.content,
      finish: choice.finish_reason,
      tokens: data.usage.completion_tokens,
      arm: response.headers.get("x-bellwether-arm"),
    };
  },
  async openai_stream(model) {
    const stream = await chat.chat.completions.create({
      model,
      messages: ask,
      max_tokens: 16,
      stream: true,
      stream_options: { include_usage: true },
    });
    let [text, finish, usage] = ["", null, null];
    for await (const chunk of stream) {
      for (const choice of chunk.choices) {
        text += choice.delta.content ?? "";
        finish = choice.finish_reason ?? finish;
      }
      usage = chunk.usage ?? usage;
    }
    return { text, finish, tokens: usage?.completion_tokens };
  },
  async anthropic_plain(model) {
    const asked = messages.messages.create({ model, messages: ask, max_tokens: 16 });
    const { data, response } = await asked.withResponse();
    return {
      text: data.content[0].text,
      finish: data.stop_reason,
      tokens: data.usage.output_tokens,
      arm: response.headers.get("x-bellwether-arm"),
    };
  },
  async anthropic_stream(model) {
    const stream = messages.messages.stream({ model, messages: ask, max_tokens: 16 });
    const answer = await stream.finalMessage();
    return {
      text: answer.content[0].text,
      finish: answer.stop_reason,
      tokens: answer.usage.output_tokens,
    };
  },
  async responses_plain(model) {
    const asked = chat.responses.create({ model, input: ask, max_output_tokens: 16 });
    const { data, response } = await asked.withResponse();
    return {
      text: data.output_text,
      finish: data.status,
      tokens: data.usage.output_tokens,
      arm: response.headers.get("x-bellwether-arm"),
    };
  },
  async responses_stream(model) {
    const stream = chat.responses.stream({ model, input: ask, max_output_tokens: 16 });
    const answer = await stream.finalResponse();
    return {
      text: answer.output_text,
      finish: answer.status,
      tokens: answer.usage.output_tokens,
    };
  },
  async openai_embeddings(model) {
    const answer = await chat.embeddings.create({ model, input: ["a", "b"] });
    return { sizes: answer.data.map((one) => one.embedding.length) };
  },
  async openai_models() {
    const ids = [];
    for await (const model of chat.models.list()) ids.push(model.id);
    return { ids: ids.sort() };
  },
  async anthropic_models() {
    const ids = [];
    for await (const model of messages.models.list()) ids.push(model.id);
    return { ids: ids.sort() };
  },
  openai_tools: (model) => openaiTurn(model, false),
  openai_tools_stream: (model) => openaiTurn(model, true),
  anthropic_tools: (model) => anthropicTurn(model, false),
  anthropic_tools_stream: (model) => anthropicTurn(model, true),
  async openai_thoughts(model) {
    const answer = await chat.chat.completions.create({ model, messages: ask, max_tokens: 64 });
    const { message } = answer.choices[0];
    return { thought: message.reasoning_content, text: message.content };
  },
  async openai_thoughts_stream(model) {
    const asked = { model, messages: ask, max_tokens: 64, stream: true };
    let [thought, text] = ["", ""];
    for await (const chunk of await chat.chat.completions.create(asked)) {
      for (const choice of chunk.choices) {
        thought += choice.delta.reasoning_content ?? "";
        text += choice.delta.content ?? "";
      }
    }
    return { thought, text };
  },
  async anthropic_thoughts(model) {
    return blocks(await messages.messages.create({ model, messages: ask, max_tokens: 64 }));
  },
  async anthropic_thoughts_stream(model) {
    const stream = messages.messages.stream({ model, messages: ask, max_tokens: 64 });
    return blocks(await stream.finalMessage());
  },
};

for (const asked of cases) {
  const [name, ...model] = asked.split("=");
  let said;
  try {
    said = await known[name](model.join("="));
  } catch (error) {
    const { status, message } = error;
    said = { error: error.constructor.name, status: status ?? null, message };
  }
  console.log(JSON.stringify(said));
}
