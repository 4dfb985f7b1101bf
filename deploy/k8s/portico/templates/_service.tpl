{{/* Variables of a service's container. Call with (list $ "name" values). */}}
{{- define "portico.serviceEnv" -}}
{{- $root := index . 0 -}}{{- $name := index . 1 -}}{{- $values := index . 2 -}}
{{- $own := include "portico.fullname" $root -}}
{{- $secrets := include "portico.secretName" $root -}}
{{- range tuple "PORTICO_SERVICE_SECRET" "PORTICO_EDGE_SECRET" "PORTICO_ENCRYPTION_KEYS" }}
{{ include "portico.secretEnv" (list . $secrets .) }}
{{- end }}
{{ include "portico.mongodbEnv" $root }}
{{- with $root.Values.redis }}
{{- if .enabled }}
{{ include "portico.secretEnv" (list "REDIS_URL" (.existingSecret | default $own) (ternary .key "REDIS_URL" (not (empty .existingSecret)))) }}
{{- end }}
{{- end }}
{{- if has $name (list "inference" "vector") }}
- {name: PORTICO_EDGE_LISTEN, value: "0.0.0.0:50061"}
{{- end }}
{{- if eq $name "rag" }}
- {name: PORTICO_FILES_DIR, value: /files}
{{- end }}
{{- if $root.Values.tls.enabled }}
{{ include "portico.tlsEnv" $root }}
- {name: PORTICO_HEALTH_LISTEN, value: "0.0.0.0:50071"}
{{- end }}
{{- range $setting, $value := $values.env }}
- {name: {{ $setting }}, value: {{ $value | toString | quote }}}
{{- end }}
{{- end -}}

{{- define "portico.mongodbEnv" -}}
{{- with .Values.mongodb -}}
{{- $key := ternary .key "MONGODB_URL" (not (empty .existingSecret)) -}}
{{ include "portico.secretEnv" (list "MONGODB_URL" (.existingSecret | default (include "portico.fullname" $)) $key) }}
{{- end -}}
{{- end -}}

{{- define "portico.tlsEnv" -}}
- {name: PORTICO_TLS_CERT_FILE, value: /tls/tls.crt}
- {name: PORTICO_TLS_KEY_FILE, value: /tls/tls.key}
- {name: PORTICO_TLS_CA_FILE, value: /tls/ca.crt}
{{- end -}}

{{- define "portico.tlsSecret" -}}
{{ .Values.tls.existingSecret | default (printf "%s-tls" (include "portico.fullname" .)) }}
{{- end -}}

{{/* The pod of a service. Call with (list $ "name" values). */}}
{{- define "portico.servicePod" -}}
{{- $root := index . 0 -}}{{- $name := index . 1 -}}{{- $values := index . 2 -}}
{{- $probed := ternary 50071 50051 $root.Values.tls.enabled -}}
{{- $held := include "portico.heldVolume" (list $name $values) -}}
metadata:
  labels: {{- include "portico.labels" (list $root $name) | nindent 4 }}
    portico.io/role: service
  annotations: {{- include "portico.podAnnotations" (list $root $values) | nindent 4 }}
spec:
  {{- include "portico.podCommon" . | nindent 2 }}
  containers:
    - name: {{ $name }}
      image: {{ include "portico.image" (list $root $name) }}
      imagePullPolicy: {{ $root.Values.images.pullPolicy }}
      envFrom:
        - configMapRef: {name: {{ include "portico.fullname" $root }}}
      env: {{- include "portico.serviceEnv" . | nindent 8 }}
      ports:
        - {name: grpc, containerPort: 50051}
        {{- if has $name (list "inference" "vector") }}
        - {name: edge, containerPort: 50061}
        {{- end }}
        {{- if $root.Values.metrics.enabled }}
        - {name: metrics, containerPort: 9464}
        {{- end }}
      # "live" asks no store and no neighbour: a restart would mend neither.
      startupProbe: {grpc: {port: {{ $probed }}, service: live}, periodSeconds: 1, timeoutSeconds: 3, failureThreshold: 120}
      livenessProbe: {grpc: {port: {{ $probed }}, service: live}, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6}
      # A store that is slow for a moment makes all replicas unready at once: they get 20 seconds before their names are gone.
      readinessProbe: {grpc: {port: {{ $probed }}}, periodSeconds: 2, timeoutSeconds: 3, failureThreshold: 10}
      resources: {{- toYaml $values.resources | nindent 8 }}
      securityContext: {{- include "portico.containerSecurity" $root | nindent 8 }}
      volumeMounts:
        - {name: {{ ternary "held" "scratch" (eq $held "pod") }}, mountPath: /data}
        - {name: tmp, mountPath: /tmp}
        {{- if eq $name "rag" }}
        - {name: files, mountPath: /files}
        {{- end }}
        {{- if $root.Values.tls.enabled }}
        - {name: tls, mountPath: /tls, readOnly: true}
        {{- end }}
  volumes:
    - {name: tmp, emptyDir: {sizeLimit: 1Gi}}
    {{- if ne $held "pod" }}
    - {name: scratch, emptyDir: {sizeLimit: 8Gi}}
    {{- end }}
    {{- if eq $name "rag" }}
    {{- if $values.persistence.enabled }}
    - name: files
      persistentVolumeClaim: {claimName: {{ $values.persistence.existingClaim | default (printf "%s-files" (include "portico.fullname" $root)) }}}
    {{- else }}
    - {name: files, emptyDir: {sizeLimit: 8Gi}}
    {{- end }}
    {{- end }}
    {{- if $root.Values.tls.enabled }}
    - {name: tls, secret: {secretName: {{ include "portico.tlsSecret" $root }}, defaultMode: 0440}}
    {{- end }}
{{- end -}}

{{/* "pod": each pod of the service has a volume of its own. */}}
{{- define "portico.heldVolume" -}}
{{- $name := index . 0 -}}{{- $values := index . 1 -}}
{{- if and (has $name (list "inference" "vector")) $values.persistence.enabled -}}pod{{- end -}}
{{- end -}}

{{/* A PersistentVolumeClaim's spec from `persistence`. */}}
{{- define "portico.claim" -}}
accessModes: {{- toYaml .accessModes | nindent 2 }}
{{- with .storageClass }}
storageClassName: {{ . }}
{{- end }}
resources: {requests: {storage: {{ .size }}}}
{{- end -}}
