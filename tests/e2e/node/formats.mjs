// Anthropic's SDK, OpenAI's, and the Vercel AI SDK with both of its providers, as their users write them: each asks the
// model of PORTICO_MODEL, which calls a tool once. Prints what came back as JSON.
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import * as ai from "ai";
import { z } from "zod";

const { PORTICO_URL: url, PORTICO_TOKEN: token, PORTICO_MODEL: model } = process.env;
const messages = [{ role: "user", content: "Weather in Rome?" }];
const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };

async function anthropic() {
  const client = new Anthropic({ baseURL: url, apiKey: token, maxRetries: 0 });
  const tools = [{ name: "weather", description: "By city", input_schema: schema }];
  const asked = await client.messages.create({ model, max_tokens: 500, messages, tools });
  const call = asked.content.find((block) => block.type === "tool_use");
  const result = { type: "tool_result", tool_use_id: call.id, content: "sun" };
  const talk = [...messages, { role: "assistant", content: asked.content }, { role: "user", content: [result] }];
  const stream = client.messages.stream({ model, max_tokens: 500, messages: talk, tools });
  const said = await stream.finalMessage();
  let refused;
  try {
    await client.messages.create({ model: "no-such-model", max_tokens: 5, messages });
  } catch (error) {
    refused = { status: error.status, type: error.error?.error?.type, id: error.requestID };
  }
  return { call: call.input, stop: asked.stop_reason, text: said.content.at(-1).text, usage: said.usage, refused };
}

async function openai() {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: token, maxRetries: 0 });
  const tools = [{ type: "function", function: { name: "weather", parameters: schema } }];
  const asked = await client.chat.completions.create({ model, messages, tools });
  const message = asked.choices[0].message;
  const result = { role: "tool", tool_call_id: message.tool_calls[0].id, content: "sun" };
  let text = "";
  for await (const chunk of await client.chat.completions.create({ model, messages: [...messages, message, result], tools, stream: true })) {
    text += chunk.choices[0]?.delta.content ?? "";
  }
  return { call: JSON.parse(message.tool_calls[0].function.arguments), stop: asked.choices[0].finish_reason, text };
}

async function vercel(provider) {
  const tools = {
    weather: ai.tool({ description: "By city", inputSchema: z.object({ city: z.string() }), execute: async () => "sun" }),
  };
  const stopWhen = (ai.isStepCount ?? ai.stepCountIs)(3);
  const whole = await ai.generateText({ model: provider, prompt: "Weather in Rome?", tools, stopWhen });
  const stream = ai.streamText({ model: provider, prompt: "Weather in Rome?", tools, stopWhen });
  let streamed = "";
  for await (const text of stream.textStream) streamed += text;
  return { text: whole.text, steps: whole.steps.length, streamed, reasoning: whole.steps[0].reasoningText };
}

const answers = {};
for (const [name, run] of Object.entries({
  anthropic,
  openai,
  "vercel anthropic": () => vercel(createAnthropic({ baseURL: `${url}/v1`, apiKey: token })(model)),
  "vercel openai": () => vercel(createOpenAI({ baseURL: `${url}/v1`, apiKey: token }).chat(model)),
})) {
  answers[name] = await run().catch((error) => ({ failed: `${error.stack}` }));
}
console.log(JSON.stringify(answers));
