// Chat, streaming and embeddings of @cognipeer/console-sdk, as its users write them. Prints what came back as JSON.
import { ConsoleClient, CognipeerAPIError } from "@cognipeer/console-sdk";

const client = new ConsoleClient({ apiKey: process.env.PORTICO_TOKEN, baseURL: process.env.PORTICO_URL, maxRetries: 0 });
const messages = [{ role: "user", content: "Hello, Portico!" }];

const whole = await client.chat.completions.create({ model: "echo", messages });

const frames = [];
for await (const frame of await client.chat.completions.create({
  model: "echo",
  messages,
  stream: true,
  stream_options: { include_usage: true },
})) {
  frames.push(frame);
}

const embeddings = await client.embeddings.create({ model: "echo-embedding", input: ["one", "two"] });

let refused;
try {
  await client.chat.completions.create({ model: "no-such-model", messages });
} catch (error) {
  refused = { api: error instanceof CognipeerAPIError, status: error.statusCode, message: error.message, type: error.errorType };
}

let spend;
do {  // records are written within a second or two
  spend = await client.spend.report({ group_by: "day", model: "echo" });
} while (spend.total_calls < 2);

console.log(JSON.stringify({ whole, frames, embeddings, refused, spend }));
