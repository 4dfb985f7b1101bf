-- What Envoy's own filters cannot do for a request. listener.yaml says which requests need none of it, and skips the filter
-- for them: keep the two alike.

local BEARER = "Bearer ptc_"
local A, T = ("a"):byte(), ("t"):byte()
local READING = {GET = true, HEAD = true, OPTIONS = true}  -- methods that change nothing

-- Longest first. `versioned` prefixes stand for /v1; the last two carry only the tools.
local ALIASES = {
  {prefix = "/api/client/v1/api/client/v1/", versioned = true},
  {prefix = "/api/client/api/client/v1/", versioned = true},
  {prefix = "/api/client/v1/", versioned = true},
  {prefix = "/api/client/"},
  {prefix = "/"},
}

-- The path under /v1 that an alias stands for; nil where it stands for none.
local function canonical(path)
  for _, alias in ipairs(ALIASES) do
    if path:sub(1, #alias.prefix) == alias.prefix then
      local rest = path:sub(#alias.prefix)
      local tools = rest:match("^/agents/[^/?]+(/tools.*)$") or rest
      if tools:find("^/tools[/?]") or tools == "/tools" then
        return "/v1" .. tools
      end
      return alias.versioned and "/v1" .. rest or nil
    end
  end
end

-- The names in the query of a write that are kept, by method and path: what path and body cannot say.
local KEPT = {
  {method = "POST", path = "/prompts/[^/]+/render/?$", names = {"version", "environment"}},
  {
    method = "DELETE",
    path = "/memory/stores/[^/]+/memories/?$",
    names = {"scope", "scopeId", "scope_id", "tags", "before", "all"},
  },
}

local function kept_query(method, path, query)
  local kept = {}
  for _, rule in ipairs(KEPT) do
    if rule.method == method and path:find(rule.path) then
      for _, name in ipairs(rule.names) do
        local value = ("&" .. query):match("&" .. name .. "=([^&]*)")
        if value then
          kept[#kept + 1] = name .. "=" .. value
        end
      end
    end
  end
  return #kept > 0 and "?" .. table.concat(kept, "&") or ""
end

-- The session's token in a Cookie header. Browsers accept a `__Host-` cookie only over TLS and only from this very host,
-- so no neighbouring host can plant one; the plain name is for laptops without TLS, and does not count where TLS is.
local function session(headers)
  local cookie = headers:get("cookie")
  if not cookie then
    return nil
  end
  cookie = ";" .. cookie
  local token = cookie:match(";%s*__Host%-portico_session=(ptc_[^;%s]+)")
  if not token and headers:get("x-forwarded-proto") ~= "https" then
    token = cookie:match(";%s*portico_session=(ptc_[^;%s]+)")
  end
  return token
end

local function api_key(value)
  return value and value:match("^ptc_%S+$")
end

local function without_default_port(scheme, host)
  return (host:gsub(scheme == "https" and ":443$" or ":80$", ""))
end

-- Whether an origin is this host. TLS may end in front of the edge, so https is ours too; http is only where there is no TLS.
local function is_own(headers, origin)
  local scheme, host = origin:match("^(https?)://(.+)$")
  if not host or (scheme == "http" and headers:get("x-forwarded-proto") == "https") then
    return false
  end
  return without_default_port(scheme, host) == without_default_port(scheme, headers:get(":authority"))
end

-- The origin of the page that makes a browser send this request, unless the page is ours; "null" where nothing tells.
local function foreign_page(headers)
  local origin = headers:get("origin") or (headers:get("referer") or ""):match("^%a+://[^/?#]+")
  if origin then
    return not is_own(headers, origin) and origin or nil
  end
  return headers:get("sec-fetch-site") ~= "same-origin" and "null" or nil
end

-- A browser sends the session's cookie along with what any page asks for, and any page can sign it in as somebody. So
-- other pages are told to the filter that knows the allowed origins; but for reading: CORS keeps the answer from them.
local function use_session(headers)
  local token = session(headers)
  if token then
    headers:add("authorization", "Bearer " .. token)
  end
  if not READING[headers:get(":method")] and (token or headers:get("origin")) then
    local page = foreign_page(headers)
    if page then
      headers:add("x-portico-page", page)
    end
  end
end

local function normalize_authorization(headers, authorization)
  if authorization then
    local token = authorization:match("^[Bb][Ee][Aa][Rr][Ee][Rr]%s+(ptc_[^%s,]+)$")
    if token then
      headers:replace("authorization", "Bearer " .. token)
    else
      headers:remove("authorization")  -- of another kind, or several: none that counts
    end
    return
  end
  local token = api_key(headers:get("x-api-key")) or api_key(headers:get("api-key"))
  if token then
    headers:add("authorization", "Bearer " .. token)
  else
    use_session(headers)
  end
end

-- The id goes into metadata, logs and bodies: keep what a client sent, but only its harmless characters.
local function harmless(handle, id)
  if id == "" then
    return string.format("%x-%x", handle:timestamp(), math.random(2 ^ 31 - 1))
  end
  return (id:sub(1, 128):gsub("[^%w._:-]", "_"))
end

function envoy_on_request(handle)
  local headers = handle:headers()
  if headers:get(":method") == "HEAD" then  -- the transcoder knows GET; the answer's body is removed on the way out
    headers:replace(":method", "GET")
    headers:add("x-portico-head", "1")
  end

  local path, authority = headers:get(":path"), headers:get(":authority")
  if not path or not authority or authority:find(",", 1, true) then  -- CONNECT, or several Host headers
    handle:respond({[":status"] = "400"}, "")
    return
  end
  local target = path
  local query = path:find("?", 1, true)
  local method = headers:get(":method")
  if query and not READING[method] then
    -- the transcoder would let it change what path and body say
    target = path:sub(1, query - 1) .. kept_query(method, path:sub(1, query - 1), path:sub(query + 1))
  end
  local first = target:byte(2)
  if first == A or first == T then
    target = canonical(target) or target
  end
  if target ~= path then
    headers:replace(":path", target)
  end

  local authorization = headers:get("authorization")
  if not authorization or authorization:sub(1, #BEARER) ~= BEARER or authorization:find(",", 1, true) then
    normalize_authorization(headers, authorization)
  end

  local id = headers:get("x-request-id")
  if #id > 128 or id == "" or id:find("[^%w._:-]") then
    headers:replace("x-request-id", harmless(handle, id))
  end
end
