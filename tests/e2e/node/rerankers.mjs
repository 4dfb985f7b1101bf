// Every reranker method of @cognipeer/console-sdk, as its users write them. Prints what came back as JSON.
import { ConsoleClient } from "@cognipeer/console-sdk";

const client = new ConsoleClient({ apiKey: process.env.PORTICO_TOKEN, baseURL: process.env.PORTICO_URL, maxRetries: 0 });
const { rerankers } = client;
const key = process.env.PORTICO_RERANKER;
const documents = ["Bread is baked.", { id: "b", content: "The cat eats fish.", score: 0.5, metadata: { page: 3 } }];

const listed = await rerankers.list();
const got = await rerankers.get(key);
const ran = await rerankers.run(key, { query: "What does the cat eat?", documents });
const first = await rerankers.run(key, { query: "What does the cat eat?", documents: ["a cat", "a dog"], topN: 1 });
const missing = await rerankers.get("none").catch((error) => ({ status: error.statusCode ?? error.status }));
console.log(JSON.stringify({ listed, got, ran, first, missing }));
