// Every vector_stores method of OpenAI's SDK, as its users write them. Prints what came back as JSON.
import OpenAI, { toFile } from "openai";

const client = new OpenAI({ maxRetries: 0 });
const stores = client.vectorStores;

const store = await stores.create({ name: "Node", expires_after: { anchor: "last_active_at", days: 1 } });
await stores.retrieve(store.id);
await stores.update(store.id, { metadata: { from: "node" } });
let listed = 0;
for await (const each of stores.list({ limit: 1 })) listed += each.id === store.id;

const text = "# Fees\n\nThe library card costs ten euros a year. Children pay nothing.";
const file = await stores.files.uploadAndPoll(store.id, await toFile(Buffer.from(text), "fees.md"));
await stores.files.retrieve(file.id, { vector_store_id: store.id });
await stores.files.update(file.id, { vector_store_id: store.id, attributes: { year: 2026 } });
const changed = await stores.files.poll(store.id, file.id);
for await (const each of stores.files.list(store.id, { filter: "completed" })) listed += each.id === file.id;
const content = [];
for await (const part of stores.files.content(file.id, { vector_store_id: store.id })) content.push(part.text);

const batch = await stores.fileBatches.uploadAndPoll(store.id, {
  files: [
    await toFile(Buffer.from("Dogs are welcome in the garden."), "pets.md"),
    await toFile(Buffer.from("Parental leave lasts up to three years."), "leave.md"),
  ],
});
await stores.fileBatches.retrieve(batch.id, { vector_store_id: store.id });
await stores.fileBatches.cancel(batch.id, { vector_store_id: store.id });
for await (const each of stores.fileBatches.listFiles(batch.id, { vector_store_id: store.id })) listed += each.id === "";

const found = [];
const asked = { query: "library card", filters: { type: "eq", key: "year", value: 2026 }, max_num_results: 3 };
for await (const each of stores.search(store.id, asked)) found.push(each);

const one = await stores.files.delete(file.id, { vector_store_id: store.id });
const all = await stores.delete(store.id);
let refused = {};
try {
  await stores.retrieve(store.id);
} catch (error) {
  refused = { status: error.status, code: error.code };
}
console.log(JSON.stringify({
  listed, content: content.join(""), batch, found, deleted: [one.deleted, all.deleted], refused, attributes: changed.attributes,
}));
