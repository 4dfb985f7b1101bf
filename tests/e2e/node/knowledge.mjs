// The rag methods of @cognipeer/console-sdk about documents, as its users write them. Prints what came back as JSON.
import { ConsoleClient, CognipeerAPIError } from "@cognipeer/console-sdk";

const client = new ConsoleClient({ apiKey: process.env.PORTICO_TOKEN, baseURL: process.env.PORTICO_URL, maxRetries: 0 });
const { rag } = client;
const key = process.env.PORTICO_RUN;
const base64 = (text) => Buffer.from(text).toString("base64");

const modules = await rag.listModules();
const module = await rag.getModule(key);
const ingested = await rag.ingest(key, {
  fileName: "notes.md",
  content: "# Notes\n\nCats purr.\n\nStars shine.",
  metadata: { lang: "en" },
});
const file = await rag.ingestFile(key, { fileName: "boats.txt", data: base64("Boats float."), contentType: "text/plain" });
const documents = await rag.listDocuments(key, { limit: 10 });
const id = ingested.document._id;
const again = await rag.reingestDocument(key, id);
const changed = await rag.reingestDocument(key, id, { content: "Moons shine." });
const replaced = await rag.reingestFile(key, file.document._id, { fileName: "ships.txt", base64: base64("Ships float.") });
const indexed = await rag.listDocuments(key, { status: "indexed" });
const counted = await rag.getModule(key);
const deleted = await rag.deleteDocument(key, id);
const left = await rag.listDocuments(key);

let refused;
try {
  await rag.ingest("no-such-module", { fileName: "a.txt", content: "x" });
} catch (error) {
  refused = { api: error instanceof CognipeerAPIError, status: error.statusCode, message: error.message };
}
const removed = await rag.deleteModule(key);

console.log(JSON.stringify({
  modules, module, ingested, file, documents, again, changed, replaced, indexed, counted, deleted, left, refused, removed,
}));
