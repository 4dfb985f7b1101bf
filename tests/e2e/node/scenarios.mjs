// Images, structured output, thinking, errors, broken streams and retries with Anthropic's SDK, OpenAI's, and both providers of
// the Vercel AI SDK, as their users write them. The question says what the provider does. Prints what came back as JSON.
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import * as ai from "ai";
import { z } from "zod";

const { PORTICO_URL: url, PORTICO_TOKEN: token, PORTICO_MODEL: model, PORTICO_PNG: png } = process.env;
const City = z.object({ city: z.string() });
const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
const REFUSED = [400, 401, 429, 529];
const asked = (content) => [{ role: "user", content }];

const anthropic = {
  client: (maxRetries) => new Anthropic({ baseURL: url, apiKey: token, maxRetries }),
  async image() {
    const image = { type: "image", source: { type: "base64", media_type: "image/png", data: png } };
    const said = await this.client(0).messages.create({
      model, max_tokens: 100, messages: asked([image, { type: "text", text: "Which city?" }]),
      output_config: { format: { type: "json_schema", schema } },
    });
    return JSON.parse(said.content[0].text);
  },
  async thinking() {
    const request = { model, max_tokens: 4000, messages: asked("Think"), thinking: { type: "adaptive" } };
    const whole = await this.client(0).messages.create(request);
    const streamed = await this.client(0).messages.stream(request).finalMessage();
    return [whole, streamed].map((each) => [each.content[0].thinking, each.content[1].text]);
  },
  async broken() {
    let text = "";
    try {
      for await (const event of await this.client(0).messages.create({ model, max_tokens: 9, messages: asked("Break"), stream: true })) {
        if (event.type === "content_block_delta") text += event.delta.text;
      }
    } catch (error) {
      return { text, failed: error instanceof Anthropic.APIError };
    }
    return { text, failed: false };
  },
  async again(question) {
    const said = await this.client(2).messages.create({ model, max_tokens: 9, messages: asked(question) });
    return said.content[0].text;
  },
  async refused(question) {
    try {
      await this.client(0).messages.create({ model, max_tokens: 9, messages: asked(question) });
    } catch (error) {
      return [error.status, error.error.error.type];
    }
  },
};

const openai = {
  client: (maxRetries) => new OpenAI({ baseURL: `${url}/v1`, apiKey: token, maxRetries }),
  async image() {
    const image = { type: "image_url", image_url: { url: `data:image/png;base64,${png}` } };
    const said = await this.client(0).chat.completions.parse({
      model, messages: asked([image, { type: "text", text: "Which city?" }]), response_format: zodResponseFormat(City, "city"),
    });
    return said.choices[0].message.parsed;
  },
  async thinking() {
    const request = { model, messages: asked("Think"), reasoning_effort: "high" };
    const { message } = (await this.client(0).chat.completions.create(request)).choices[0];
    const streamed = ["", ""];
    for await (const chunk of await this.client(0).chat.completions.create({ ...request, stream: true })) {
      streamed[0] += chunk.choices[0]?.delta.reasoning_content ?? "";
      streamed[1] += chunk.choices[0]?.delta.content ?? "";
    }
    return [[message.reasoning_content, message.content], streamed];
  },
  async broken() {
    let text = "";
    try {
      for await (const chunk of await this.client(0).chat.completions.create({ model, messages: asked("Break"), stream: true })) {
        text += chunk.choices[0]?.delta.content ?? "";
      }
    } catch (error) {
      return { text, failed: error instanceof OpenAI.APIError };
    }
    return { text, failed: false };
  },
  async again(question) {
    return (await this.client(2).chat.completions.create({ model, messages: asked(question) })).choices[0].message.content;
  },
  async refused(question) {
    try {
      await this.client(0).chat.completions.create({ model, messages: asked(question) });
    } catch (error) {
      return [error.status, error.code];
    }
  },
};

const vercel = (provider) => ({
  async image() {
    const content = [{ type: "text", text: "Which city?" }, { type: "file", data: Buffer.from(png, "base64"), mediaType: "image/png" }];
    return (await ai.generateText({ model: provider, messages: asked(content), output: ai.Output.object({ schema: City }) })).output;
  },
  async thinking() {
    const whole = await ai.generateText({ model: provider, prompt: "Think" });
    const streamed = ai.streamText({ model: provider, prompt: "Think" });
    return [[whole.reasoningText ?? null, whole.text], [(await streamed.reasoningText) ?? null, await streamed.text]];
  },
  async broken() {
    let text = "", failed = false;
    for await (const part of ai.streamText({ model: provider, prompt: "Break", maxRetries: 0, onError() {} }).fullStream) {
      if (part.type === "text-delta") text += part.text;
      if (part.type === "error") failed = true;
    }
    return { text, failed };
  },
  async again(question) {
    return (await ai.generateText({ model: provider, prompt: question, maxRetries: 2 })).text;
  },
  async refused(question) {
    try {
      await ai.generateText({ model: provider, prompt: question, maxRetries: 0 });
    } catch (error) {
      return [error.statusCode, ai.APICallError.isInstance(error)];
    }
  },
});

const answers = {};
for (const [name, client] of Object.entries({
  anthropic,
  openai,
  "vercel anthropic": vercel(createAnthropic({ baseURL: `${url}/v1`, apiKey: token })(model)),
  "vercel openai": vercel(createOpenAI({ baseURL: `${url}/v1`, apiKey: token }).chat(model)),
})) {
  const run = (work) => work.catch((error) => ({ thrown: `${error.stack}` }));
  answers[name] = {
    image: await run(client.image()),
    thinking: await run(client.thinking()),
    broken: await run(client.broken()),
    again: await run(client.again(`Again, ${name}`)),
    refused: {},
  };
  for (const status of REFUSED) answers[name].refused[status] = await run(client.refused(`Refuse ${status}`));
}
console.log(JSON.stringify(answers));
