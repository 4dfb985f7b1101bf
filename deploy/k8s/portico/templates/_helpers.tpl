{{/* Name of the release's objects. */}}
{{- define "portico.fullname" -}}
{{- if .Values.fullnameOverride -}}{{ .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains "portico" .Release.Name -}}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}{{ printf "%s-portico" .Release.Name | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{/* Labels by which a part's pods are selected. Call with (list $ "part"). */}}
{{- define "portico.selector" -}}
app.kubernetes.io/name: portico
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* All labels of a part's objects. Call with (list $ "part"). */}}
{{- define "portico.labels" -}}
{{- $root := index . 0 -}}
{{ include "portico.selector" . }}
app.kubernetes.io/part-of: portico
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The image of a part. Call with (list $ "part"). */}}
{{- define "portico.image" -}}
{{- $root := index . 0 -}}
{{- with $root.Values.images -}}
{{- with .registry }}{{ . }}/{{ end }}{{ .repository }}/{{ index $ 1 }}:{{ .tag | default $root.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "portico.secretName" -}}
{{ .Values.secrets.existingSecret | default (include "portico.fullname" .) }}
{{- end -}}

{{/* A variable from a Secret. Call with (list name secret key). */}}
{{- define "portico.secretEnv" -}}
- name: {{ index . 0 }}
  valueFrom: {secretKeyRef: {name: {{ index . 1 | quote }}, key: {{ index . 2 | quote }}}}
{{- end -}}

{{/* Seconds from SIGTERM to SIGKILL: the pause, the grace, and what the steps of a service's stop may take after them. */}}
{{- define "portico.terminationSeconds" -}}
{{ add (ceil .Values.stop.drainSeconds) (ceil .Values.stop.graceSeconds) 60 }}
{{- end -}}

{{- define "portico.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ .Values.user }}
runAsGroup: {{ .Values.user }}
fsGroup: {{ .Values.user }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "portico.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* What the pods of all parts have in common. Call with (list $ "part" values). */}}
{{- define "portico.podCommon" -}}
{{- $root := index . 0 -}}{{- $part := index . 1 -}}{{- $values := index . 2 -}}
serviceAccountName: {{ include "portico.fullname" $root }}-{{ $part }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ include "portico.terminationSeconds" $root }}
securityContext: {{- include "portico.podSecurity" $root | nindent 2 }}
{{- with $root.Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with $root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.topologySpread }}
topologySpreadConstraints:
  {{- range . }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "portico.selector" (list $root $part) | nindent 8 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Annotations of a part's pods: a change of the settings replaces them. */}}
{{- define "portico.podAnnotations" -}}
{{- $root := index . 0 -}}{{- $values := index . 1 -}}
checksum/config: {{ include (print $root.Template.BasePath "/config.yaml") $root | sha256sum }}
{{- if not $root.Values.secrets.existingSecret }}
checksum/stores: {{ list $root.Values.mongodb $root.Values.redis | toJson | sha256sum }}
{{- end }}
{{- with $values.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* A HorizontalPodAutoscaler and a PodDisruptionBudget. Call with (list $ "part" values kind). */}}
{{- define "portico.scaling" -}}
{{- $root := index . 0 -}}{{- $part := index . 1 -}}{{- $values := index . 2 -}}{{- $kind := index . 3 -}}
{{- $name := printf "%s-%s" (include "portico.fullname" $root) $part -}}
{{- if $values.autoscaling.enabled }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ $name }}
  labels: {{- include "portico.labels" (list $root $part) | nindent 4 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: {{ $kind }}, name: {{ $name }}}
  minReplicas: {{ $values.autoscaling.minReplicas }}
  maxReplicas: {{ $values.autoscaling.maxReplicas }}
  metrics:
    - type: Resource
      resource: {name: cpu, target: {type: Utilization, averageUtilization: {{ $values.autoscaling.cpuPercent }}}}
  behavior:
    scaleDown: {stabilizationWindowSeconds: 300}
{{- end }}
{{- $least := ternary $values.autoscaling.minReplicas $values.replicas $values.autoscaling.enabled }}
{{- if gt (int $least) 1 }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ $name }}
  labels: {{- include "portico.labels" (list $root $part) | nindent 4 }}
spec:
  minAvailable: {{ $values.disruption.minAvailable }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels: {{- include "portico.selector" (list $root $part) | nindent 6 }}
{{- end }}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $name }}
  labels: {{- include "portico.labels" (list $root $part) | nindent 4 }}
automountServiceAccountToken: false
{{- end -}}

{{/* The most replicas that the values let a part have. */}}
{{- define "portico.most" -}}
{{ ternary .autoscaling.maxReplicas .replicas .autoscaling.enabled }}
{{- end -}}
