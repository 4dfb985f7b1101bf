// Every budget method of @cognipeer/console-sdk, as its users write them. Prints what came back as JSON.
import { ConsoleClient } from "@cognipeer/console-sdk";

const client = new ConsoleClient({ apiKey: process.env.PORTICO_TOKEN, baseURL: process.env.PORTICO_URL, maxRetries: 0 });
const { budgets } = client;
const failure = (error) => ({ status: error.statusCode ?? error.status, message: error.message });

const made = await budgets.create({ daily_limit_usd: 900.5, monthly_limit_usd: 20000, alert_thresholds: [0.5, 0.8, 1], label: "Team" });
const listed = await budgets.list();
const status = await budgets.status({ domain: "llm" });
const tenant = await budgets.status({ scope: "tenant" });
const token = await budgets.status({ scope: "token" });
const updated = await budgets.update(made.id, { monthly_limit_usd: 30000, alert_thresholds: [0.9], enabled: false });
const off = await budgets.status();
const removed = await budgets.delete(made.id);
const left = await budgets.list();
const wrong = await budgets.create({ daily_limit_usd: -5 }).catch(failure);
const missing = await budgets.delete(made.id).catch(failure);
console.log(JSON.stringify({ made, listed, status, tenant, token, updated, off, removed, left, wrong, missing }));
