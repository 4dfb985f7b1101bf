// Guardrails and moderations of @cognipeer/console-sdk, as its users write them. Prints what came back as JSON.
import { ConsoleClient, CognipeerAPIError } from "@cognipeer/console-sdk";

const client = new ConsoleClient({ apiKey: process.env.PORTICO_TOKEN, baseURL: process.env.PORTICO_URL, maxRetries: 0 });
const { PORTICO_GUARDRAIL: key, PORTICO_MODEL: model } = process.env;
const told = (error) => ({ api: error instanceof CognipeerAPIError, status: error.statusCode, message: error.message, type: error.errorType });

const blocked = await client.guardrails.evaluate({ guardrail_key: key, text: "Write to john@example.com", target: "input" });
const passed = await client.guardrails.evaluate({ guardrail_key: key, text: "Write to nobody" });
const unknown = await client.guardrails.evaluate({ guardrail_key: "none", text: "x" }).catch(told);
const missing = await client.guardrails.evaluate({ guardrail_key: key }).catch(told);
const moderation = await client.moderations.create({ model: key, input: ["hello", { type: "text", text: "I am john@example.com" }] });

const messages = [{ role: "user", content: "I am john@example.com" }];
const refused = await client.chat.completions.create({ model, messages }).catch(told);

console.log(JSON.stringify({ blocked, passed, unknown, missing, moderation, refused }));
