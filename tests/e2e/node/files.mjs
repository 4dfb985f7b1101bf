// Every files method of @cognipeer/console-sdk, as its users write them. Prints what came back as JSON.
import { ConsoleClient, CognipeerAPIError } from "@cognipeer/console-sdk";

const client = new ConsoleClient({ apiKey: process.env.PORTICO_TOKEN, baseURL: process.env.PORTICO_URL, maxRetries: 0 });
const { files } = client;
const run = process.env.PORTICO_RUN;
const base64 = (text) => Buffer.from(text).toString("base64");

const provider = await files.providers.create({ key: run, driver: "local", label: "Mine", credentials: {} });
const providers = await files.providers.list({ driver: "local" });
const buckets = await files.buckets.list();
const bucket = await files.buckets.get("default");

const uploaded = await files.upload("default", {
  fileName: "Hello World.txt",
  contentType: "text/plain",
  data: base64("Hello, Portico!"),
  metadata: { run },
});
const hinted = await files.upload("default", {
  fileName: "notes.md",
  data: `data:text/markdown;base64,${base64("# Notes")}`,
  keyHint: `${run}/notes with space.md`,
  convertToMarkdown: true,
});
const listed = await files.list("default", { search: run, limit: 10 });
const got = await files.get("default", hinted.file.key);
const downloaded = await files.download("default", uploaded.file.key);
const text = Buffer.from(downloaded.data).toString();
const deleted = await files.delete("default", hinted.file.key);

const refusals = [];
for (const attempt of [
  () => files.get("default", hinted.file.key),
  () => files.upload("default", { fileName: "x.txt", data: "%%% not base64" }),
  () => files.upload("default", { fileName: "x.txt", data: base64("x"), keyHint: "../../x" }),
  () => files.list("no-such-bucket"),
]) {
  try {
    await attempt();
    refusals.push({ status: 200 });
  } catch (error) {
    refusals.push({ api: error instanceof CognipeerAPIError, status: error.statusCode, message: error.message });
  }
}

console.log(JSON.stringify({
  provider, providers, buckets, bucket, uploaded, hinted, listed, got, text, contentType: downloaded.contentType, deleted,
  refusals,
}));
