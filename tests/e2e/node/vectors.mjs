// Every vectors method of @cognipeer/console-sdk, as its users write them. Prints what came back as JSON.
import { ConsoleClient, CognipeerAPIError } from "@cognipeer/console-sdk";

const client = new ConsoleClient({ apiKey: process.env.PORTICO_TOKEN, baseURL: process.env.PORTICO_URL, maxRetries: 0 });
const { vectors } = client;
const key = process.env.PORTICO_RUN;

const created = await vectors.providers.create({ key, driver: "embedded", label: "Mine", credentials: {} });
const providers = await vectors.providers.list();
const index = await vectors.indexes.create(key, { name: "Docs", dimension: 3, metric: "dotproduct", metadata: { a: 1 } });
const again = await vectors.indexes.create(key, { name: "docs", dimension: 3, metric: "dotproduct" });
const id = index.index.indexId;
const indexes = await vectors.indexes.list(key);
const got = await vectors.indexes.get(key, id);
const updated = await vectors.indexes.update(key, id, { name: "Documents", metadata: { b: 2 } });

const upserted = await vectors.upsert(key, id, {
  vectors: [
    { id: "one", values: [1, 0, 0], metadata: { lang: "en", year: 2024 } },
    { id: "two", values: [0, 1, 0], metadata: { lang: "tr", year: 2025 } },
  ],
});
const upsertedToo = await vectors.indexes.upsert(key, id, { vectors: [{ id: "three", values: [0.9, 0.1, 0] }] });
const matches = await vectors.query(key, id, { query: { vector: [1, 0, 0], topK: 2 } });
const filtered = await vectors.indexes.query(key, id, {
  query: { vector: [1, 0, 0], topK: 5, filter: { year: { $gte: 2025 } } },
});
const deleted = await vectors.delete(key, id, ["one"]);
const deletedToo = await vectors.indexes.deleteVectors(key, id, ["two"]);
const left = await vectors.query(key, id, { query: { vector: [1, 0, 0], topK: 5 } });

let refused;
try {
  await vectors.upsert(key, id, { vectors: [{ id: "bad", values: [1] }] });
} catch (error) {
  refused = { api: error instanceof CognipeerAPIError, status: error.statusCode, message: error.message };
}
const removed = await vectors.indexes.delete(key, id);

console.log(JSON.stringify({
  created, providers, index, again, indexes, got, updated, upserted, upsertedToo, matches, filtered, deleted, deletedToo,
  left, refused, removed,
}));
