// Every tracing method of @cognipeer/console-sdk, its LangChain handler, and OpenTelemetry's exporters.
import { CognipeerOTelSpanExporter, ConsoleClient, createCognipeerAgentTracing } from "@cognipeer/console-sdk";
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace as traces } from "@opentelemetry/api";
import { OTLPTraceExporter as GrpcExporter } from "@opentelemetry/exporter-trace-otlp-grpc";
import { OTLPTraceExporter as JsonExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtobufExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";

const url = process.env.PORTICO_URL;
const host = process.env.PORTICO_HOST;
const token = process.env.PORTICO_TOKEN;
const mark = process.env.PORTICO_MARK;
const client = new ConsoleClient({ apiKey: token, baseURL: url });
const answers = {};

answers.ingest = await client.tracing.ingest({
  sessionId: `${mark}-whole`,
  threadId: `${mark}-thread`,
  agent: { name: "node", version: "1", model: "gpt" },
  status: "success",
  summary: { totalInputTokens: 5 },
  events: [{ id: "1", type: "ai_call", model: "gpt", inputTokens: 5, sections: [{ kind: "message", role: "user", content: "Hi" }] }],
});
answers.start = await client.tracing.startStream(`${mark}-stream`, { agent: { name: "node" } });
answers.append = await client.tracing.appendEvent(`${mark}-stream`, { id: "1", type: "tool_call", toolName: "weather" });
answers.again = await client.tracing.appendEvent(`${mark}-stream`, { id: "1", type: "tool_call", toolName: "weather" });
answers.end = await client.tracing.endStream(`${mark}-stream`, { status: "success" });
answers.refused = await client.tracing.appendEvent(`${mark}-none`, { id: "1" }).catch((error) => ({
  status: error.statusCode,
  message: error.message,
}));

const tracing = createCognipeerAgentTracing({ client, sessionId: `${mark}-langchain`, agent: { name: "chain" }, logger: () => {} });
const [handler] = tracing.callbacks;
await handler.handleChainStart({ name: "chain" }, { q: "Hi" }, "run-1");
await handler.handleLLMStart({ name: "llm" }, ["Hi"], "run-2");
await handler.handleLLMEnd({ llmOutput: { tokenUsage: { promptTokens: 5, completionTokens: 7, totalTokens: 12 } } }, "run-2");
await handler.handleToolStart({ name: "weather" }, "Rome", "run-3");
await handler.handleToolEnd("sun", "run-3");
await handler.handleLLMStart({ name: "llm" }, ["sun"], "run-4");
await handler.handleLLMEnd({ llmOutput: { tokenUsage: { promptTokens: 3, completionTokens: 2, totalTokens: 5 } } }, "run-4");
await handler.handleChainEnd({ a: "done" }, "run-1");
await tracing.end("completed");

const trace = "5b8efff798038103d269b633813fc60c".replace(/.{8}$/, mark.slice(-8));
answers.otlp = await client.tracing.ingestOtlp({
  resourceSpans: [
    {
      resource: { attributes: [{ key: "cognipeer.session.id", value: { stringValue: `${mark}-otlp` } }] },
      scopeSpans: [
        {
          spans: [
            { traceId: trace, spanId: "eee19b7ec3c1b174", name: "root", kind: 0, startTimeUnixNano: "1544712660000000000" },
          ],
        },
      ],
    },
  ],
});

const AUTHORIZATION = { authorization: `Bearer ${token}` };
const exporters = {
  sdk: new CognipeerOTelSpanExporter({ baseURL: url, apiKey: token }),
  json: new JsonExporter({ url: `${host}/v1/traces`, headers: AUTHORIZATION }),
  gzip: new JsonExporter({ url: `${host}/v1/traces`, headers: AUTHORIZATION, compression: "gzip" }),
  protobuf: new ProtobufExporter({ url: `${host}/v1/traces`, headers: AUTHORIZATION }),
};
const { Metadata } = (await import("@grpc/grpc-js")).default;
const metadata = new Metadata();
metadata.set("authorization", `Bearer ${token}`);
exporters.grpc = new GrpcExporter({ url: host, metadata });

for (const [name, exporter] of Object.entries(exporters)) {
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({ "service.name": `${mark}-${name}` }),
    spanProcessors: [new BatchSpanProcessor(exporter)],
  });
  const tracer = provider.getTracer("test");
  const root = tracer.startSpan("agent");
  const attributes = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "gpt",
    "gen_ai.usage.input_tokens": 11,
    "gen_ai.prompt.0.role": "user",
    "gen_ai.prompt.0.content": "Hi",
  };
  const call = tracer.startSpan("chat", { kind: SpanKind.CLIENT, attributes }, traces.setSpan(ROOT_CONTEXT, root));
  call.recordException(new Error("it broke"));
  call.setStatus({ code: SpanStatusCode.ERROR, message: "it broke" });
  call.end();
  root.end();
  await provider.shutdown();
}
console.log(JSON.stringify(answers));
