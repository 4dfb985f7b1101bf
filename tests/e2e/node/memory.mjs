// Every memory method of @cognipeer/console-sdk, as its users write them. Prints what came back as JSON.
import { ConsoleClient, CognipeerAPIError } from "@cognipeer/console-sdk";

const client = new ConsoleClient({ apiKey: process.env.PORTICO_TOKEN, baseURL: process.env.PORTICO_URL, maxRetries: 0 });
const { memory } = client;
const name = `Notes ${process.env.PORTICO_RUN}`;
const ada = { scope: "user", scopeId: "ada" };

const created = await memory.stores.create({
  name,
  description: "What users like",
  vectorProviderKey: "default",
  embeddingModelKey: "echo-embedding",
  config: { deduplication: true, autoEmbed: true, defaultTopK: 5, maxMemories: 100 },
});
const key = created.key;
const listedStores = await memory.stores.list({ status: "active", search: name });
const gotStore = await memory.stores.get(key);
const updatedStore = await memory.stores.update(key, { name: `${name}!`, config: { defaultTopK: 7 }, status: "active" });

const added = await memory.add(key, {
  content: "Ada prefers dark mode",
  ...ada,
  metadata: { page: 3 },
  tags: ["ui", "theme"],
  source: "manual",
  importance: 0.8,
});
const again = await memory.add(key, { content: "Ada prefers dark mode", ...ada });
const batch = await memory.addBatch(key, [
  { content: "Ada lives in Oslo", ...ada, tags: ["home"] },
  { content: "Bob lives in Rome", scope: "user", scopeId: "bob", tags: ["home"] },
  { content: "The office is closed on Fridays" },
  { content: "Ada lives in Oslo", ...ada },
]);
const got = await memory.get(key, added.id ?? added._id);
const listed = await memory.list(key, { ...ada, tags: ["home", "theme"], status: "active", search: "ada", limit: 1, skip: 1 });
const all = await memory.list(key);
const updated = await memory.update(key, added._id, {
  content: "Ada prefers light mode",
  metadata: { page: 4 },
  importance: 0.9,
});
const found = await memory.search(key, { query: "Ada prefers light mode", topK: 1, ...ada, tags: ["ui"], minScore: 0.5 });
const foundOfBob = await memory.search(key, { query: "Ada prefers light mode", scope: "user", scopeId: "bob" });
const recalled = await memory.recall(key, { query: "Ada lives in Oslo", topK: 3, ...ada, maxTokens: 50 });
const archived = await memory.update(key, added._id, { status: "archived" });
const foundArchived = await memory.search(key, { query: "Ada prefers light mode", topK: 1, tags: ["ui"] });

const chat = await client.chat.completions.create({
  model: "echo",
  messages: [{ role: "user", content: "Ada lives in Oslo" }],
  memory: { storeKey: key, ...ada, topK: 1, maxTokens: 100 },
});

const deletedOne = await memory.delete(key, added._id);
const deleted = await memory.deleteBulk(key, { scope: "user", scopeId: "bob", tags: ["home"] });
const emptied = await memory.stores.get(key);

const refusals = [];
for (const call of [
  () => memory.stores.get("no-such-store"),
  () => memory.stores.create({ name, vectorProviderKey: "none", embeddingModelKey: "echo-embedding" }),
  () => memory.stores.create({ name, vectorProviderKey: "default", embeddingModelKey: "none" }),
  () => memory.get(key, added._id),
  () => memory.add("no-such-store", { content: "x" }),
  () => memory.add(key, { content: "x", source: "moon" }),
  () => memory.addBatch(key, []),
  () => memory.addBatch(key, Array.from({ length: 101 }, (_, at) => ({ content: `${at}` }))),
  () => memory.search(key, { query: "" }),
  () => memory.deleteBulk(key),
]) {
  try {
    await call();
    refusals.push(null);
  } catch (error) {
    refusals.push({
      api: error instanceof CognipeerAPIError,
      status: error.statusCode,
      param: error.response?.error?.param,
      message: error.message,
    });
  }
}
const deletedStore = await memory.stores.delete(key);

console.log(JSON.stringify({
  created, listedStores, gotStore, updatedStore, added, again, batch, got, listed, all, updated, found, foundOfBob, recalled,
  archived, foundArchived, chat, deletedOne, deleted, emptied, refusals, deletedStore,
}));
