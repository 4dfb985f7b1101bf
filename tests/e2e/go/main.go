// Sends a trace by each of OpenTelemetry's exporters for Go.
package main

import (
	"context"
	"errors"
	"log"
	"os"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
)

func main() {
	ctx := context.Background()
	headers := map[string]string{"authorization": "Bearer " + os.Getenv("PORTICO_TOKEN")}
	grpc, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(os.Getenv("PORTICO_URL")), otlptracegrpc.WithHeaders(headers))
	check(err)
	http, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(os.Getenv("PORTICO_URL")+"/v1/traces"), otlptracehttp.WithHeaders(headers), otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
	check(err)
	send(ctx, "grpc", grpc)
	send(ctx, "http", http)
}

func send(ctx context.Context, name string, exporter trace.SpanExporter) {
	named := resource.NewSchemaless(attribute.String("service.name", os.Getenv("PORTICO_MARK")+"-"+name))
	provider := trace.NewTracerProvider(trace.WithBatcher(exporter), trace.WithResource(named))
	tracer := provider.Tracer("test")
	ctx, root := tracer.Start(ctx, "agent")
	_, call := tracer.Start(ctx, "chat")
	call.SetAttributes(
		attribute.String("gen_ai.operation.name", "chat"), attribute.String("gen_ai.request.model", "gpt"),
		attribute.Int("gen_ai.usage.input_tokens", 11),
		attribute.String("gen_ai.prompt.0.role", "user"), attribute.String("gen_ai.prompt.0.content", "Hi"),
	)
	call.RecordError(errors.New("it broke"))
	call.SetStatus(codes.Error, "it broke")
	call.End()
	root.End()
	check(provider.Shutdown(ctx))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
