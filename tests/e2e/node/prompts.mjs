// Every prompts method of @cognipeer/console-sdk, as its users write them. Prints what came back as JSON.
import { ConsoleClient, CognipeerAPIError } from "@cognipeer/console-sdk";

const client = new ConsoleClient({ apiKey: process.env.PORTICO_TOKEN, baseURL: process.env.PORTICO_URL, maxRetries: 0 });
const { prompts } = client;
const key = process.env.PORTICO_RUN; // a prompt with two versions, made before

const listed = await prompts.list();
const searched = await prompts.list({ search: key });
const got = await prompts.get(key);
const versions = await prompts.listVersions(key);
const [second, first] = versions.versions;
const gotFirst = await prompts.get(key, { version: 1 });

const before = await prompts.getDeployments(key);
const promoted = await prompts.deploy(key, { action: "promote", environment: "prod", versionId: first.id, note: "go" });
const planned = await prompts.deploy(key, { action: "plan", environment: "prod", versionId: second.id });
const data = { name: 'Ada <"&">', items: [{ n: 1 }, { n: 2 }] };
const whilePlanned = await prompts.render(key, { data, environment: "prod" });
const activated = await prompts.deploy(key, { action: "activate", environment: "prod" });
const whenActive = await prompts.render(key, { data, environment: "prod" });
const rolledBack = await prompts.deploy(key, { action: "rollback", environment: "prod" });
const afterRollback = await prompts.render(key, { data, environment: "prod" });
const gotProd = await prompts.get(key, { environment: "prod" });
const deployments = await prompts.getDeployments(key);

const rendered = await prompts.render(key, { data });
const renderedFirst = await prompts.render(key, { data, version: 1 });
const renderedNothing = await prompts.render(key);
const compared = await prompts.compare(key, first.id, second.id);

const refusals = [];
for (const call of [
  () => prompts.get("no-such-prompt"),
  () => prompts.get(key, { version: 99 }),
  () => prompts.get(key, { environment: "staging" }),
  () => prompts.get(key, { environment: "moon" }),
  () => prompts.render(key, { data, version: 99 }),
  () => prompts.render(key, { data, environment: "staging" }),
  () => prompts.deploy(key, { action: "promote", environment: "prod" }),
  () => prompts.deploy(key, { action: "promote", environment: "prod", versionId: "none" }),
  () => prompts.deploy(key, { action: "rollback", environment: "dev" }),
  () => prompts.compare(key, first.id, "none"),
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

console.log(JSON.stringify({
  listed, searched, got, gotFirst, versions, before, promoted, planned, activated, rolledBack, deployments, gotProd,
  whilePlanned, whenActive, afterRollback, rendered, renderedFirst, renderedNothing, compared, refusals,
}));
