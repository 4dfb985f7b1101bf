-- Refuses calls of features that the plan of the tenant lacks. It runs for tokens that name their plan's features alone, and
-- sees gRPC paths. tests/edge/test_config.py holds the table against the contracts.

local SERVICES = {
  ["portico.auth.v1.BudgetService"] = "SPEND_BUDGETS",
  ["portico.auth.v1.QuotaService"] = "QUOTA_MANAGEMENT",
  ["portico.inference.v1.AnthropicService"] = "LLM_CHAT",
  ["portico.inference.v1.GuardrailService"] = "GUARDRAILS",
  ["portico.inference.v1.InferenceService"] = "LLM_CHAT",
  ["portico.inference.v1.ModelService"] = "MODEL_MANAGEMENT",
  ["portico.inference.v1.OpenAIService"] = "LLM_CHAT",
  ["portico.inference.v1.PiiService"] = "GUARDRAILS",
  ["portico.inference.v1.PromptService"] = "PROMPTS",
  ["portico.inference.v1.ProviderService"] = "MODEL_MANAGEMENT",
  ["portico.inference.v1.RerankService"] = "RERANKER",
  ["portico.inference.v1.RerankerService"] = "RERANKER",
  ["portico.inference.v1.SpendService"] = "SPEND_BUDGETS",
  ["portico.rag.v1.BucketService"] = "FILES",
  ["portico.rag.v1.FileProviderService"] = "FILES",
  ["portico.rag.v1.FileRestService"] = "FILES",
  ["portico.rag.v1.FileService"] = "FILES",
  ["portico.rag.v1.KnowledgeService"] = "RAG_PIPELINE",
  ["portico.rag.v1.MemoryService"] = "MEMORY",
  ["portico.rag.v1.OpenAIFileService"] = "FILES",
  ["portico.rag.v1.RetrievalService"] = "RAG_PIPELINE",
  ["portico.rag.v1.VectorStoreService"] = "RAG_PIPELINE",
  ["portico.tracing.v1.AlertService"] = "ALERTS",
  ["portico.tracing.v1.MonitoringService"] = "INFERENCE_MONITORING",
  ["portico.tracing.v1.SessionService"] = "AGENT_TRACING",
  ["portico.vector.v1.IndexService"] = "VECTOR_STORE",
  ["portico.vector.v1.MigrationService"] = "VECTOR_STORE",
  ["portico.vector.v1.PointRestService"] = "VECTOR_STORE",
  ["portico.vector.v1.PointService"] = "VECTOR_STORE",
  ["portico.vector.v1.ProviderService"] = "VECTOR_STORE",
  ["opentelemetry.proto.collector.trace.v1.TraceService"] = "AGENT_TRACING",
}
local METHODS = {  -- where they differ from their service; false: every plan has them
  ["portico.inference.v1.InferenceService/Embed"] = "LLM_EMBEDDINGS",
  ["portico.inference.v1.ModelService/GetModel"] = false,
  ["portico.inference.v1.ModelService/ListModels"] = false,
  ["portico.inference.v1.OpenAIService/CreateEmbedding"] = "LLM_EMBEDDINGS",
  ["portico.inference.v1.QuotaStatusService/GetBudgetStatus"] = "SPEND_BUDGETS",
}

local function feature_of(path)
  local method = path:match("^/([^?]+)") or ""
  local own = METHODS[method]
  if own ~= nil then
    return own
  end
  return SERVICES[method:match("^[^/]+") or ""]
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local feature = feature_of(headers:get(":path") or "")
  local held = " " .. (headers:get("x-portico-features") or "") .. " "
  if feature and not held:find(" " .. feature .. " ", 1, true) then
    handle:respond({[":status"] = "403"}, feature)
  end
end
