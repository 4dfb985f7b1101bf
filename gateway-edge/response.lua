-- What Envoy's own filters cannot do for an answer. listener.yaml says which answers need none of it, and skips the filter for
-- them: keep the two alike.

-- The answer where a service said no without a body of its own: gRPC's machinery, not Portico's code, refused the call.
local REFUSALS = {
  ["400"] = {"invalid_request_error", "invalid_request", "The request does not fit the API."},
  ["429"] = {"rate_limit_error", "overloaded", "The service takes no more calls just now. Try again in a moment."},
  ["501"] = {"invalid_request_error", "not_implemented", "The service does not have this call yet."},
  ["503"] = {"server_error", "service_unavailable", "The service is not available just now. Try again in a moment."},
  ["504"] = {"server_error", "timeout", "The service took too long to answer."},
}
local FAILURE = {"server_error", "internal", "Something went wrong on our side. Quote the request id when you report it."}

local function refusal(status, id)
  local kind, code, message = unpack(REFUSALS[status] or FAILURE)
  return string.format(
    '{"error":{"message":"%s","type":"%s","code":"%s","param":null},"request_id":"%s"}', message, kind, code, id)
end

local function answer(handle, headers, status, body)
  headers:replace(":status", status)
  headers:replace("content-type", "application/json")
  for _, name in ipairs({"x-http-status", "x-error-body", "x-content-length", "grpc-status-details-bin"}) do
    headers:remove(name)
  end
  if status == "401" then
    headers:replace("www-authenticate", 'Bearer realm="portico"')
  end
  handle:body(true):setBytes(body)
end

-- The answer to a HEAD: with the length of the body that a GET would have.
local function remove_body(handle, headers)
  local length = headers:get("x-content-length") or headers:get("content-length")
  local body = handle:body(true)  -- waits for it, and what was fetched before cannot be used any more
  length = length or tostring(body:length())
  body:setBytes("")
  headers = handle:headers()
  headers:replace("content-length", length)
  headers:remove("x-portico-head")
end

local function shape(handle, headers)
  local wanted = headers:get("x-http-status")
  if wanted then
    local body = headers:get("x-error-body")
    if body then
      answer(handle, headers, wanted, body)
    else
      headers:replace(":status", wanted)
      headers:remove("x-http-status")
    end
    return
  end

  local status = headers:get(":status")
  if status ~= "200" and headers:get("grpc-status") then
    answer(handle, headers, status, refusal(status, headers:get("x-request-id") or ""))
  end
end

function envoy_on_response(handle)
  local headers = handle:headers()
  shape(handle, headers)
  if headers:get("x-portico-head") then
    remove_body(handle, headers)
  end
end
